import { onControlPlane } from '../../remedy.ts';
import { isIP } from 'node:net';
import { bareHost } from '../../pki/ip-address.ts';
import { serverNameProblem, withoutFinalDots } from '../../pki/server-names.ts';

/** `code` of the error for a certificate without subject alternative names. */
export const NO_NAMES = 'CERTLET_CERTIFICATE_WITHOUT_NAMES';
/** `code` of the error for a certificate that is for other names; Node's own name for it. */
export const OTHER_NAMES = 'ERR_TLS_CERT_ALTNAME_INVALID';

/** What to do about `NO_NAMES`. */
export const NO_NAMES_REMEDY = onControlPlane(
  'kubeadm init phase certs apiserver',
  "and on each other, after deleting apiserver.crt and .key: issues the API server's certificate anew with " +
    "its names and addresses as subjectAltName (openssl: -addext 'subjectAltName=DNS:NAME,IP:ADDRESS'). certlet 0.1.0 took the common name; Kubernetes stopped that with Go 1.15.",
);

class ServerNameError extends Error {
  override readonly name = 'ServerNameError';
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Why a server's certificate is not for `name`, as an error with the code `NO_NAMES` or `OTHER_NAMES`. The one place that judges names, for
 * API servers and proxies; `alternativeNames` is Node's text, quoted in the message.
 */
export function serverNameError(name: string, alternativeNames: string | undefined): Error | undefined {
  switch (serverNameProblem(name, alternativeNames)) {
    case undefined:
      return undefined;
    case 'no-names':
      return new ServerNameError(
        NO_NAMES,
        `certificate has no subject alternative names, and its common name is no name`,
      );
    case 'other-names':
      return new ServerNameError(OTHER_NAMES, `${name} is not among ${alternativeNames ?? ''}`);
  }
}

/** Whether `error` is one of those of `serverNameError`: the chain is trusted then. */
export function isNameError(error: unknown): boolean {
  return error instanceof ServerNameError;
}

/** What goes into SNI for a server called `name`; empty for an address, which must not be sent (RFC 6066 3). */
export function serverNameIndication(name: string): string {
  const host = bareHost(name);
  return isIP(host) === 0 ? withoutFinalDots(host) : '';
}
