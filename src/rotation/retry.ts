import { ERROR_RULES, type ErrorAction } from '../error-rules.ts';
import type { CertletError } from '../errors.ts';

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
};

/** A refusal is asked again after so many times the base at most. */
export const LONGEST_REFUSAL = 8;

export interface RetryInput {
  readonly error: Pick<CertletError, 'code' | 'retryAfterMs'>;
  /** How many attempts in a row have failed, this one included: 1 or more. */
  readonly failures: number;
  /** In [0, 1). */
  readonly roll: number;
  /** What is left of the certificate in use; undefined when there is none. */
  readonly msToExpiry: number | undefined;
  /** Base of `waitForHours`. */
  readonly refusedBackoffMs: number;
}

/**
 * How long to wait after a failed attempt: full jitter between the floor of the action and an exponential delay.
 * The cap shrinks to a tenth of what is left before expiry. `Retry-After` is a lower bound, spread by up to a quarter.
 */
export function retryDelayMs(input: RetryInput): number {
  const action = ERROR_RULES[input.error.code].action;
  const asked = input.error.retryAfterMs ?? 0;
  const atLeast = asked + asked * 0.25 * input.roll;
  return Math.round(Math.max(atLeast, paced(action, input)));
}

function paced(action: ErrorAction, input: RetryInput): number {
  const doublings = Math.min(input.failures - 1, 20);
  if (action === 'waitForHours' || action === 'stop') {
    const hoursMs = input.refusedBackoffMs * Math.min(2 ** doublings, LONGEST_REFUSAL);
    return hoursMs * (0.75 + 0.25 * input.roll);
  }
  const pace = PACES[action];
  const urgentMs = input.msToExpiry !== undefined && input.msToExpiry > 0 ? input.msToExpiry / 10 : pace.capMs;
  const capMs = Math.max(pace.floorMs, Math.min(pace.capMs, urgentMs));
  const longestMs = Math.max(pace.floorMs, Math.min(capMs, pace.baseMs * 2 ** doublings));
  // From the floor on, not cut off at it: else half of a fleet would come again in the same instant after its first failure.
  return pace.floorMs + (longestMs - pace.floorMs) * input.roll;
}
