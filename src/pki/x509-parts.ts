import { sign } from 'node:crypto';
import { CertletError } from '../errors.ts';
import {
  bitString,
  booleanTrue,
  type DerNode,
  directoryString,
  encodeDer,
  nullValue,
  octetString,
  oid,
  sequence,
  setOf,
  taggedBytes,
} from './der.ts';
import { parseIpAddress } from './ip-address.ts';
import type { PrivateKey } from './keys.ts';

const OID = {
  organization: '2.5.4.10',
  commonName: '2.5.4.3',
  subjectAltName: '2.5.29.17',
  ecdsa: { sha256: '1.2.840.10045.4.3.2', sha384: '1.2.840.10045.4.3.3', sha512: '1.2.840.10045.4.3.4' },
  rsa: { sha256: '1.2.840.113549.1.1.11', sha384: '1.2.840.113549.1.1.12', sha512: '1.2.840.113549.1.1.13' },
} as const;
const GENERAL_NAME = { dns: 2, ip: 7 } as const;

type Hash = 'sha256' | 'sha384' | 'sha512';

/** The hash that Go and client-go sign requests with: by curve for ECDSA, by size for RSA (client-go util/cert/csr.go). */
export function signatureHash(key: PrivateKey): Hash {
  const { modulusLength = 0, namedCurve } = key.object.asymmetricKeyDetails ?? {};
  if (namedCurve !== undefined)
    return namedCurve === 'secp384r1' ? 'sha384' : namedCurve === 'secp521r1' ? 'sha512' : 'sha256';
  if (modulusLength >= 4096) return 'sha512';
  return modulusLength >= 3072 ? 'sha384' : 'sha256';
}

/** AlgorithmIdentifier of a signature by this key. Throws `ERR_KEY_INVALID` for keys that are neither RSA nor ECDSA. */
export function signatureAlgorithm(key: PrivateKey): DerNode {
  const hash = signatureHash(key);
  const type = key.object.asymmetricKeyType;
  if (type === 'rsa') return sequence(oid(OID.rsa[hash]), nullValue());
  if (type === 'ec') return sequence(oid(OID.ecdsa[hash]));
  throw new CertletError('ERR_KEY_INVALID', `cannot sign with a key of type ${String(type)}: RSA or ECDSA only`);
}

/** What is signed, the algorithm and the signature: the frame that requests and certificates share. Gives DER. Throws `ERR_KEY_INVALID`. */
export function signed(content: DerNode, key: PrivateKey): Uint8Array {
  const algorithm = signatureAlgorithm(key);
  const signature = sign(signatureHash(key), encodeDer(content), key.object);
  return encodeDer(sequence(content, algorithm, bitString(signature)));
}

/** A Name as Go writes it: all organizations in one set, then the common name; parts that are empty are left out. */
export function distinguishedName(organizations: readonly string[], commonName: string): DerNode {
  const attribute = (type: string, value: string): DerNode => sequence(oid(type), directoryString(value));
  return sequence(
    ...(organizations.length === 0 ? [] : [setOf(organizations.map((value) => attribute(OID.organization, value)))]),
    ...(commonName === '' ? [] : [setOf([attribute(OID.commonName, commonName)])]),
  );
}

/** One X.509 extension. */
export function extension(
  type: string,
  value: DerNode,
  critical: 'critical' | 'not critical' = 'not critical',
): DerNode {
  return sequence(oid(type), ...(critical === 'critical' ? [booleanTrue()] : []), octetString(encodeDer(value)));
}

/** The subjectAltName extension, DNS names first; none when there are no names. Throws `ERR_INTERNAL` for a text that is no address or a name that is not ASCII. */
export function subjectAltName(names: {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}): readonly DerNode[] {
  const all = [
    ...names.dnsNames.map((name) => taggedBytes(GENERAL_NAME.dns, asciiBytes(name))),
    ...names.ipAddresses.map((address) => taggedBytes(GENERAL_NAME.ip, addressBytes(address))),
  ];
  return all.length === 0 ? [] : [extension(OID.subjectAltName, sequence(...all))];
}

function asciiBytes(name: string): Uint8Array {
  if (!/^[\x20-\x7e]+$/.test(name))
    throw new CertletError('ERR_INTERNAL', `not an ASCII name: ${JSON.stringify(name)}`);
  return Buffer.from(name, 'ascii');
}

function addressBytes(text: string): Uint8Array {
  const bytes = parseIpAddress(text);
  if (bytes === undefined) throw new CertletError('ERR_INTERNAL', `not an IP address: ${JSON.stringify(text)}`);
  return bytes;
}
