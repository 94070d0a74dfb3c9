import { ERROR_RULES, type ErrorCode } from '../../error-rules.ts';
import { type CertletError, isCertletError } from '../../errors.ts';
import type { AgentEvent, Logger } from '../../ports.ts';
import { type ManagerState, openAt, type RetryGate } from '../manager-state.ts';
import { REFUSED_REMEDY } from './request.ts';
import type { JudgedTime } from '../rules/clock-judge.ts';
import { capWait, refusalBackoffMs, retryDelayMs, SHARE_OF_LEFT } from '../rules/retry.ts';
import { leftMs } from '../rules/schedule.ts';

/** The cluster said no: kept in the history, so that a restart does not ask again at once. */
export const isRefusal = (error: CertletError): boolean =>
  isCertletError(error, 'ERR_CSR_DENIED', 'ERR_CSR_FAILED', 'ERR_ISSUED_UNACCEPTABLE', 'ERR_ISSUED_REFUSED');

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
  state: Pick<ManagerState, 'current' | 'history' | 'retry' | 'lastError'>,
  now: Date,
  refusedBackoffMs: number,
): boolean {
  const { refusal } = state.history;
  state.retry = gateOfRefusal(state, refusedBackoffMs);
  if (refusal === undefined || openAt(state.retry, now) === undefined) return false;
  const code = isErrorCode(refusal.code) ? refusal.code : 'ERR_CSR_FAILED';
  state.lastError = { code, message: refusal.message, remedy: REFUSED_REMEDY, at: refusal.at };
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
