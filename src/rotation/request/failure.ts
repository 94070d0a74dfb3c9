import { refusedRemedy } from '../../csr/outcome.ts';
import { asCertletError, CertletError, isCertletError } from '../../errors.ts';
import type { PendingRequest, RequestHistory } from '../../csr/pending.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import { type CertificateTemplate, templateDigest } from '../../csr/template.ts';
import type { RotationContext } from '../rotation-context.ts';
import { type ManagerState, openAt, type RetryGate } from '../manager-state.ts';
import { endsRequest } from './request.ts';
import { ERROR_RULES, type ErrorCode } from '../../error-rules.ts';
import type { AgentEvent, Logger } from '../../ports.ts';
import { type JudgedTime, NAMED_SKEW_MS, skewText } from '../rules/clock-judge.ts';
import { capWait, refusalBackoffMs, retryDelayMs, SHARE_OF_LEFT } from '../rules/retry.ts';
import { leftMs } from '../rules/schedule.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';

/**
 * What a failed attempt means for its request: after a terminal outcome the record goes, and a refusal is kept, so that a restart does not ask
 * again at once. Returns what to throw; throws what the store throws, with the record still there.
 */
export async function endAttempt(context: RotationContext, state: ManagerState, thrown: unknown): Promise<unknown> {
  const { store, log, clock } = context;
  const { spec, pending: record } = state;
  const error = usagesTriedTwice(asCertletError(thrown), record, spec);
  if (record === undefined || !endsRequest(error, record)) return thrown;
  const { purpose } = record;
  let next: RequestHistory = state.history;
  if (error.code === 'ERR_CSR_USAGES') {
    const keyEncipherment = !spec.usages.includes('key encipherment');
    log.log('info', 'The signer wants the other set of usages; asking once more', { purpose, keyEncipherment });
    const { lastRequestAt: _spacing, ...history } = state.history;
    next = { ...history, keyEncipherment };
  } else if (error.code === 'ERR_CSR_FAILED' && isCertletError(error.cause, 'ERR_CSR_USAGES')) {
    // Neither set is taken today: after the hours of a refusal both are tried again, since signers are upgraded.
    const { keyEncipherment: _switched, renewWantedAt: _wish, ...history } = state.history;
    const refused = { ...record, templateDigest: templateDigest(byDefault(record, spec)) };
    next = { ...history, refusal: refusalOf(refused, error, { state, at: clock.now() }) };
  } else if (isRefusal(error)) {
    // What an administrator asked for stays asked for, unless the cluster has said no.
    const { renewWantedAt: _wish, ...history } = state.history;
    next = { ...history, refusal: refusalOf(record, error, { state, at: clock.now() }) };
  }
  await state.rewriteHistory(store, next);
  await store.removePending(purpose);
  state.pending = undefined;
  return error;
}

/** The template of a request as its spec alone would have it. */
const byDefault = ({ template }: PendingRequest, { usages }: CertificateSpec): CertificateTemplate => ({
  ...template,
  usages,
});

/** A signer that wants neither set is a failure like any other. Told by what was asked: the history may have been switched before a crash. */
function usagesTriedTwice(
  error: CertletError,
  record: PendingRequest | undefined,
  { name, usages, usagesNegotiable }: CertificateSpec,
): CertletError {
  const asked = record?.template.usages.includes('key encipherment');
  const asByDefault = asked === usages.includes('key encipherment');
  if (error.code !== 'ERR_CSR_USAGES' || (asByDefault && usagesNegotiable)) return error;
  const remedy = usagesNegotiable
    ? `Neither set of usages is taken; once the signer is mended: certlet renew ${name}`
    : `Set usages of ${name} in the settings to what the signer takes, then: systemctl reload certlet`;
  return new CertletError('ERR_CSR_FAILED', error.message, { cause: error, remedy });
}

function refusalOf(
  record: PendingRequest,
  error: CertletError,
  past: { readonly state: ManagerState; readonly at: Date },
): NonNullable<RequestHistory['refusal']> {
  const count = (past.state.history.refusal?.count ?? 0) + 1;
  const { templateDigest: refused, askerDigest } = record;
  const asker = askerDigest === undefined ? {} : { askerDigest };
  return { code: error.code, message: error.message, at: past.at, count, templateDigest: refused, ...asker };
}

/** The cluster said no: kept in the history, so that a restart does not ask again at once. */
export const isRefusal = (error: CertletError): boolean =>
  isCertletError(
    error,
    'ERR_CSR_DENIED',
    'ERR_CSR_FAILED',
    'ERR_CSR_SIGNER',
    'ERR_ISSUED_UNACCEPTABLE',
    'ERR_ISSUED_REFUSED',
  );

/** The kind of event that an error is told as. */
export function eventKind(error: CertletError): Extract<AgentEvent['kind'], 'denied' | 'failed' | 'error'> {
  if (error.code === 'ERR_CSR_DENIED') return 'denied';
  return isRefusal(error) ? 'failed' : 'error';
}

