import { verify } from 'node:crypto';
import { CertletError } from '../errors.ts';
import { type DerElement, readElement, readElements } from './der-reader.ts';
import type { PrivateKey } from './keys.ts';
import { describePem, pemBlocks } from './pem.ts';
import { signatureHash } from './x509-parts.ts';

interface RequestParts {
  /** CertificationRequestInfo: the bytes that are signed. */
  readonly info: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly attributes: Uint8Array;
  readonly algorithm: Uint8Array;
  readonly signature: Uint8Array;
}

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;

/**
 * Why a stored request is not the one that we made; empty means that it is ours: same subject, key and names, signed by `key`.
 *
 * The parts are compared as bytes, not as parsed values. Whoever asks has the exact request it made, and equal content and
 * key encode to equal bytes, so only the signature may differ (ECDSA signatures are random). That needs no ASN.1 parser
 * on bytes that a stranger may have put into the cluster. The price: a request with the same meaning in other bytes counts as
 * different, which costs a new key and nothing else.
 */
export function requestDifferences(storedPem: string, ourPem: string, key: PrivateKey): readonly string[] {
  let stored: RequestParts;
  try {
    stored = requestParts(storedPem);
  } catch (error) {
    if (error instanceof CertletError) return [`the stored request cannot be read: ${error.message}`];
    throw error;
  }
  const ours = requestParts(ourPem);
  const fields = {
    subject: 'subject',
    publicKey: 'public key',
    attributes: 'names',
    algorithm: 'signature algorithm',
  } as const;
  const differing = (Object.keys(fields) as (keyof typeof fields)[]).filter(
    (field) => !same(stored[field], ours[field]),
  );
  const differences = differing.map((field) => `another ${fields[field]}`.replace('another names', 'other names'));
  if (!isSignedBy(stored, key)) differences.push('not signed by our key');
  return differences;
}

/** Only the first block counts, as for the API server. */
function requestParts(pem: string): RequestParts {
  const blocks = pemBlocks(pem);
  const der = blocks[0]?.label === 'CERTIFICATE REQUEST' ? blocks[0].der : undefined;
  if (der === undefined)
    throw malformed(`expected a CERTIFICATE REQUEST block, found ${describePem(blocks, pem.length)}`);
  const [info, algorithm, signature] = parts(readElement(der), 3);
  const [, subject, publicKey, attributes] = parts(info, 4);
  if (!info || !algorithm || !signature || !subject || !publicKey || !attributes)
    throw malformed('it is no PKCS#10 request');
  return {
    info: info.bytes,
    subject: subject.bytes,
    publicKey: publicKey.bytes,
    attributes: attributes.bytes,
    algorithm: algorithm.bytes,
    signature: bitsOf(signature),
  };
}

function parts(element: DerElement | undefined, count: number): readonly DerElement[] {
  const elements = element?.tag === SEQUENCE ? readElements(element.content) : [];
  if (elements.length !== count) throw malformed('it is no PKCS#10 request');
  return elements;
}

/** A BIT STRING starts with its count of unused bits, which is zero for whole bytes. */
function bitsOf(element: DerElement): Uint8Array {
  if (element.tag !== BIT_STRING || element.content[0] !== 0) throw malformed('it is no PKCS#10 request');
  return element.content.subarray(1);
}

function isSignedBy(request: RequestParts, key: PrivateKey): boolean {
  return verify(signatureHash(key), request.info, key.object, request.signature);
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

function malformed(message: string): CertletError {
  return new CertletError('ERR_API_PROTOCOL', message);
}
