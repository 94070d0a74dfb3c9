import { CertletError, isCertletError } from '../errors.ts';

/** One tag-length-value of DER. All three are views into the bytes that were read. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Header and content. */
  readonly bytes: Uint8Array;
}

/** Four length bytes are 4 GiB; three are enough for anything that fits into an API request. */
const MAX_LENGTH_BYTES = 3;

/**
 * The one element that `bytes` are, with nothing after it. Reads lengths only: no recursion, no values, no allocation in
 * proportion to what the input claims. Throws `ERR_API_PROTOCOL`.
 */
export function readElement(bytes: Uint8Array): DerElement {
  const element = elementAt(bytes, 0);
  if (element.bytes.length !== bytes.length) throw malformed('data after the end');
  return element;
}

/** The elements that `content` is a row of. Throws `ERR_API_PROTOCOL`. */
export function readElements(content: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let offset = 0; offset < content.length; ) {
    const element = elementAt(content, offset);
    elements.push(element);
    offset += element.bytes.length;
  }
  return elements;
}

/** What `read` gives; undefined where it meets bytes that are no DER or no certificate. A defect goes on as it is. */
export function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isCertletError(error, 'ERR_API_PROTOCOL', 'ERR_CERTIFICATE_INVALID')) return undefined;
    throw error;
  }
}

/** Whether the content of an OBJECT IDENTIFIER is one to Go (cryptobyte): numbers below 2^31, each in its shortest form and whole (X.690 8.19). */
export function isObjectIdentifier(content: Uint8Array): boolean {
  if ((content.at(-1) ?? 0x80) >= 0x80) return false;
  let number = 0;
  for (const byte of content) {
    if (number === 0 && byte === 0x80) return false;
    number = number * 0x80 + (byte & 0x7f);
    if (number >= 2 ** 31) return false;
    if (byte < 0x80) number = 0;
  }
  return true;
}

function elementAt(bytes: Uint8Array, offset: number): DerElement {
  const tag = byteAt(bytes, offset);
  if ((tag & 0x1f) === 0x1f) throw malformed('a tag of several bytes');
  const { length, size } = lengthAt(bytes, offset + 1);
  const start = offset + 1 + size;
  if (start + length > bytes.length) throw malformed('a length that reaches past the end');
  return { tag, content: bytes.subarray(start, start + length), bytes: bytes.subarray(offset, start + length) };
}

/** The length field: its value and how many bytes it takes. DER allows the shortest form only (X.690 10.1). */
function lengthAt(bytes: Uint8Array, offset: number): { readonly length: number; readonly size: number } {
  const first = byteAt(bytes, offset);
  if (first < 0x80) return { length: first, size: 1 };
  const count = first & 0x7f;
  if (count === 0 || count > MAX_LENGTH_BYTES) throw malformed(`a length of ${String(count)} bytes`);
  let length = 0;
  for (let index = 1; index <= count; index++) length = length * 256 + byteAt(bytes, offset + index);
  if (length < 0x80 || length < 256 ** (count - 1)) throw malformed('a length that is not in its shortest form');
  return { length, size: 1 + count };
}

function byteAt(bytes: Uint8Array, offset: number): number {
  const byte = bytes[offset];
  if (byte === undefined) throw malformed('an element that is cut off');
  return byte;
}

function malformed(what: string): CertletError {
  return new CertletError('ERR_API_PROTOCOL', `the bytes are no DER: ${what}`);
}
