import { timestamp } from '../timestamp.ts';
import { createPublicKey, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isObjectIdentifier, readElement, readElements, unlessMalformed } from './der-reader.ts';
import { readServerNames } from './names-reader.ts';
import { namesHost } from './server-names.ts';
import { type CertificateExtension, type CertificateFields, readCertificate } from './x509-reader.ts';

/** What stands against a certificate or the CA that signed it. */
export interface TrustProblem {
  readonly kind: 'dates' | 'names' | 'usage' | 'form';
  readonly about: 'leaf' | 'ca';
  /** Part of a sentence, such as `the CA "CN=x" expired at …`. */
  readonly text: string;
}

/** What is found of one certificate: the rest of a sentence about it. */
type Finding = Pick<TrustProblem, 'kind' | 'text'>;

/** What became of one server certificate. */
export type DirectTrust =
  | { readonly kind: 'trusted' }
  /** A CA has signed it, and this speaks against it all the same. */
  | { readonly kind: 'signed'; readonly problems: readonly TrustProblem[] }
  /** Some CA has the issuer's name and another key. */
  | { readonly kind: 'other key' }
  | { readonly kind: 'unknown' };

export interface DirectTrustQuestion {
  /** DER of the certificate whose key the peer has proven in this handshake. */
  readonly leaf: Uint8Array;
  /** DER of the CAs of the kubeconfig. */
  readonly cas: readonly Uint8Array[];
  /** The name or the address (without brackets) that was connected to. */
  readonly host: string;
  readonly now: Date;
}

/** More CAs of one name than this are not looked at: each costs a signature check. */
export const MAX_CANDIDATES = 20;

const MIN_RSA_BITS = 2048;
/** Go's crypto/tls refuses larger ones: they cost too much. */
const MAX_RSA_BITS = 8192;
const MAX_RSA_EXPONENT = 2n ** 31n - 1n;
/** What a point of an elliptic curve begins with where both coordinates follow, the one form that Go reads (SEC 1 2.3.3). */
const PLAIN_POINT = 0x04;

/** AlgorithmIdentifiers of keys as hex: RSA with its NULL, ECDSA on P-256, P-384 and P-521, Ed25519. */
const KEYS = new Set([
  '300d06092a864886f70d0101010500',
  '301306072a8648ce3d020106082a8648ce3d030107',
  '301006072a8648ce3d020106052b81040022',
  '301006072a8648ce3d020106052b81040023',
  '300506032b6570',
]);

/** AlgorithmIdentifiers of signatures as hex, with their hash: RSA (PKCS#1 v1.5) and ECDSA with SHA-2, Ed25519. Never SHA-1 or MD5. */
const SIGNATURES = new Map<string, string | null>([
  ['300d06092a864886f70d01010b0500', 'sha256'],
  ['300d06092a864886f70d01010c0500', 'sha384'],
  ['300d06092a864886f70d01010d0500', 'sha512'],
  ['300a06082a8648ce3d040302', 'sha256'],
  ['300a06082a8648ce3d040303', 'sha384'],
  ['300a06082a8648ce3d040304', 'sha512'],
  ['300506032b6570', null],
]);

const EXTENSION = {
  subjectKeyId: '551d0e',
  keyUsage: '551d0f',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  authorityKeyId: '551d23',
  extendedKeyUsage: '551d25',
} as const;

/** What may be critical, beside names of which one at least is read: nothing else is understood here. */
const UNDERSTOOD: readonly string[] = [EXTENSION.keyUsage, EXTENSION.basicConstraints, EXTENSION.extendedKeyUsage];

/**
 * Extensions that Go parses and refuses where they are broken, and that nothing here reads: CRL distribution points, policies, their
 * mappings and constraints, inhibitAnyPolicy, authority information access, and name constraints, which would have to be applied.
 */
const UNREAD: Readonly<Record<string, string>> = {
  '551d1e': 'name constraints',
  '551d1f': 'CRL distribution points',
  '551d20': 'certificate policies',
  '551d21': 'policy mappings',
  '551d24': 'policy constraints',
  '551d36': 'inhibitAnyPolicy',
  '2b06010505070101': 'authority information access',
};

