import { JsonFields } from './json-fields.ts';
import type { KeyUsage } from './spec.ts';

export type CsrApiVersion = 'v1' | 'v1beta1';

export interface CsrCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** The parts of a CertificateSigningRequest that certlet reads, of either API version. */
export interface CertificateSigningRequest {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  /** PEM of the PKCS#10 request. */
  readonly requestPem: string;
  readonly signerName: string | undefined;
  readonly usages: readonly string[];
  readonly expirationSeconds: number | undefined;
  readonly username: string;
  readonly conditions: readonly CsrCondition[];
  /** `status.certificate` as text (already base64-decoded), undefined while not issued. */
  readonly certificatePem: string | undefined;
}

export interface CsrToCreate {
  readonly name: string;
  readonly requestPem: string;
  readonly signerName: string;
  readonly usages: readonly KeyUsage[];
  readonly expirationSeconds?: number;
}

/** One event of a watch; BOOKMARK carries only the resourceVersion; ERROR carries the Status code (410 means start again). */
export type CsrWatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: CertificateSigningRequest }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly code: number; readonly message: string };

const GROUP = 'certificates.k8s.io';
const KIND = 'CertificateSigningRequest';
const CODE = 'ERR_API_PROTOCOL';

/**
 * JSON body for the POST. v1beta1 carries the signerName too: servers before 1.18, which do not know the field, drop it, and 1.18
 * would otherwise guess it from the subject.
 */
export function encodeCsr(version: CsrApiVersion, csr: CsrToCreate): string {
  return JSON.stringify({
    apiVersion: `${GROUP}/${version}`,
    kind: KIND,
    metadata: { name: csr.name },
    spec: {
      request: Buffer.from(csr.requestPem, 'utf8').toString('base64'),
      signerName: csr.signerName,
      usages: csr.usages,
      ...(csr.expirationSeconds === undefined ? {} : { expirationSeconds: csr.expirationSeconds }),
    },
  });
}
/** Checked decode of one object. Throws `ERR_API_PROTOCOL` naming the field. */
export function decodeCsr(json: unknown): CertificateSigningRequest {
  return readCsr(new JsonFields(json, KIND, CODE));
}

function readCsr(object: JsonFields): CertificateSigningRequest {
  const kind = object.optionalText('kind');
  // Absent in the items of a list.
  if (kind !== undefined && kind !== KIND)
    throw object.failure('kind', `expected ${KIND}, found ${JSON.stringify(kind.slice(0, 64))}`);
  const metadata = object.object('metadata');
  const spec = object.object('spec');
  const status = object.has('status') ? object.object('status') : undefined;
  return {
    name: metadata.filledText('name'),
    uid: metadata.filledText('uid'),
    resourceVersion: metadata.filledText('resourceVersion'),
    creationTimestamp: metadata.optionalText('creationTimestamp') ?? '',
    requestPem: spec.base64Text('request'),
    // Unknown to servers before 1.18.
    signerName: spec.optionalText('signerName'),
    usages: spec.texts('usages'),
    expirationSeconds: spec.has('expirationSeconds') ? spec.integer('expirationSeconds') : undefined,
    username: spec.optionalText('username') ?? '',
    conditions: status?.objects('conditions').map(decodeCondition) ?? [],
    certificatePem: status === undefined ? undefined : decodeCertificate(status),
  };
}
/** Checked decode of one watch line. Throws `ERR_API_PROTOCOL`. */
export function decodeWatchEvent(json: unknown): CsrWatchEvent {
  const event = new JsonFields(json, 'watch event', CODE);
  const type = event.oneOf('type', ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);
  const object = event.object('object');
  if (type === 'BOOKMARK') return { type, resourceVersion: object.object('metadata').filledText('resourceVersion') };
  if (type !== 'ERROR') return { type, object: readCsr(object) };
  // A Status object; a code that is missing is a server's failure, which means starting again as well.
  const code = object.has('code') ? object.integer('code') : 500;
  return { type, code, message: object.optionalText('message') ?? '' };
}

/** v1beta1 before 1.19 has no `status` in conditions, and an empty one means True there. */
function decodeCondition(condition: JsonFields): CsrCondition {
  const status = condition.optionalText('status') ?? '';
  return {
    type: condition.filledText('type'),
    status: status === '' ? 'True' : status,
    reason: condition.optionalText('reason') ?? '',
    message: condition.optionalText('message') ?? '',
  };
}

function decodeCertificate(status: JsonFields): string | undefined {
  const text = status.has('certificate') ? status.base64Text('certificate') : '';
  return text === '' ? undefined : text;
}
