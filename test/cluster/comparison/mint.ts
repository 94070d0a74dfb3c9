import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { bitString, der, integer, objectIdentifier, pem, sequence, time } from '../../fixtures/cluster/der.ts';
import { encodeName } from '../../fixtures/cluster/names.ts';

/** How a certificate is signed. `pss` is RSA-PSS with SHA-256. */
export type Signature = 'sha1' | 'sha256' | 'sha384' | 'sha512' | 'pss';

/** All that a certificate says, well or badly: nothing is added and nothing is checked. */
export interface CertificateSpec {
  /** Common name, or the whole distinguished name as DER. */
  readonly subject: string | Buffer;
  /** Undefined: signed by its own key. */
  readonly issuer?: Minted;
  readonly key?: KeyObject;
  readonly serial?: Buffer;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Absent means none, and version 3 all the same unless `version1`. */
  readonly extensions?: readonly Buffer[];
  readonly version1?: boolean;
  readonly signature?: Signature;
  /** The issuer's name as it stands in the certificate, where it is not the issuer's own. */
  readonly issuerName?: Buffer;
  /** Signed by this key instead of the issuer's. */
  readonly signingKey?: KeyObject;
}

/** A certificate with its key. */
export interface Minted {
  readonly pem: string;
  readonly der: Buffer;
  readonly key: KeyObject;
  readonly keyPem: string;
  readonly subjectDer: Buffer;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A moment so many days from now. */
export const days = (count: number): Date => new Date(Date.now() + count * DAY_MS);

/** A new key on this curve; P-256 unless told. */
export const ecKey = (namedCurve = 'P-256'): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
export const rsaKey = (modulusLength: number): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey;
export const edKey = (): KeyObject => generateKeyPairSync('ed25519').privateKey;

const NULL = der(0x05);
const OIDS: Readonly<Record<string, string>> = {
  'rsa-sha1': '1.2.840.113549.1.1.5',
  'rsa-sha256': '1.2.840.113549.1.1.11',
  'rsa-sha384': '1.2.840.113549.1.1.12',
  'rsa-sha512': '1.2.840.113549.1.1.13',
  'ec-sha1': '1.2.840.10045.4.1',
  'ec-sha256': '1.2.840.10045.4.3.2',
  'ec-sha384': '1.2.840.10045.4.3.3',
  'ec-sha512': '1.2.840.10045.4.3.4',
};

function pssIdentifier(): Buffer {
  const sha256 = sequence(objectIdentifier('2.16.840.1.101.3.4.2.1'), NULL);
  return sequence(
    objectIdentifier('1.2.840.113549.1.1.10'),
    sequence(
      der(0xa0, sha256),
      der(0xa1, sequence(objectIdentifier('1.2.840.113549.1.1.8'), sha256)),
      der(0xa2, integer(32n)),
    ),
  );
}

function identifier(key: KeyObject, signature: Signature): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sequence(objectIdentifier('1.3.101.112'));
  if (signature === 'pss') return pssIdentifier();
  const kind = key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec';
  return sequence(objectIdentifier(OIDS[`${kind}-${signature}`] ?? ''), ...(kind === 'rsa' ? [NULL] : []));
}

function signed(bytes: Buffer, key: KeyObject, signature: Signature): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sign(null, bytes, key);
  if (signature === 'pss') return sign('sha256', bytes, { key, padding: 6, saltLength: 32 });
  return sign(signature, bytes, key);
}

let counter = 0x1000n;

/** Signs what the spec says. */
export function mint(spec: CertificateSpec): Minted {
  const key = spec.key ?? ecKey();
  const subjectDer =
    typeof spec.subject === 'string' ? encodeName({ commonName: spec.subject, organizations: [] }) : spec.subject;
  const signingKey = spec.signingKey ?? spec.issuer?.key ?? key;
  const signature = spec.signature ?? 'sha256';
  const algorithm = identifier(signingKey, signature);
  counter += 1n;
  const body = sequence(
    ...(spec.version1 === true ? [] : [der(0xa0, integer(2n))]),
    spec.serial ?? integer(counter),
    algorithm,
    spec.issuerName ?? spec.issuer?.subjectDer ?? subjectDer,
    sequence(time(spec.notBefore ?? days(-2)), time(spec.notAfter ?? days(3000))),
    subjectDer,
    createPublicKey(key).export({ format: 'der', type: 'spki' }),
    ...(spec.extensions === undefined ? [] : [der(0xa3, sequence(...spec.extensions))]),
  );
  const whole = sequence(body, algorithm, bitString(signed(body, signingKey, signature)));
  return { pem: pem('CERTIFICATE', whole), der: whole, key, keyPem: pkcs8(key), subjectDer };
}

/** A key as PKCS#8 PEM. */
export const pkcs8 = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();

/** A key in the older form of its kind: SEC1 or PKCS#1. */
export function traditional(key: KeyObject): string {
  return key.export({ format: 'pem', type: key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1' }).toString();
}

/** A key encrypted with a passphrase, PKCS#8. */
export function encrypted(key: KeyObject): string {
  const options = { format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
  return createPrivateKey(pkcs8(key)).export(options).toString();
}