const USAGE = { any: '0604551d2500', serverAuth: '06082b06010505070301', clientAuth: '06082b06010505070302' } as const;

/** The tags of what is read within extensions. */
const TAG = { boolean: 0x01, integer: 0x02, bitString: 0x03, octetString: 0x04, oid: 0x06, sequence: 0x30 } as const;
const KEY_CERT_SIGN = 0x04;

/**
 * Whether one of the CAs has directly signed a server certificate that Go's verifier would take too: docs/decisions/0022 says for each
 * condition which of Go's rules it stands for. Reads bytes only: no chain, no file, no clock. Asked after OpenSSL has refused.
 * What cannot be read is `unknown`. Never throws.
 */
export function directTrust(question: DirectTrustQuestion): DirectTrust {
  const leaf = unlessMalformed(() => readCertificate(question.leaf));
  if (leaf === undefined) return { kind: 'unknown' };
  const named = question.cas
    .map((ca) => unlessMalformed(() => readCertificate(ca)))
    .filter((ca) => ca !== undefined)
    .filter((ca) => same(ca.subject, leaf.issuer))
    .slice(0, MAX_CANDIDATES);
  const signers = named.filter((ca) => hasSigned(ca, leaf));
  const judged = signers.map((ca) => [...leafProblems(leaf, question), ...caProblems(ca, question.now)]);
  if (judged.some((problems) => problems.length === 0)) return { kind: 'trusted' };
  const [least] = judged.toSorted((one, other) => one.length - other.length);
  if (least !== undefined) return { kind: 'signed', problems: least };
  return { kind: named.length > 0 ? 'other key' : 'unknown' };
}

/** The CA's key over the very bytes that were read; both algorithms come from a table, and a key is of the algorithm's kind. */
function hasSigned(ca: CertificateFields, certificate: CertificateFields): boolean {
  const hash = SIGNATURES.get(hexOf(certificate.algorithm));
  const key = keyOf(ca);
  if (hash === undefined || key === undefined || !same(certificate.algorithm, certificate.signedAlgorithm))
    return false;
  const kind = hash === null ? 'ed25519' : hexOf(certificate.algorithm).startsWith('300d06092a864886f7') ? 'rsa' : 'ec';
  if (key.asymmetricKeyType !== kind) return false;
  try {
    return verify(hash, certificate.signedBytes, key, certificate.signature);
  } catch {
    // What OpenSSL cannot check is not signed.
    return false;
  }
}

/** The key of a certificate where it is of a kind, form and size that is taken; undefined else. */
function keyOf({ keyAlgorithm, publicKey }: CertificateFields): KeyObject | undefined {
  const read = KEYS.has(hexOf(keyAlgorithm)) ? readKey(publicKey) : undefined;
  // OpenSSL reads more than DER and writes nothing else.
  if (read === undefined || !same(read.der, publicKey)) return undefined;
  const { key } = read;
  const taken = key.asymmetricKeyType === 'ec' ? isPlainPoint(publicKey) : isTakenSize(key);
  return taken ? key : undefined;
}

function isPlainPoint(publicKey: Uint8Array): boolean {
  return elementsOf(publicKey)?.[1]?.content[1] === PLAIN_POINT;
}

/** Of an RSA key, both its numbers; all others have the size of their kind. */
function isTakenSize({ asymmetricKeyDetails: { modulusLength: bits, publicExponent } = {} }: KeyObject): boolean {
  if (bits === undefined || publicExponent === undefined) return true;
  const exponent = publicExponent > 1n && publicExponent <= MAX_RSA_EXPONENT && publicExponent % 2n === 1n;
  return exponent && bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS;
}

/** A key, and the same as OpenSSL writes it. */
function readKey(publicKey: Uint8Array): { readonly key: KeyObject; readonly der: Buffer } | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
    return { key, der: key.export({ type: 'spki', format: 'der' }) };
  } catch {
    // What OpenSSL cannot read is no key; some of what it reads (the point at infinity) it cannot write.
    return undefined;
  }
}

