/**
 * DER encoding for the requests and certificates that certlet makes. node-forge is used here only, and only to write: every
 * advisory it ever had lies in code that parses, verifies or decrypts. Reading is `node:crypto` and `der-reader.ts`.
 */
import asn1 from 'node-forge/lib/asn1.js';
import { readElement } from './der-reader.ts';

/** A value to be encoded; make it with the functions below. */
export type DerNode = ReturnType<typeof asn1.create>;

const TAG = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  oid: 6,
  utf8: 12,
  sequence: 16,
  set: 17,
  printable: 19,
  utcTime: 23,
  generalizedTime: 24,
};
const CONTEXT = 0x80;
const CONSTRUCTED = 0x20;
/** What Go's encoding/asn1 takes for PrintableString: without `*` and `&`, and without `@`, `_`. */
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;

/** The bytes of a node. */
export function encodeDer(node: DerNode): Uint8Array {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
}

export function sequence(...children: readonly DerNode[]): DerNode {
  return asn1.create(0, TAG.sequence, true, children);
}

/** SET OF: DER wants the elements in the order of their bytes (X.690 11.6). */
export function setOf(children: readonly DerNode[]): DerNode {
  const sorted = [...children].sort((a, b) => Buffer.compare(encodeDer(a), encodeDer(b)));
  return asn1.create(0, TAG.set, true, sorted);
}

/** `[tag]` around other values. */
export function tagged(tag: number, ...children: readonly DerNode[]): DerNode {
  return asn1.create(CONTEXT, tag, true, children);
}

/** `[tag]` with bytes in place of the value's own tag (IMPLICIT). */
export function taggedBytes(tag: number, bytes: Uint8Array): DerNode {
  return asn1.create(CONTEXT, tag, false, binary(bytes));
}

/** A positive INTEGER from its big-endian bytes, in the shortest form; no bytes mean zero. */
export function integer(bytes: Uint8Array): DerNode {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  return asn1.create(0, TAG.integer, false, binary((digits[0] ?? 0) >= 0x80 ? Uint8Array.of(0, ...digits) : digits));
}

export function oid(dotted: string): DerNode {
  return asn1.create(0, TAG.oid, false, asn1.oidToDer(dotted).getBytes());
}

/** PrintableString where the text allows it, else UTF8String: Go's choice, so that our bytes are those a kubelet would send. */
export function directoryString(text: string): DerNode {
  const type = PRINTABLE.test(text) ? TAG.printable : TAG.utf8;
  return asn1.create(0, type, false, binary(Buffer.from(text, 'utf8')));
}

export function octetString(bytes: Uint8Array): DerNode {
  return asn1.create(0, TAG.octetString, false, binary(bytes));
}

/** `unusedBits` counts the bits at the end that do not belong to the value. */
export function bitString(bytes: Uint8Array, unusedBits = 0): DerNode {
  return asn1.create(0, TAG.bitString, false, binary(Uint8Array.of(unusedBits, ...bytes)));
}

/** BOOLEAN TRUE; FALSE never occurs, since DER leaves defaults out. */
export function booleanTrue(): DerNode {
  return asn1.create(0, TAG.boolean, false, binary(Uint8Array.of(0xff)));
}

export function nullValue(): DerNode {
  return asn1.create(0, TAG.null, false, '');
}

/** UTCTime up to 2049, GeneralizedTime from then on and before 1950 (RFC 5280 4.1.2.5); whole seconds. */
export function time(date: Date): DerNode {
  const digits = `${date.toISOString().replaceAll(/[-:T]|\.\d+Z/g, '')}Z`;
  const year = date.getUTCFullYear();
  if (year >= 1950 && year < 2050) return asn1.create(0, TAG.utcTime, false, digits.slice(2));
  return asn1.create(0, TAG.generalizedTime, false, digits);
}

/** A constructed value that is DER already, such as a SubjectPublicKeyInfo from `node:crypto`. */
export function encoded(der: Uint8Array): DerNode {
  const element = readElement(der);
  return asn1.create(0, element.tag | CONSTRUCTED, false, binary(element.content));
}

function binary(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
