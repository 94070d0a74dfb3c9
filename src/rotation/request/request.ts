import { CertletError, type ErrorCode, isCertletError } from '../../errors.ts';
import { byHand } from '../../remedy.ts';
import { refusedRemedy, requestIncompatibilities, type RequestOutcome } from '../../csr/outcome.ts';
import { keptApproval } from '../../csr/past-request.ts';
import type { PendingRequest } from '../../csr/pending.ts';
import { isNameDropped, reachesSigner, unreachedSigner } from '../../csr/signer-names.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import { type CertificateTemplate, requestName, templateDigest } from '../../csr/template.ts';
import type { CertificateSigningRequest, CsrApiVersion } from '../../csr/wire.ts';
import { encodePrivateKey, generatePrivateKey, parsePrivateKey } from '../../pki/keys.ts';
import { minorOf } from '../../kubelet/facts.ts';
import { createRequest } from '../../pki/pkcs10.ts';
import type { ApiConnection } from '../../ports.ts';
import type { JudgedTime } from '../rules/clock-judge.ts';
import { judgedNow, type RotationContext } from '../rotation-context.ts';
import type { Asker } from '../node/node-identity.ts';
import { type FinalOutcome, readRequest, waitForOutcome } from './wait.ts';

/**
 * Before anything is asked: throws `ERR_CSR_SIGNER` where the request would go to another signer than the one that the spec names. Costs a request
 * (`/version`) only where the server may be too old. Throws what the API throws.
 */
export async function requireSigner(
  { connections }: RotationContext,
  asker: Asker,
  { name, signerName }: Pick<CertificateSpec, 'name' | 'signerName'>,
  at: { readonly version: CsrApiVersion; readonly signal: AbortSignal },
): Promise<void> {
  const { version, signal } = at;
  if (reachesSigner(signerName, { version, minor: undefined }) === 'yes') return;
  const minor = await serverMinor(asker.api, signal);
  if (reachesSigner(signerName, { version, minor }) !== 'no') return;
  // The cluster may be upgraded before this is looked at again.
  connections.forgetVersion(asker.cluster);
  throw new CertletError('ERR_CSR_SIGNER', unreachedSigner(signerName), {
    remedy: byHand(
      `Upgrade the API server to 1.18 or later, or take ${name} out of certificates in the settings.   # then certlet renew ${name}, or systemctl reload certlet`,
    ),
  });
}

/** Undefined where the server hides its version, or has none. */
async function serverMinor(api: ApiConnection, signal: AbortSignal): Promise<number | undefined> {
  try {
    const answer = await api.request('GET', '/version', undefined, signal);
    const version =
      typeof answer === 'object' && answer !== null && 'gitVersion' in answer ? answer.gitVersion : undefined;
    return typeof version === 'string' ? minorOf(version) : undefined;
  } catch (error) {
    if (isCertletError(error, 'ERR_API_FORBIDDEN', 'ERR_API_NOT_FOUND', 'ERR_API_REJECTED', 'ERR_API_PROTOCOL'))
      return undefined;
    throw error;
  }
}

/**
 * A new request with a new key, on disk before it is posted. Every terminal outcome leads here: a key is never used for two requests.
 * Throws what the store throws.
 */
export async function createPending(
  context: RotationContext,
  spec: CertificateSpec,
  asked: { readonly template: CertificateTemplate; readonly gained: readonly string[] },
): Promise<PendingRequest> {
  const { template, gained } = asked;
  const { options, clock, store } = context;
  const key = await generatePrivateKey(spec.keyAlgorithm);
  const createdAt = clock.now();
  const record: PendingRequest = {
    purpose: template.purpose,
    name: requestName(key.publicKeyDer, template),
    keyPem: encodePrivateKey(key),
    requestPem: createRequest(template, key),
    template,
    templateDigest: templateDigest(template),
    nodeName: options.nodeName,
    certDir: options.certDir,
    createdAt,
    ...(gained.length === 0 ? {} : { gained }),
  };
  await store.writePending(template.purpose, record);
  return record;
}

/** Why a pending record cannot be resumed here: it is for another node name or was copied from another cert-dir. */
export function pendingMisfits(
  record: PendingRequest,
  here: { readonly nodeName: string; readonly certDir: string },
): readonly string[] {
  return [
    ...(record.nodeName === here.nodeName ? [] : [`it asks for node ${record.nodeName}`]),
    ...(record.certDir === here.certDir ? [] : [`it belongs to ${record.certDir}`]),
  ];
}

