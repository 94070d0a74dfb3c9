import type { X509Certificate } from 'node:crypto';
import { CertletError, isCertletError } from '../errors.ts';
import { type DerElement, readElement, readElements } from './der-reader.ts';
import { type NameAttribute, readName } from './distinguished-name.ts';

/** One extension as it stands in the certificate. */
export interface CertificateExtension {
  /** The object identifier's bytes as hex: `551d11` is subjectAltName. */
  readonly type: string;
  readonly critical: boolean;
  /** The DER within its OCTET STRING. */
  readonly value: Uint8Array;
}

/** A certificate's fields as bytes; nothing is judged. */
export interface CertificateFields {
  /** The bytes that are signed. */
  readonly signedBytes: Uint8Array;
  /** 3 for X.509 v3. */
  readonly version: number;
  readonly negativeSerial: boolean;
  /** AlgorithmIdentifier without and within the signed part. */
  readonly algorithm: Uint8Array;
  readonly signedAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly issuerNames: readonly NameAttribute[];
  readonly subjectNames: readonly NameAttribute[];
  /** Milliseconds since 1970; undefined for a form that RFC 5280 4.1.2.5 does not allow. */
  readonly notBefore: number | undefined;
  readonly notAfter: number | undefined;
  /** SubjectPublicKeyInfo, and the AlgorithmIdentifier in it. */
  readonly publicKey: Uint8Array;
  readonly keyAlgorithm: Uint8Array;
  readonly extensions: readonly CertificateExtension[];
}

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  version: 0xa0,
  issuerId: 0x81,
  subjectId: 0x82,
  extensions: 0xa3,
} as const;

/**
 * A certificate (RFC 5280 4.1) from its DER, without asking OpenSSL or Node: `X509Certificate.toLegacyObject()` ends the process for
 * keys on curves without a NIST name. Strict: what is no DER, or has a field too many, is refused. Throws `ERR_CERTIFICATE_INVALID`.
 */
export function readCertificate(der: Uint8Array): CertificateFields {
  try {
    return fieldsOf(der);
  } catch (error) {
    if (!isCertletError(error, 'ERR_API_PROTOCOL')) throw error;
    throw new CertletError('ERR_CERTIFICATE_INVALID', `the certificate is no DER as X.509 wants it: ${error.message}`, {
      cause: error,
    });
  }
}

const known = new WeakMap<X509Certificate, CertificateFields>();

/** The same of a certificate that OpenSSL has read, once for each. */
export function fieldsOfCertificate(certificate: X509Certificate): CertificateFields {
  const before = known.get(certificate);
  if (before !== undefined) return before;
  const fields = readCertificate(certificate.raw);
  known.set(certificate, fields);
  return fields;
}

function fieldsOf(der: Uint8Array): CertificateFields {
  const [signed, algorithm, signature] = parts(readElement(der), TAG.sequence, 3);
  const all = readElements(contentOf(signed, TAG.sequence));
  const versioned = all[0]?.tag === TAG.version;
  const [serial, inner, issuer, validity, subject, key, ...rest] = versioned ? all.slice(1) : all;
  const [keyAlgorithm] = parts(key, TAG.sequence, 2);
  const [notBefore, notAfter] = parts(validity, TAG.sequence, 2);
  const [issuerName, subjectName] = [whole(issuer, TAG.sequence), whole(subject, TAG.sequence)];
  return {
    signedBytes: whole(signed, TAG.sequence).bytes,
    version: versioned ? versionOf(all[0]) : 1,
    negativeSerial: (integerOf(serial)[0] ?? 0) >= 0x80,
    algorithm: whole(algorithm, TAG.sequence).bytes,
    signedAlgorithm: whole(inner, TAG.sequence).bytes,
    signature: wholeBytes(signature),
    issuer: issuerName.bytes,
    subject: subjectName.bytes,
    issuerNames: readName(issuerName),
    subjectNames: readName(subjectName),
    notBefore: timeOf(notBefore),
    notAfter: timeOf(notAfter),
    publicKey: whole(key, TAG.sequence).bytes,
    keyAlgorithm: whole(keyAlgorithm, TAG.sequence).bytes,
    extensions: extensionsOf(rest),
  };
}

