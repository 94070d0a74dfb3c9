/** Extensions of certificates as DER, right and wrong ones (RFC 5280 4.2). */
import { createHash, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { bitString, der, integer, objectIdentifier, sequence, TAG } from '../../fixtures/cluster/der.ts';
import { addressBytes } from '../../fixtures/cluster/names.ts';

const TRUE = der(TAG.boolean, Buffer.from([0xff]));

/** Any extension. */
export function extension(oid: string, value: Uint8Array, critical = false): Buffer {
  return sequence(objectIdentifier(oid), ...(critical ? [TRUE] : []), der(TAG.octetString, value));
}

/** basicConstraints of an authority. */
export function authority(pathLength?: number): Buffer {
  const limit = pathLength === undefined ? [] : [integer(BigInt(pathLength))];
  return extension('2.5.29.19', sequence(TRUE, ...limit), true);
}

/** basicConstraints that says CA:FALSE. */
export const noAuthority: Buffer = extension('2.5.29.19', sequence(), true);

const USAGE_BITS = {
  digitalSignature: 0,
  nonRepudiation: 1,
  keyEncipherment: 2,
  dataEncipherment: 3,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const;

export function keyUsage(...names: readonly (keyof typeof USAGE_BITS)[]): Buffer {
  const bits = names.map((name) => USAGE_BITS[name]);
  const byte = bits.reduce<number>((sum, bit) => sum | (0x80 >> bit), 0);
  return extension('2.5.29.15', bitString(Buffer.from([byte]), bits.length === 0 ? 0 : 7 - Math.max(...bits)), true);
}

const PURPOSES = {
  any: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  unknown: '1.3.6.1.4.1.99999.1',
  netscape: '2.16.840.1.113730.4.1',
} as const;

export function purposes(...names: readonly (keyof typeof PURPOSES)[]): Buffer {
  return extension('2.5.29.37', sequence(...names.map((name) => objectIdentifier(PURPOSES[name]))));
}

/** Netscape's certificate type: bit 0 client, 1 server, 5 SSL CA. */
export const netscapeType = (byte: number): Buffer =>
  extension('2.16.840.1.113730.1.1', bitString(Buffer.from([byte])));

export interface Names {
  readonly dns?: readonly string[];
  /** Addresses as text, or their bytes as they shall stand. */
  readonly ip?: readonly (string | Buffer)[];
  readonly uri?: readonly string[];
  readonly email?: readonly string[];
}

const bytesOf = (address: string | Buffer): Buffer => (typeof address === 'string' ? addressBytes(address) : address);

function generalNames({ dns = [], ip = [], uri = [], email = [] }: Names): readonly Buffer[] {
  return [
    ...email.map((text) => der(0x81, Buffer.from(text))),
    ...dns.map((text) => der(0x82, Buffer.from(text))),
    ...uri.map((text) => der(0x86, Buffer.from(text))),
    ...ip.map((address) => der(0x87, bytesOf(address))),
  ];
}

export function alternativeNames(names: Names, critical = false): Buffer {
  return extension('2.5.29.17', sequence(...generalNames(names)), critical);
}

/** `ip` of the names are address and mask together. */
export function nameConstraints(permitted: Names | undefined, excluded: Names | undefined, critical = true): Buffer {
  const subtrees = (tag: number, names: Names | undefined): readonly Buffer[] =>
    names === undefined ? [] : [der(tag, ...generalNames(names).map((name) => sequence(name)))];
  return extension('2.5.29.30', sequence(...subtrees(0xa0, permitted), ...subtrees(0xa1, excluded)), critical);
}

/** The identifier that most tools make of a key. */
export function identifierOf(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(createPublicKey(key).export({ format: 'der', type: 'spki' }))
    .digest();
}

export const subjectKeyId = (bytes: Uint8Array): Buffer => extension('2.5.29.14', der(TAG.octetString, bytes));
export const authorityKeyId = (bytes: Uint8Array): Buffer => extension('2.5.29.35', sequence(der(0x80, bytes)));

/** An authorityKeyIdentifier that names the issuer by its issuer's name and serial. */
export function authorityBySerial(issuerName: Buffer, serial: bigint): Buffer {
  return extension('2.5.29.35', sequence(der(0xa1, der(0xa4, issuerName)), der(0x82, integer(serial).subarray(2))));
}

/** An extension that nobody knows. */
export const unknownExtension = (critical: boolean): Buffer => extension('1.3.6.1.4.1.99999.2', sequence(), critical);