export interface ObtainHooks {
  /** The object was seen: for status and log. */
  readonly seen: (csr: CertificateSigningRequest, outcome: RequestOutcome) => void;
  /** The record on disk is now this one. */
  readonly recorded: (record: PendingRequest) => void;
}

/**
 * Takes a pending request to its issued chain: POST once (or compare on 409), wait, write down what came before any check.
 * Returns the record with `issuedPem`. Throws `ERR_CSR_*` for the terminal outcomes and what the API throws.
 */
export async function obtain(
  context: RotationContext,
  asker: Asker,
  record: PendingRequest,
  flow: ObtainHooks & { readonly signal: AbortSignal },
): Promise<PendingRequest> {
  if (record.issuedPem !== undefined) return record;
  const version = await context.connections.csrVersion(asker.cluster, asker.api, flow.signal);
  const { signal } = flow;
  const { csr, posted } = await stillServed(context, asker, { version, signal }, () =>
    locate(context, asker, { record, version, signal }),
  );
  if (record.uid !== undefined && record.uid !== csr.uid) {
    throw new CertletError('ERR_CSR_DELETED', `certificate signing request ${record.name} changed UIDs`);
  }
  const asked = record.uid === undefined ? { ...record, uid: csr.uid, ...digestOf(asker) } : record;
  if (asked !== record) await save(context, asked, flow);
  if (posted) sayPosted(context, asker, record, csr);
  checkSignerKept(record, csr);
  const { clock, chance } = context;
  const waiting = { api: asker.api, version, clock, chance, signal: flow.signal, seen: flow.seen };
  const outcome = await stillServed(context, asker, { version, signal: flow.signal }, () =>
    waitForOutcome(csr, waiting),
  );
  const { certificatePem: issuedPem, approval } = issuedOrThrow(record, outcome);
  const issued = { ...asked, issuedPem, ...momentOf(judgedNow(context)), approval: keptApproval(approval) };
  await save(context, issued, flow);
  return issued;
}

/** The object as the server keeps it: throws `ERR_CSR_SIGNER` where it has dropped the signer's name. */
function checkSignerKept({ name, template }: PendingRequest, csr: CertificateSigningRequest): void {
  if (!isNameDropped(template.signerName, csr.signerName)) return;
  throw new CertletError(
    'ERR_CSR_SIGNER',
    `${unreachedSigner(template.signerName)}: certificate signing request ${name} must not be approved`,
    { remedy: `kubectl certificate deny ${name}` },
  );
}

/**
 * A 404 may mean that a control plane upgrade took this API version away: the request lives on in the other. Throws `ERR_API_NOT_FOUND` then,
 * which leaves the record to be resumed.
 */
async function stillServed<T>(
  context: RotationContext,
  asker: Asker,
  at: { readonly version: CsrApiVersion; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isCertletError(error, 'ERR_CSR_DELETED') || !isCertletError(error.cause, 'ERR_API_NOT_FOUND')) throw error;
    context.connections.forgetVersion(asker.cluster);
    const now = await context.connections.csrVersion(asker.cluster, asker.api, at.signal);
    if (now === at.version) throw error;
    const message = `the server serves certificatesigningrequests in ${now} now, no longer in ${at.version}`;
    throw new CertletError('ERR_API_NOT_FOUND', message, { cause: error });
  }
}

/** Of receipt: a clock that is ahead must not make a fresh certificate look like one that is almost over. */
const momentOf = ({ local, earliest }: JudgedTime): Pick<PendingRequest, 'receivedAt' | 'receivedByServer'> => ({
  receivedAt: local,
  ...(earliest < local ? { receivedByServer: earliest } : {}),
});

const digestOf = ({ digest }: Asker): Pick<PendingRequest, 'askerDigest'> =>
  digest === undefined ? {} : { askerDigest: digest };

async function save(context: RotationContext, record: PendingRequest, flow: ObtainHooks): Promise<void> {
  await context.store.writePending(record.purpose, record);
  flow.recorded(record);
}

interface Locating {
  readonly record: PendingRequest;
  readonly version: CsrApiVersion;
  readonly signal: AbortSignal;
}

