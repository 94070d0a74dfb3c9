import { X509Certificate } from 'node:crypto';
import type { ApiIdentity } from '../../ports.ts';
import type { Credential } from '../../kubeconfig/client-config.ts';
import { plainText } from './response-headers.ts';

/** Whom the API server should see, and what was sent to show it. */
export interface Identity extends ApiIdentity {
  readonly kind: Credential['kind'];
  /** The public half of a bootstrap token. */
  readonly tokenId?: string;
}

/** `<id>.<secret>` of bootstrap tokens; only the id may be shown. */
const BOOTSTRAP_TOKEN = /^([a-z0-9]{6})\.[a-z0-9]{16}$/;

/** The label of a credential for log lines and errors; never holds a secret. */
export function identityOf(credential: Credential): Identity {
  switch (credential.kind) {
    case 'none':
      return { kind: 'none', label: 'anonymous user' };
    case 'exec':
      return { kind: 'exec', label: `exec plugin ${credential.plugin.command}` };
    case 'tokenFile':
      return { kind: 'tokenFile', label: `token in ${credential.path}` };
    case 'token': {
      const tokenId = BOOTSTRAP_TOKEN.exec(credential.token.reveal())?.[1];
      if (tokenId === undefined) return { kind: 'token', label: 'token' };
      return { kind: 'token', label: `bootstrap token ${tokenId}`, tokenId };
    }
    case 'certificate':
      return { kind: 'certificate', label: certificateLabel(credential.chainPem) };
  }
}

function certificateLabel(chainPem: string): string {
  try {
    const leaf = new X509Certificate(chainPem);
    const commonName = /(?:^|\n)CN=(.*)/.exec(leaf.subject)?.[1] ?? '';
    const serial = leaf.serialNumber.toLowerCase().replace(/^0+(?=.)/, '');
    return `client certificate CN=${plainText(commonName, 300)} serial ${serial}`;
  } catch {
    // The handshake will say what is wrong with it.
    return 'client certificate that cannot be parsed';
  }
}
