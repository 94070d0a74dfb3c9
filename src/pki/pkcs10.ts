import { encoded, integer, oid, sequence, setOf, tagged } from './der.ts';
import type { PrivateKey } from './keys.ts';
import { encodePem } from './pem.ts';
import { distinguishedName, signed, subjectAltName } from './x509-parts.ts';

const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';

/** Subject and names of a request; `ipAddresses` in any text form. */
export interface RequestContent {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/**
 * A PKCS#10 request (RFC 2986), signed by `key`, as exactly one `CERTIFICATE REQUEST` block: API servers read the first block
 * only. The same content and key give the same bytes but for the signature, which `request-differences.ts` relies on.
 * Throws `ERR_KEY_INVALID` for a key that cannot sign, `ERR_INTERNAL` for names that a certificate cannot hold.
 */
export function createRequest(content: RequestContent, key: PrivateKey): string {
  const extensions = subjectAltName(content);
  const attributes = extensions.map((names) => sequence(oid(EXTENSION_REQUEST), setOf([sequence(names)])));
  const info = sequence(
    integer(Uint8Array.of()),
    distinguishedName(content.organizations, content.commonName),
    encoded(key.publicKeyDer),
    tagged(0, ...attributes),
  );
  return encodePem('CERTIFICATE REQUEST', signed(info, key));
}