/** Finds the object of a request that was posted, or posts it. */
async function locate(
  context: RotationContext,
  asker: Asker,
  at: Locating,
): Promise<{ readonly csr: CertificateSigningRequest; readonly posted: boolean }> {
  const { record, version, signal } = at;
  if (record.uid !== undefined) {
    const csr = await readRequest(record.name, { api: asker.api, version, signal });
    context.log.log('info', 'Resuming the pending certificate signing request', {
      purpose: record.purpose,
      csr: record.name,
      created: record.createdAt,
    });
    return { csr, posted: false };
  }
  const { name, requestPem, template } = record;
  const { signerName, usages, expirationSeconds } = template;
  const body = {
    name,
    requestPem,
    signerName,
    usages,
    ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
  };
  try {
    return { csr: await asker.api.createCsr(version, body, signal), posted: true };
  } catch (error) {
    if (isCertletError(error, 'ERR_API_NOT_FOUND')) context.connections.forgetVersion(asker.cluster);
    if (!isCertletError(error, 'ERR_API_CONFLICT')) throw error;
    return { csr: await compareExisting(context, asker, at), posted: false };
  }
}

/** An object of that name exists: ours, if it holds our key, subject and names (client-go's ensureCompatible); blind reuse would pair a foreign certificate with our key. */
async function compareExisting(
  context: RotationContext,
  asker: Asker,
  { record, version, signal }: Locating,
): Promise<CertificateSigningRequest> {
  const csr = await readRequest(record.name, { api: asker.api, version, signal });
  const key = parsePrivateKey(record.keyPem);
  const { requestPem, template } = record;
  const problems = requestIncompatibilities(csr, { requestPem, template, key, now: context.clock.now() });
  if (problems.length > 0) {
    throw new CertletError(
      'ERR_CSR_INCOMPATIBLE',
      `certificate signing request ${record.name} exists and is not ours: ${problems.join('; ')}`,
    );
  }
  context.log.log('info', 'csr for this node already exists, reusing', { purpose: record.purpose, csr: record.name });
  return csr;
}

function sayPosted(
  context: RotationContext,
  asker: Asker,
  record: PendingRequest,
  csr: CertificateSigningRequest,
): void {
  const { purpose, template } = record;
  const names = [...template.dnsNames, ...template.ipAddresses];
  context.log.log('info', 'Certificate signing request created', {
    purpose,
    csr: record.name,
    as: asker.api.identity.label,
    names: names.length === 0 ? undefined : names,
  });
  const asked = template.expirationSeconds;
  if (asked !== undefined && csr.expirationSeconds === undefined) {
    context.log.log('warn', 'The server dropped expirationSeconds: it knows the field from Kubernetes 1.22 on', {
      purpose,
      asked,
    });
  }
}

function issuedOrThrow(
  { name, template }: PendingRequest,
  outcome: FinalOutcome,
): Extract<FinalOutcome, { readonly kind: 'issued' }> {
  switch (outcome.kind) {
    case 'issued':
      return outcome;
    case 'denied':
      throw new CertletError(
        'ERR_CSR_DENIED',
        `certificate signing request ${name} is denied, reason: ${outcome.reason}, message: ${outcome.message}`,
        { remedy: refusedRemedy(template, outcome.message) },
      );
    case 'failed':
      throw new CertletError(
        outcome.usages ? 'ERR_CSR_USAGES' : 'ERR_CSR_FAILED',
        `certificate signing request ${name} failed, reason: ${outcome.reason}, message: ${outcome.message}`,
        outcome.usages ? {} : { remedy: refusedRemedy(template, outcome.message) },
      );
    case 'changed uid':
      throw new CertletError('ERR_CSR_DELETED', `certificate signing request ${name} changed UIDs`);
  }
}

/** These end a request; whatever else goes wrong leaves it to be resumed. */
const ENDINGS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_CSR_DENIED',
  'ERR_CSR_FAILED',
  'ERR_CSR_USAGES',
  'ERR_CSR_SIGNER',
  'ERR_CSR_DELETED',
  'ERR_CSR_INCOMPATIBLE',
  'ERR_ISSUED_EXPIRED',
  'ERR_ISSUED_UNACCEPTABLE',
  'ERR_ISSUED_REFUSED',
]);

/** Whether an error ends the request. Refused at the POST counts too: no object exists, so changed settings may lead to a better request. */
export function endsRequest(error: CertletError, record: Pick<PendingRequest, 'uid' | 'issuedPem'>): boolean {
  // Issued in the very moment of superseding: what came is taken into use first.
  if (error.code === 'ERR_CSR_SUPERSEDED') return record.issuedPem === undefined;
  return ENDINGS.has(error.code) || (error.code === 'ERR_API_REJECTED' && record.uid === undefined);
}