/** When to try again after a failed attempt. A refusal is paced by how often the cluster has said no, not by this process's failures. */
export function gateAfter(
  state: Pick<ManagerState, 'current' | 'history' | 'failures'>,
  error: CertletError,
  at: { readonly now: JudgedTime; readonly roll: number; readonly refusedBackoffMs: number },
): RetryGate {
  const refusal = isRefusal(error) ? state.history.refusal : undefined;
  const delayMs = retryDelayMs({
    error,
    failures: refusal?.count ?? state.failures,
    refusedPairs: error.code === 'ERR_ISSUED_REFUSED' ? refusal?.count : undefined,
    roll: at.roll,
    msToExpiry: leftMs(state.current?.chain.leaf, at.now),
    refusedBackoffMs: at.refusedBackoffMs,
  });
  return {
    setAt: at.now.local,
    at: new Date(at.now.local.getTime() + delayMs),
    refusedDigest: refusal?.templateDigest,
    refusedAsker: refusal?.askerDigest,
  };
}

/** After a restart: the gate that an earlier refusal still is, and what it said, so that the pause has its reason. False when it is none any more. */
export function recallRefusal(
  state: Pick<ManagerState, 'current' | 'history' | 'retry' | 'lastError' | 'spec'>,
  now: Date,
  refusedBackoffMs: number,
): boolean {
  const { refusal } = state.history;
  state.retry = gateOfRefusal(state, refusedBackoffMs);
  if (refusal === undefined || openAt(state.retry, now) === undefined) return false;
  const code = isErrorCode(refusal.code) ? refusal.code : 'ERR_CSR_FAILED';
  const { message, at } = refusal;
  const { name: purpose, expirationSeconds } = state.spec;
  state.lastError = { code, message, remedy: refusedRemedy({ purpose, expirationSeconds }, message), at };
  return true;
}

/** Says at a start why nothing is asked: the line of the refusal itself may be in a journal that is gone. */
export function sayRecalled(log: Logger, state: Pick<ManagerState, 'lastError' | 'retry'>, purpose: string): void {
  const { code, message, remedy, at } = state.lastError ?? {};
  const event = 'An earlier request was refused; waiting before the next one';
  log.log('warn', event, { purpose, code, error: message, at, remedy, retry: state.retry?.at });
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_RULES, code);

function gateOfRefusal(
  { current, history: { refusal } }: Pick<ManagerState, 'current' | 'history'>,
  refusedBackoffMs: number,
): RetryGate | undefined {
  if (refusal === undefined) return undefined;
  const left = leftMs(current?.chain.leaf, { earliest: refusal.at, latest: refusal.at });
  const hoursMs = refusalBackoffMs(refusal.code, refusal.count, refusedBackoffMs);
  const backoffMs = capWait(hoursMs, left, SHARE_OF_LEFT.refusal);
  return {
    setAt: refusal.at,
    at: new Date(refusal.at.getTime() + backoffMs),
    refusedDigest: refusal.templateDigest,
    refusedAsker: refusal.askerDigest,
  };
}

/** How a failure is told: more loudly from the fourth in a row on, and in client-go's words where the signer has said no. */
export function sayFailure(
  log: Logger,
  error: CertletError,
  at: { readonly purpose: string; readonly failures: number; readonly retry: Date },
): void {
  const { purpose, failures, retry } = at;
  const { code, message, remedy } = error;
  const fields = { purpose, code, error: message, remedy, retry };
  if (isCertletError(error, 'ERR_CSR_DENIED', 'ERR_CSR_FAILED', 'ERR_CSR_USAGES')) {
    log.log(failures > 3 ? 'error' : 'warn', 'Certificate request was not signed', fields);
  } else {
    log.log(failures > 3 ? 'error' : 'warn', 'Failed while requesting a signed certificate', fields);
  }
}

/**
 * When TLS fails on dates, looks at the server's certificate and `Date` over a connection that is not verified and carries no credential,
 * and returns the error with a message that says whose clock is off. For the message only: nothing is decided by what that look shows.
 */
export async function explainTlsDates(
  context: RotationContext,
  cluster: ClusterAccess,
  error: CertletError,
  signal: AbortSignal,
): Promise<CertletError> {
  const now = context.clock.now();
  try {
    const { certificate, serverDate } = await context.connector.glimpse(cluster, signal);
    const skewMs = serverDate === undefined ? undefined : now.getTime() - serverDate.getTime();
    const dates = certificate
      ? `; the server's certificate is valid from ${certificate.notBefore.toISOString()} to ${certificate.notAfter.toISOString()}`
      : '';
    const clock =
      skewMs === undefined || Math.abs(skewMs) < NAMED_SKEW_MS
        ? `this node's clock (${now.toISOString()}) agrees with the server's`
        : `this node's clock (${now.toISOString()}) is ${skewText(skewMs)} the server's`;
    const ours = skewMs !== undefined && Math.abs(skewMs) >= NAMED_SKEW_MS;
    return new CertletError('ERR_API_TLS_DATES', `${error.message}${dates}; ${clock}`, {
      cause: error,
      remedy: ours
        ? 'set the clock: timedatectl set-ntp true (or hwclock)'
        : "renew the API server's certificate (kubeadm certs renew apiserver)",
    });
  } catch (failure) {
    if (!isCertletError(failure)) throw failure;
    return error;
  }
}
