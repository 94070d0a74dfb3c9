import { ERROR_RULES, type ErrorAction } from '../../error-rules.ts';
import type { CertletError } from '../../errors.ts';

interface Pace {
  /** Delay of the first retry before jitter. */
  readonly baseMs: number;
  readonly capMs: number;
  /** No retry comes earlier than this, whatever the roll says. */
  readonly floorMs: number;
}

const MINUTE_MS = 60_000;

/** How fast each action comes again. `waitForPerson` still looks every few minutes: a role binding made on the server is not seen otherwise. */
const PACES: Readonly<Record<Exclude<ErrorAction, 'stop' | 'waitForHours'>, Pace>> = {
  retrySoon: { baseMs: 2_000, capMs: 5 * MINUTE_MS, floorMs: 1_000 },
  fallBackToBootstrap: { baseMs: 10_000, capMs: 5 * MINUTE_MS, floorMs: 5_000 },
  retrySlowly: { baseMs: 30_000, capMs: 15 * MINUTE_MS, floorMs: 10_000 },
  waitForPerson: { baseMs: 30_000, capMs: 10 * MINUTE_MS, floorMs: 10_000 },
  waitForClock: { baseMs: 30_000, capMs: 5 * MINUTE_MS, floorMs: 10_000 },
  waitForHolder: { baseMs: 2_000, capMs: 30_000, floorMs: 1_000 },
};

/**
 * Which part of what is left of the certificate in hand a wait may take. A refusal is seldom taken back within minutes and costs the cluster a
 * request each time; everything else may be over at any moment.
 */
export const SHARE_OF_LEFT = { failure: 0.1, refusal: 0.25 } as const;

/** No wait is cut to less than this, however close the end is. */
export const LEAST_WAIT_MS = 30_000;

/**
 * A wait as the certificate in hand allows it: at most `share` of what is left, and never cut below half a minute, so that several tries fit in
 * before the end. Without a certificate, and after its end, nothing is lost by waiting: the wait as it is.
 */
export function capWait(waitMs: number, leftMs: number | undefined, share: number): number {
  if (leftMs === undefined || leftMs <= 0) return waitMs;
  return Math.min(waitMs, Math.max(LEAST_WAIT_MS, leftMs * share));
}

/**
 * So many issued pairs may be refused at the pace of minutes: a control plane that changes its CA is done by then. What refuses every one (a balancer
 * that strips client certificates, a signer of another CA) goes on for weeks, and each try is a request and a certificate more.
 */
const REFUSED_PAIRS_SOON = 2;

/** How long a refusal holds back before jitter: the base, doubled each time. */
export function refusalBackoffMs(code: string, count: number, baseMs: number): number {
  const beyond = code === 'ERR_ISSUED_REFUSED' ? count - REFUSED_PAIRS_SOON : count;
  if (beyond < 1) return PACES.retrySlowly.capMs;
  return baseMs * Math.min(2 ** Math.min(beyond - 1, 20), LONGEST_REFUSAL);
}

/** A refusal is asked again after so many times the base at most. */
export const LONGEST_REFUSAL = 8;

export interface RetryInput {
  readonly error: Pick<CertletError, 'code' | 'retryAfterMs'>;
  /** How many attempts in a row have failed, this one included: 1 or more. */
  readonly failures: number;
  /** How often in a row an issued pair was refused, over restarts too; absent where nothing was. */
  readonly refusedPairs?: number | undefined;
  /** In [0, 1). */
  readonly roll: number;
  /** What is left of the certificate in use: see `leftMs`. */
  readonly msToExpiry: number | undefined;
  /** Base of `waitForHours`. */
  readonly refusedBackoffMs: number;
}

/** Valid only while the clock stands between both dates: a clock set back must not postpone what comes after it. */
export interface Pause {
  readonly setAt: Date;
  readonly at: Date;
}

/** From now on for so long. */
export const pauseOf = (now: Date, ms: number): Pause => ({ setAt: now, at: new Date(now.getTime() + ms) });

/** The end of a pause, if it holds at this moment. */
export function endOf(pause: Pause | undefined, now: Date): Date | undefined {
  return pause !== undefined && pause.setAt <= now && now < pause.at ? pause.at : undefined;
}

/** One thing that is tried again: how often in a row it has failed, and the pause after the last time. */
export class Backoff {
  #failures = 0;
  #pause: Pause | undefined;

  /** In a row. */
  get failures(): number {
    return this.#failures;
  }

  /** No try before this; undefined where nothing holds one back. */
  until(now: Date): Date | undefined {
    return endOf(this.#pause, now);
  }

  /** It has failed once more. Tells when to try again: after `retryDelayMs`, and after `longestMs` at the latest; `counted` goes before the own count. */
  failed(
    now: Date,
    {
      counted,
      longestMs,
      ...input
    }: Omit<RetryInput, 'failures'> & { counted?: number | undefined; longestMs?: number },
  ): Date {
    this.#failures += 1;
    const delayMs = retryDelayMs({ ...input, failures: counted ?? this.#failures });
    const at = new Date(now.getTime() + Math.min(delayMs, longestMs ?? delayMs));
    this.#pause = { setAt: now, at };
    return at;
  }

  /** A pause that an earlier process began. */
  recall(pause: Pause | undefined): void {
    this.#pause = pause;
  }

  /** It worked, or what may mend it has changed: at once. */
  reset(): void {
    this.#failures = 0;
    this.#pause = undefined;
  }
}

/**
 * How long to wait after a failed attempt: full jitter between the floor of the action and an exponential delay. `Retry-After` is a lower bound,
 * spread by up to a quarter. Neither takes more than `capWait` leaves of the life of the certificate in use.
 */
export function retryDelayMs(input: RetryInput): number {
  const action = ERROR_RULES[input.error.code].action;
  const asked = input.error.retryAfterMs ?? 0;
  const atLeast = cutWithSpread(asked + asked * 0.25 * input.roll, SHARE_OF_LEFT.failure, input);
  return Math.round(Math.max(atLeast, paced(action, input)));
}

/** `capWait` that keeps a fleet apart: what is cut is cut to between three quarters of the share and all of it. */
const cutWithSpread = (waitMs: number, share: number, { msToExpiry, roll }: RetryInput): number =>
  capWait(waitMs, msToExpiry, share * (0.75 + 0.25 * roll));

function paced(action: ErrorAction, input: RetryInput): number {
  const doublings = Math.min(input.failures - 1, 20);
  const refusals = input.refusedPairs ?? 0;
  if (action === 'waitForHours' || action === 'stop' || refusals > REFUSED_PAIRS_SOON) {
    const count = refusals > 0 ? refusals : input.failures;
    const hoursMs = refusalBackoffMs(input.error.code, count, input.refusedBackoffMs);
    return cutWithSpread(hoursMs * (0.75 + 0.25 * input.roll), SHARE_OF_LEFT.refusal, input);
  }
  const pace = PACES[action];
  const delayMs = capWait(Math.min(pace.capMs, pace.baseMs * 2 ** doublings), input.msToExpiry, SHARE_OF_LEFT.failure);
  const longestMs = Math.max(pace.floorMs, delayMs);
  // From the floor on, not cut off at it: else half of a fleet would come again in the same instant after its first failure.
  return pace.floorMs + (longestMs - pace.floorMs) * input.roll;
}