function leafProblems(leaf: CertificateFields, { host, now }: DirectTrustQuestion): readonly TrustProblem[] {
  const whose = "the server's certificate";
  const problems: readonly Finding[] = [
    ...commonProblems(leaf, now),
    ...(namesHost(readServerNames(leaf), host) ? [] : [{ kind: 'names', text: 'is for another name' } as const]),
  ];
  return problems.map(({ kind, text }) => ({ kind, about: 'leaf', text: `${whose} ${text}` }));
}

function caProblems(ca: CertificateFields, now: Date): readonly TrustProblem[] {
  const whose = `the CA "${nameOf(ca)}" of the kubeconfig`;
  const keyUsage = valueOf(ca, EXTENSION.keyUsage);
  const problems: readonly Finding[] = [
    ...commonProblems(ca, now),
    ...(isAuthority(valueOf(ca, EXTENSION.basicConstraints)) ? [] : [form('is no CA certificate')]),
    ...(keyUsage === undefined || maySign(keyUsage)
      ? []
      : [{ kind: 'usage', text: 'may not sign certificates by its key usage' } as const]),
  ];
  return problems.map(({ kind, text }) => ({ kind, about: 'ca', text: `${whose} ${text}` }));
}

/** What Go asks of every certificate of a chain, the root included. */
function commonProblems(certificate: CertificateFields, now: Date): readonly Finding[] {
  return [...formProblems(certificate).map(form), ...dateProblems(certificate, now), ...usageProblems(certificate)];
}

function formProblems(certificate: CertificateFields): readonly string[] {
  const { extensions } = certificate;
  const servers = readServerNames(certificate);
  const unread = extensions.flatMap(({ type }) => UNREAD[type] ?? []);
  const understood =
    servers.dnsNames.length + servers.ipAddresses.length > 0 ? [...UNDERSTOOD, EXTENSION.subjectAltName] : UNDERSTOOD;
  const unknown = extensions.filter(({ type, critical }) => critical && !understood.includes(type));
  const names = [...certificate.issuerNames, ...certificate.subjectNames];
  return [
    ...(certificate.version === 3 ? [] : ['is no X.509 v3 certificate']),
    ...(certificate.negativeSerial ? ['has a negative serial number'] : []),
    ...(keyOf(certificate) === undefined ? ['has a key of a kind or size that is not taken'] : []),
    ...(same(certificate.algorithm, certificate.signedAlgorithm) ? [] : ['names two signature algorithms']),
    ...(names.every(({ value }) => value !== undefined) ? [] : ['has a name that cannot be read']),
    ...(new Set(extensions.map(({ type }) => type)).size === extensions.length ? [] : ['has an extension twice']),
    ...unread.map((name) => `has ${name}`),
    ...(unknown.length === 0 ? [] : ['has a critical extension that is not understood']),
    ...(extensions.every(wellFormed) ? [] : ['has an extension that cannot be read']),
    ...(servers.plain ? [] : ['has names that cannot be read']),
  ];
}

function dateProblems(certificate: CertificateFields, now: Date): readonly Finding[] {
  const { notBefore, notAfter } = certificate;
  if (notBefore === undefined || notAfter === undefined) return [form('has dates that cannot be read')];
  const time = now.getTime();
  return [
    ...(time > notAfter ? [{ kind: 'dates', text: `expired at ${isoOf(notAfter)}` } as const] : []),
    ...(time < notBefore ? [{ kind: 'dates', text: `is not valid before ${isoOf(notBefore)}` } as const] : []),
  ];
}

/** Go lets a usage through where every certificate of the chain names it, names any, or names none: the CA's count too. */
function usageProblems(certificate: CertificateFields): readonly Finding[] {
  const value = valueOf(certificate, EXTENSION.extendedKeyUsage);
  if (value === undefined) return [];
  const usages = elementsOf(value)?.map(({ bytes }) => hexOf(bytes)) ?? [];
  if (usages.includes(USAGE.any) || usages.includes(USAGE.serverAuth)) return [];
  const shown = usages.includes(USAGE.clientAuth) ? ' (it is for clients)' : '';
  return [{ kind: 'usage', text: `is not for servers by its extended key usage${shown}` }];
}

