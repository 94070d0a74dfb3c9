import { type Remedy, byHand } from '../../remedy.ts';
import { asCertletError, CertletError, type ErrorCode, errorFields, isCertletError } from '../../errors.ts';
import { ERROR_RULES } from '../../error-rules.ts';
import { refusedRemedy } from '../../csr/outcome.ts';
import { failedRequest, type PastFailures, withPast } from '../../csr/past-request.ts';
import type { PendingRequest, RequestHistory } from '../../csr/pending.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import { type CertificateTemplate, templateDigest } from '../../csr/template.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { AgentEvent } from '../../ports.ts';
import type { RotationContext } from '../rotation-context.ts';
import { earlierRefused } from '../rules/gains.ts';
import { capWait, type Pause, refusalBackoffMs, SHARE_OF_LEFT } from '../rules/retry.ts';
import { leftMs } from '../rules/schedule.ts';
import { endsRequest } from './request.ts';

/** What the end of a request leaves: what to throw, and what is to be remembered of it. */
export interface Ending {
  readonly error: CertletError;
  readonly history: RequestHistory;
  /** The usages of the next request, where this one has shown that the signer wants the other set. */
  readonly keyEncipherment?: boolean;
}

/**
 * What a failed attempt means for its request; undefined where that goes on. A refusal is remembered, so that a restart does not ask again at once.
 */
export function endingOf(
  thrown: unknown,
  record: PendingRequest | undefined,
  past: Past & { readonly failures?: PastFailures | undefined },
): Ending | undefined {
  const error = usagesTriedTwice(asCertletError(thrown), record, past.spec);
  if (record === undefined || !endsRequest(error, record)) return undefined;
  const entry = failedRequest(record, error, { at: past.at, failed: past.failures });
  return endingBy(error, record, { ...past, history: { ...past.history, past: withPast(past.history.past, entry) } });
}

interface Past {
  readonly spec: CertificateSpec;
  readonly history: RequestHistory;
  readonly at: Date;
}

function endingBy(error: CertletError, record: PendingRequest, past: Past): Ending {
  const { spec, history } = past;
  if (error.code === 'ERR_CSR_USAGES') {
    const keyEncipherment = !spec.usages.includes('key encipherment');
    const { lastRequestAt: _spacing, ...before } = history;
    return { error, history: { ...before, keyEncipherment }, keyEncipherment };
  }
  if (error.code === 'ERR_CSR_FAILED' && isCertletError(error.cause, 'ERR_CSR_USAGES')) {
    // Neither set is taken today: after the hours of a refusal both are tried again, since signers are upgraded.
    const { keyEncipherment: _switched, renewWantedAt: _wish, ...before } = history;
    const refused = { ...record, templateDigest: templateDigest(byDefault(record, spec)) };
    return { error, history: { ...before, refusal: refusalOf(refused, error, past) } };
  }
  if (!isRefusal(error)) return { error, history };
  // What an administrator asked for stays asked for, unless the cluster has said no.
  const { renewWantedAt: _wish, ...before } = history;
  return { error, history: { ...before, refusal: refusalOf(record, error, past) } };
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
  const remedy: Remedy = usagesNegotiable
    ? byHand(`Mend the signer, which takes neither set of usages.   # then certlet renew ${name}`)
    : byHand(`Set usages of ${name} in the settings to what the signer takes.   # then systemctl reload certlet`);
  return new CertletError('ERR_CSR_FAILED', error.message, { cause: error, remedy });
}

function refusalOf(
  record: PendingRequest,
  error: CertletError,
  past: { readonly history: RequestHistory; readonly at: Date },
): NonNullable<RequestHistory['refusal']> {
  const { refusal: before } = past.history;
  const { templateDigest: refused, askerDigest } = record;
  return {
    code: error.code,
    message: error.message,
    at: past.at,
    count: (before?.count ?? 0) + 1,
    templateDigest: refused,
    ...(askerDigest === undefined ? {} : { askerDigest }),
    ...earlierRefused(before, refused, past.at),
  };
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

/** A refusal of an earlier process. */
type Refusal = NonNullable<RequestHistory['refusal']>;

/** After a restart: the pause that an earlier refusal still is. */
export function pauseOfRefusal(
  { code, count, at }: Refusal,
  current: CertificatePair | undefined,
  refusedBackoffMs: number,
): Pause {
  const left = leftMs(current?.chain.leaf, { earliest: at, latest: at });
  const pauseMs = capWait(refusalBackoffMs(code, count, refusedBackoffMs), left, SHARE_OF_LEFT.refusal);
  return { setAt: at, at: new Date(at.getTime() + pauseMs) };
}

/** What it said, so that the pause has its reason. */
export const refusalError = (
  { code, message }: Refusal,
  { name: purpose, expirationSeconds }: CertificateSpec,
): Pick<CertletError, 'code' | 'message' | 'remedy'> => ({
  code: isErrorCode(code) ? code : 'ERR_CSR_FAILED',
  message,
  remedy: refusedRemedy({ purpose, expirationSeconds }, message),
});

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_RULES, code);

/** What is due is said with the first try alone. */
export const dueThing = (purpose: string): string => `due ${purpose}`;

type Saying = Pick<RotationContext, 'clock' | 'log' | 'troubles'>;

/**
 * How a failure is told: at once and then at the pace of `Troubles`, more loudly from the fourth in a row on, and in client-go's words where the
 * signer has said no.
 */
export function sayFailure(
  { clock, log, troubles }: Saying,
  error: CertletError,
  about: { readonly purpose: string; readonly failures: number; readonly retry: Date },
): void {
  const { purpose, failures, retry } = about;
  const loud = failures > 3 ? 'error' : 'warn';
  const level = troubles.levelOf(`request ${purpose}`, error, { at: clock.now(), loud, failures });
  const refused = isCertletError(error, 'ERR_CSR_DENIED', 'ERR_CSR_FAILED', 'ERR_CSR_USAGES');
  const event = refused ? 'Certificate request was not signed' : 'Failed while requesting a signed certificate';
  log.log(level, event, { purpose, ...errorFields(error), retry });
}

/** The end of what `sayFailure` has told, once. */
export function sayRequestWorks({ clock, log, troubles }: Saying, purpose: string): void {
  const ended = troubles.over(`request ${purpose}`, clock.now());
  troubles.over(dueThing(purpose), clock.now());
  if (ended !== undefined) log.log('info', 'Requesting a signed certificate works again', { purpose, ...ended });
}