function versionOf(element: DerElement | undefined): number {
  const [number] = parts(element, TAG.version, 1);
  const content = integerOf(number);
  return content.length === 1 ? (content[0] ?? 0) + 1 : 0;
}

/** After the key: two identifiers that nobody uses, then the extensions; each at most once and in this order. */
function extensionsOf(rest: readonly DerElement[]): readonly CertificateExtension[] {
  const order: readonly number[] = [TAG.issuerId, TAG.subjectId, TAG.extensions];
  const places = rest.map(({ tag }) => order.indexOf(tag));
  if (places.some((place, index) => place <= (places[index - 1] ?? -1)))
    throw malformed('a field that X.509 does not have');
  const last = rest.at(-1);
  if (last?.tag !== TAG.extensions) return [];
  const [list] = parts(last, TAG.extensions, 1);
  return readElements(contentOf(list, TAG.sequence)).map(readExtension);
}

/** One Extension (RFC 5280 4.1), of a certificate or of a request for one. Throws `ERR_API_PROTOCOL`. */
export function readExtension(element: DerElement): CertificateExtension {
  const fields = readElements(contentOf(element, TAG.sequence));
  const [type, ...rest] = fields;
  const flag = rest[0]?.tag === TAG.boolean ? rest[0] : undefined;
  const [value, ...more] = flag === undefined ? rest : rest.slice(1);
  if (more.length > 0) throw malformed('an extension with a field too many');
  // DER has one form of true and leaves false out (X.690 11.1, 11.5); one that is written is read as critical, which accepts less than Go.
  if (flag !== undefined && !['ff', '00'].includes(Buffer.from(flag.content).toString('hex')))
    throw malformed('a flag that is neither true nor false');
  return {
    type: Buffer.from(contentOf(type, TAG.oid)).toString('hex'),
    critical: flag !== undefined,
    value: contentOf(value, TAG.octetString),
  };
}

/** UTCTime to the second with Z up to 2049, GeneralizedTime likewise (RFC 5280 4.1.2.5). */
function timeOf(element: DerElement | undefined): number | undefined {
  const digits = timeDigits(element);
  if (digits === undefined) return undefined;
  const iso = digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6.000Z');
  const time = Date.parse(iso);
  // Some engines roll the 30th of February over: only what comes back as it was is a date.
  return Number.isNaN(time) || new Date(time).toISOString() !== iso ? undefined : time;
}

/** `YYYYMMDDHHMMSSZ` of either form. */
function timeDigits(element: DerElement | undefined): string | undefined {
  const text = Buffer.from(element?.content ?? []).toString('latin1');
  if (element?.tag === TAG.generalizedTime && /^\d{14}Z$/.test(text)) return text;
  if (element?.tag !== TAG.utcTime || !/^\d{12}Z$/.test(text)) return undefined;
  return `${Number(text.slice(0, 2)) >= 50 ? '19' : '20'}${text}`;
}

/** A BIT STRING of whole bytes. */
function wholeBytes(element: DerElement | undefined): Uint8Array {
  const content = contentOf(element, TAG.bitString);
  if (content[0] !== 0) throw malformed('a signature that is no row of whole bytes');
  return content.subarray(1);
}

/** The bytes of an INTEGER, in the shortest form, which alone is DER (X.690 8.3.2). */
function integerOf(element: DerElement | undefined): Uint8Array {
  const content = contentOf(element, TAG.integer);
  const [first, second] = content;
  const spare = second !== undefined && (second < 0x80 ? first === 0x00 : first === 0xff);
  if (first === undefined || spare) throw malformed('a number that is not in its shortest form');
  return content;
}

function parts(element: DerElement | undefined, tag: number, count: number): readonly DerElement[] {
  const elements = readElements(contentOf(element, tag));
  if (elements.length !== count) throw malformed('a field too many or too few');
  return elements;
}

function contentOf(element: DerElement | undefined, tag: number): Uint8Array {
  return whole(element, tag).content;
}

function whole(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag !== tag) throw malformed('a field of another kind than X.509 has there');
  return element;
}

function malformed(what: string): CertletError {
  return new CertletError('ERR_API_PROTOCOL', what);
}
