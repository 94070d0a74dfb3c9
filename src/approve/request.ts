import { JsonFields } from '../csr/json-fields.ts';
import { usagesWith } from '../csr/spec.ts';
import { CertletError, isCertletError } from '../errors.ts';
import { readRequest, type RequestFacts } from '../pki/request-reader.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from './settings.ts';

/** A CertificateSigningRequest as an approver reads it, of either version of the API. */
export interface SigningRequest {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly createdAt: Date;
  /** As told, or as servers before 1.18 would have guessed it. */
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly expirationSeconds: number | undefined;
  readonly username: string;
  readonly groups: readonly string[];
  /** `spec.uid` and `spec.extra` of the requester, as they are for an access review. */
  readonly identity: Readonly<Record<string, unknown>>;
  readonly content: RequestFacts | CertletError;
  /** What was decided; undefined while it is pending. */
  readonly decided: 'Approved' | 'Denied' | 'Failed' | undefined;
  /** When it was approved, where it was. */
  readonly approvedAt: Date | undefined;
}

const LEGACY_SIGNER = 'kubernetes.io/legacy-unknown';
const DECISIONS = ['Approved', 'Denied', 'Failed'] as const;

/** Checked decode of one object. Throws `ERR_API_PROTOCOL` for what is no request; a PKCS#10 that cannot be read is a value. */
export function decodeSigningRequest(json: unknown): SigningRequest {
  const object = new JsonFields(json, 'CertificateSigningRequest', 'ERR_API_PROTOCOL');
  const metadata = object.object('metadata');
  const spec = object.object('spec');
  const conditions = object.has('status') ? object.object('status').objects('conditions') : [];
  const content = contentOf(spec.base64Text('request'));
  const usages = spec.texts('usages');
  const decided = DECISIONS.find((type) => conditions.some((condition) => condition.text('type') === type));
  const approval = conditions.find((condition) => condition.text('type') === 'Approved');
  const createdAt = timeOf(metadata.optionalText('creationTimestamp'));
  return {
    name: metadata.filledText('name'),
    uid: metadata.filledText('uid'),
    resourceVersion: metadata.filledText('resourceVersion'),
    createdAt: createdAt ?? new Date(0),
    signerName: spec.optionalText('signerName') ?? guessedSigner(content, usages),
    usages,
    expirationSeconds: spec.has('expirationSeconds') ? spec.integer('expirationSeconds') : undefined,
    username: spec.optionalText('username') ?? '',
    groups: spec.texts('groups'),
    identity: { uid: spec.optionalText('uid'), extra: spec.plain('extra') },
    content,
    decided,
    approvedAt: approval === undefined ? undefined : (timeOf(approval.optionalText('lastUpdateTime')) ?? createdAt),
  };
}

function contentOf(pem: string): RequestFacts | CertletError {
  try {
    return readRequest(pem);
  } catch (error) {
    if (isCertletError(error, 'ERR_CERTIFICATE_INVALID')) return error;
    throw error;
  }
}

/** RFC 3339 as Kubernetes writes it, whole seconds or parts of them. */
function timeOf(text: string | undefined): Date | undefined {
  const time = new Date(text ?? '');
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** Servers before 1.18 have no signerName: their signer goes by usages and subject, as v1beta1's defaults do later (apis/certificates/v1beta1). */
function guessedSigner(content: RequestFacts | CertletError, usages: readonly string[]): string {
  if (content instanceof CertletError || content.commonName?.startsWith(NODE_PREFIX) !== true) return LEGACY_SIGNER;
  if (isUsageSet(usages, 'client auth')) return CLIENT_SIGNER;
  return isUsageSet(usages, 'server auth') ? SERVING_SIGNER : LEGACY_SIGNER;
}

/** What the names of nodes begin with as users (Node authorizer). */
export const NODE_PREFIX = 'system:node:';
/** The group of all nodes. */
export const NODES_GROUP = 'system:nodes';

/** Exactly what kubelets send: digital signature, this one, and key encipherment (up to 1.26, and RSA keys) or not. */
export function isUsageSet(usages: readonly string[], auth: 'client auth' | 'server auth'): boolean {
  return [true, false].some((encipherment) => sameSet(usages, usagesWith(['digital signature', auth], encipherment)));
}

/** Whether both hold the same texts, each any number of times. */
export function sameSet(one: readonly string[], other: readonly string[]): boolean {
  return one.every((item) => other.includes(item)) && other.every((item) => one.includes(item));
}
