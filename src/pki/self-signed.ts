import { bitString, type DerNode, encoded, integer, oid, sequence, tagged, time } from './der.ts';
import type { PrivateKey } from './keys.ts';
import { encodePem } from './pem.ts';
import { distinguishedName, extension, signatureAlgorithm, signed, subjectAltName } from './x509-parts.ts';

const OID = {
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;
const X509_V3 = Uint8Array.of(2);

export interface SelfSignedContent {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly key: PrivateKey;
  /** Random bytes; taken as a positive number of at most 20 bytes, never zero (RFC 5280 4.1.2.2). */
  readonly serial: Uint8Array;
}

/**
 * A self-signed TLS server certificate, PEM: the pair that a kubelet can start on before the signer has answered. It is no CA, so
 * nobody who trusts it by mistake trusts anything else. Throws `ERR_KEY_INVALID` for a key that cannot sign.
 */
export function createSelfSigned(content: SelfSignedContent): string {
  const { key } = content;
  const name = distinguishedName([], content.commonName);
  const certificate = sequence(
    tagged(0, integer(X509_V3)),
    integer(serialNumber(content.serial)),
    signatureAlgorithm(key),
    name,
    sequence(time(content.notBefore), time(content.notAfter)),
    name,
    encoded(key.publicKeyDer),
    tagged(3, sequence(...extensions(content))),
  );
  return encodePem('CERTIFICATE', signed(certificate, key));
}

function extensions(content: SelfSignedContent): readonly DerNode[] {
  return [
    extension(OID.keyUsage, keyUsage(content.key), 'critical'),
    extension(OID.extKeyUsage, sequence(oid(OID.serverAuth))),
    extension(OID.basicConstraints, sequence(), 'critical'),
    ...subjectAltName(content),
  ];
}

/** digitalSignature, and keyEncipherment where the key can do that: TLS 1.2 clients without forward secrecy need it with RSA. */
function keyUsage(key: PrivateKey): DerNode {
  return key.object.asymmetricKeyType === 'rsa' ? bitString(Uint8Array.of(0xa0), 5) : bitString(Uint8Array.of(0x80), 7);
}

function serialNumber(random: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(random.subarray(0, 20));
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.some((byte) => byte !== 0) ? bytes : Uint8Array.of(1);
}
