import { readElement, readElements, unlessMalformed } from './der-reader.ts';
import type { CertificateFields } from './x509-reader.ts';

const AUTHORITY_KEY_ID = '551d23';
const TAG = { sequence: 0x30, keyId: 0x80 } as const;

/** Which key signed it, by authorityKeyIdentifier (RFC 5280 4.2.1.1): hex as `openssl x509 -ext subjectKeyIdentifier` prints it of the CA. Never throws. */
export function issuerKeyIdOf({ extensions }: CertificateFields): string | undefined {
  const extension = extensions.find(({ type }) => type === AUTHORITY_KEY_ID);
  const id = extension && unlessMalformed(() => keyIdIn(extension.value));
  return id === undefined || id.length === 0 ? undefined : hexPairs(id);
}

function keyIdIn(value: Uint8Array): Uint8Array | undefined {
  const identifier = readElement(value);
  if (identifier.tag !== TAG.sequence) return undefined;
  return readElements(identifier.content).find(({ tag }) => tag === TAG.keyId)?.content;
}

const hexPairs = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .toUpperCase()
    .replaceAll(/(..)(?=.)/gu, '$1:');
