import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { CertletError } from '../errors.ts';
import { type DerElement, readElement, readElements } from './der-reader.ts';
import { NAME_TYPE, readName } from './distinguished-name.ts';
import { addressText } from './names-reader.ts';
import { encodePem, pemBlocks } from './pem.ts';
import { readExtension } from './x509-reader.ts';

/** What a PKCS#10 request asks for. */
export interface RequestFacts {
  /** Undefined unless there is exactly one that can be read. */
  readonly commonName: string | undefined;
  readonly organizations: readonly string[];
  /** As they stand in the request. */
  readonly dnsNames: readonly string[];
  /** Canonical text. */
  readonly ipAddresses: readonly string[];
  /** Names of any other kind, such as `email:a@example.com`. */
  readonly otherNames: readonly string[];
  /** `ECDSA-P256`, `RSA-2048`, `Ed25519`; another text for what Kubernetes has no name for. */
  readonly keyAlgorithm: string;
  /** What stands in the request that no kubelet puts there: further attributes of the subject, extensions, text around the block. */
  readonly oddities: readonly string[];
}

const SEQUENCE = 0x30;
const SET = 0x31;
const OID = 0x06;
const BIT_STRING = 0x03;
const ATTRIBUTES = 0xa0;
const EXTENSION_REQUEST = '2a864886f70d01090e';
const SUBJECT_ALT_NAME = '551d11';
const GENERAL_NAME = { email: 0x81, dns: 0x82, uri: 0x86, address: 0x87 } as const;
/** Signature algorithms of Go's crypto/x509 (the OID's bytes as hex): the kind of key that each is for, and its hash; Ed25519 has none of its own. */
const ALGORITHMS: Readonly<Record<string, readonly ['ec' | 'rsa' | 'ed25519', string | null]>> = {
  '2a8648ce3d040302': ['ec', 'sha256'],
  '2a8648ce3d040303': ['ec', 'sha384'],
  '2a8648ce3d040304': ['ec', 'sha512'],
  '2a864886f70d01010b': ['rsa', 'sha256'],
  '2a864886f70d01010c': ['rsa', 'sha384'],
  '2a864886f70d01010d': ['rsa', 'sha512'],
  '2b6570': ['ed25519', null],
};
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P256', secp384r1: 'P384', secp521r1: 'P521' };

/**
 * Reads a request (RFC 2986) without asking OpenSSL for more than its key, and checks that this key signed it. Whatever two readers could
 * understand differently is an oddity or an error: the signer is another program. Throws `ERR_CERTIFICATE_INVALID`.
 */
export function readRequest(pem: string): RequestFacts {
  try {
    return factsOf(pem);
  } catch (error) {
    if (!(error instanceof CertletError) || error.code !== 'ERR_API_PROTOCOL') throw error;
    throw new CertletError('ERR_CERTIFICATE_INVALID', `it is no PKCS#10 request: ${error.message}`, { cause: error });
  }
}

function factsOf(pem: string): RequestFacts {
  const [block] = pemBlocks(pem);
  if (block?.label !== 'CERTIFICATE REQUEST' || block.der === undefined)
    throw malformed('it does not begin with a CERTIFICATE REQUEST block');
  const [info, algorithm, signature] = parts(readElement(block.der), SEQUENCE, [3, 3]);
  const [version, subject, publicKey, attributes] = parts(info, SEQUENCE, [3, 4]);
  if (Buffer.from(version?.bytes ?? []).toString('hex') !== '020100') throw malformed('its version is not 1');
  const key = keyOf(publicKey);
  if (!isSigned(key, info, { algorithm, signature })) throw malformed('it is not signed by its own key');
  const { commonName, organizations, oddities } = subjectOf(required(subject));
  const requested = extensionsOf(attributes);
  return {
    commonName,
    organizations,
    ...requested.names,
    keyAlgorithm: algorithmOf(key),
    oddities: [...(isPlainPem(pem, block.der) ? [] : ['text around the request']), ...oddities, ...requested.oddities],
  };
}

function subjectOf(subject: DerElement): Pick<RequestFacts, 'commonName' | 'organizations' | 'oddities'> {
  const names = readName(subject);
  const of = (type: string): readonly (string | undefined)[] =>
    names.filter((name) => name.type === type).map(({ value }) => value);
  const commonNames = of(NAME_TYPE.commonName);
  const organizations = of(NAME_TYPE.organization);
  return {
    commonName: commonNames.length === 1 ? commonNames[0] : undefined,
    organizations: organizations.filter((value) => value !== undefined),
    oddities: [
      ...(commonNames.length > 1 ? ['several common names'] : []),
      ...(names.some(({ value }) => value === undefined) ? ['a subject that cannot be read'] : []),
      ...(names.length > commonNames.length + organizations.length
        ? ['a subject with more than common name and organizations']
        : []),
    ],
  };
}