/** Those of the extensions that Go parses and that may stand here, each in the one form that Go takes. */
function wellFormed({ type, value }: CertificateExtension): boolean {
  if (!isObjectIdentifier(Buffer.from(type, 'hex'))) return false;
  switch (type) {
    case EXTENSION.basicConstraints:
      return constraintsOf(value) !== undefined;
    case EXTENSION.keyUsage:
      return bitsOf(value) !== undefined;
    case EXTENSION.extendedKeyUsage: {
      const usages = elementsOf(value);
      return usages !== undefined && usages.length > 0 && usages.every(isOid);
    }
    case EXTENSION.subjectKeyId:
      return elementOf(value)?.tag === TAG.octetString;
    case EXTENSION.authorityKeyId:
      return elementsOf(value) !== undefined;
    default:
      return true;
  }
}

const isOid = ({ tag, content }: ReturnType<typeof readElement>): boolean =>
  tag === TAG.oid && isObjectIdentifier(content);

function isAuthority(value: Uint8Array | undefined): boolean {
  return value !== undefined && constraintsOf(value)?.isAuthority === true;
}

/** BasicConstraints: a BOOLEAN and a length, both optional. A path length forbids nothing to a leaf right below (RFC 5280 4.2.1.9). */
function constraintsOf(value: Uint8Array): { readonly isAuthority: boolean } | undefined {
  const fields = elementsOf(value);
  if (fields === undefined) return undefined;
  const flag = fields[0]?.tag === TAG.boolean ? fields[0] : undefined;
  const [length, ...rest] = flag === undefined ? fields : fields.slice(1);
  const oddFlag = flag !== undefined && !['ff', '00'].includes(hexOf(flag.content));
  const oddLength =
    length !== undefined && (length.tag !== TAG.integer || !/^[0-7][0-9a-f]$/.test(hexOf(length.content)));
  if (oddFlag || oddLength || rest.length > 0) return undefined;
  return { isAuthority: flag !== undefined && hexOf(flag.content) === 'ff' };
}

function maySign(keyUsage: Uint8Array): boolean {
  return ((bitsOf(keyUsage)?.[0] ?? 0) & KEY_CERT_SIGN) !== 0;
}

/** The bytes of a BIT STRING, without its count of unused bits, which are all zero (X.690 11.2.1). */
function bitsOf(value: Uint8Array): Uint8Array | undefined {
  const element = elementOf(value);
  if (element?.tag !== TAG.bitString || element.content.length < 2) return undefined;
  const [unused = 8, last = 0] = [element.content[0], element.content.at(-1)];
  return unused < 8 && (last & ((1 << unused) - 1)) === 0 ? element.content.subarray(1) : undefined;
}

/** The elements of the SEQUENCE that `value` is; undefined for anything else. */
function elementsOf(value: Uint8Array): ReturnType<typeof readElements> | undefined {
  const list = elementOf(value);
  return list?.tag === TAG.sequence ? unlessMalformed(() => readElements(list.content)) : undefined;
}

function elementOf(value: Uint8Array): ReturnType<typeof readElement> | undefined {
  return unlessMalformed(() => readElement(value));
}

function valueOf({ extensions }: CertificateFields, type: string): Uint8Array | undefined {
  return extensions.find((extension) => extension.type === type)?.value;
}

function nameOf({ subjectNames }: CertificateFields): string {
  const labels: Readonly<Record<string, string>> = { '550403': 'CN', '55040a': 'O', '55040b': 'OU' };
  return subjectNames
    .flatMap(({ type, value }) => (labels[type] === undefined ? [] : [`${labels[type]}=${value ?? ''}`]))
    .join(', ');
}

function form(text: string): Finding {
  return { kind: 'form', text };
}

function isoOf(time: number): string {
  return timestamp(new Date(time));
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
