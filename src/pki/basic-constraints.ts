import { readElement, readElements, unlessMalformed } from './der-reader.ts';
import type { CertificateFields } from './x509-reader.ts';

const BASIC_CONSTRAINTS = '551d13';
const TAG = { boolean: 0x01, sequence: 0x30 } as const;

/**
 * Whether basicConstraints (RFC 5280 4.2.1.9) say that it is a CA's. `X509Certificate.ca` is OpenSSL's answer to another question: it is false where the key
 * usage forbids to sign certificates. Every form of true counts. Never throws.
 */
export function claimsAuthority({ extensions }: CertificateFields): boolean {
  return extensions.some(({ type, value }) => type === BASIC_CONSTRAINTS && saysAuthority(value));
}

function saysAuthority(value: Uint8Array): boolean {
  const flag = unlessMalformed(() => {
    const constraints = readElement(value);
    return constraints.tag === TAG.sequence ? readElements(constraints.content)[0] : undefined;
  });
  return flag?.tag === TAG.boolean && flag.content.some((byte) => byte !== 0);
}