/** Whether the text is this one block, in any line width, and nothing else. */
function isPlainPem(pem: string, der: Uint8Array): boolean {
  const bare = (text: string): string => text.replaceAll(/\s/g, '');
  return bare(pem) === bare(encodePem('CERTIFICATE REQUEST', der));
}

interface Requested {
  readonly names: Pick<RequestFacts, 'dnsNames' | 'ipAddresses' | 'otherNames'>;
  readonly oddities: readonly string[];
}

function extensionsOf(attributes: DerElement | undefined): Requested {
  const oddities: string[] = [];
  const lists: DerElement[] = [];
  if (attributes !== undefined && attributes.tag !== ATTRIBUTES) throw malformed('a field that PKCS#10 does not have');
  for (const attribute of attributes === undefined ? [] : readElements(attributes.content)) {
    const [type, set] = parts(attribute, SEQUENCE, [2, 2]);
    if (hex(type, OID) !== EXTENSION_REQUEST) oddities.push('an attribute that is no list of extensions');
    else lists.push(...parts(set, SET, [0, MANY]));
  }
  // Go reads the first of an attribute; others read all, or the last.
  if (lists.length > 1) oddities.push('several lists of extensions');
  const values = lists.flatMap((list) => altNamesOf(list, oddities));
  if (values.length > 1) oddities.push('several lists of names');
  // A stranger may repeat each as often as a megabyte allows.
  return { names: namesOf(values), oddities: [...new Set(oddities)] };
}

const MANY = 1000;

function altNamesOf(list: DerElement, oddities: string[]): readonly Uint8Array[] {
  const extensions = parts(list, SEQUENCE, [0, MANY]).map(readExtension);
  const others = extensions.filter(({ type }) => type !== SUBJECT_ALT_NAME);
  if (others.length > 0) oddities.push('an extension besides its names');
  return extensions.filter((extension) => !others.includes(extension)).map(({ value }) => value);
}

function namesOf(values: readonly Uint8Array[]): Requested['names'] {
  const names = { dnsNames: [] as string[], ipAddresses: [] as string[], otherNames: [] as string[] };
  for (const { tag, content } of values.flatMap((value) => parts(readElement(value), SEQUENCE, [0, MANY]))) {
    const text = Buffer.from(content).toString('latin1');
    const address = tag === GENERAL_NAME.address ? addressText(content) : undefined;
    if (tag === GENERAL_NAME.dns) names.dnsNames.push(text);
    else if (address !== undefined) names.ipAddresses.push(address);
    else if (tag === GENERAL_NAME.email) names.otherNames.push(`email:${text}`);
    else names.otherNames.push(tag === GENERAL_NAME.uri ? `URI:${text}` : 'of another kind');
  }
  return names;
}

function keyOf(element: DerElement | undefined): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(required(element).bytes), format: 'der', type: 'spki' });
  } catch {
    throw malformed('its public key cannot be read');
  }
}

/** Of a key that has signed: it is of a kind that `ALGORITHMS` names. */
function algorithmOf(key: KeyObject): string {
  const { modulusLength, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') return `RSA-${String(modulusLength)}`;
  return key.asymmetricKeyType === 'ec' ? `ECDSA-${CURVES[namedCurve] ?? namedCurve}` : 'Ed25519';
}

/** Go refuses an algorithm for another kind of key; OpenSSL looks at its hash alone. */
function isSigned(
  key: KeyObject,
  info: DerElement | undefined,
  { algorithm, signature }: { readonly algorithm: DerElement | undefined; readonly signature: DerElement | undefined },
): boolean {
  const [type] = parts(algorithm, SEQUENCE, [1, 2]);
  const [kind, hash = null] = ALGORITHMS[hex(type, OID)] ?? [];
  const bits = signature?.tag === BIT_STRING ? signature.content : Uint8Array.of();
  if (kind === undefined || kind !== key.asymmetricKeyType || bits[0] !== 0) return false;
  try {
    return verify(hash, required(info).bytes, key, bits.subarray(1));
  } catch {
    // OpenSSL refuses some signatures instead of saying no.
    return false;
  }
}

function parts(
  element: DerElement | undefined,
  tag: number,
  [least, most]: readonly [number, number],
): readonly DerElement[] {
  if (element?.tag !== tag) throw malformed('a field of another kind than PKCS#10 has there');
  const elements = readElements(element.content);
  if (elements.length < least || elements.length > most) throw malformed('a field too many or too few');
  return elements;
}

function hex(element: DerElement | undefined, tag: number): string {
  return element?.tag === tag ? Buffer.from(element.content).toString('hex') : '';
}

function required(element: DerElement | undefined): DerElement {
  if (element === undefined) throw malformed('a field is missing');
  return element;
}

function malformed(message: string): CertletError {
  return new CertletError('ERR_API_PROTOCOL', message);
}
