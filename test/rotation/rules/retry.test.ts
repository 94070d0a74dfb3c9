import fc from 'fast-check';
import t from 'tap';
import { ERROR_RULES, type ErrorCode } from '../../../src/error-rules.ts';
import { LONGEST_REFUSAL, retryDelayMs } from '../../../src/rotation/rules/retry.ts';

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * 3_600_000;
const CODES = Object.keys(ERROR_RULES) as ErrorCode[];

const CAPS: Readonly<Record<string, readonly [floorMs: number, capMs: number]>> = {
  retrySoon: [SECOND, 5 * MINUTE],
  fallBackToBootstrap: [5 * SECOND, 5 * MINUTE],
  retrySlowly: [10 * SECOND, 15 * MINUTE],
  waitForPerson: [10 * SECOND, 10 * MINUTE],
  waitForClock: [10 * SECOND, 5 * MINUTE],
  waitForHolder: [SECOND, 30 * SECOND],
  waitForHours: [0.75 * HOUR, LONGEST_REFUSAL * HOUR],
  stop: [0.75 * HOUR, LONGEST_REFUSAL * HOUR],
};

t.test('retryDelayMs: each code within floor and cap of its action, however often it failed, never hot', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...CODES),
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      fc.option(fc.integer({ min: -DAY, max: 365 * DAY }), { nil: undefined }),
      (code, failures, roll, msToExpiry) => {
        const error = { code, retryAfterMs: undefined };
        const delayMs = retryDelayMs({ error, failures, roll, msToExpiry, refusedBackoffMs: HOUR });
        const [floorMs, capMs] = CAPS[ERROR_RULES[code].action] ?? [Number.NaN, 0];
        // Close to the end of the certificate in hand hours become minutes.
        const leastMs = msToExpiry !== undefined && msToExpiry > 0 ? Math.min(floorMs, 30 * SECOND) : floorMs;
        return delayMs >= leastMs && delayMs <= capMs;
      },
    ),
    { numRuns: 500 },
  );
});

t.test('retryDelayMs: Retry-After is a lower bound, spread by a quarter', async (t) => {
  const input = { failures: 1, msToExpiry: undefined, refusedBackoffMs: HOUR };
  const error = { code: 'ERR_API_THROTTLED', retryAfterMs: 30 * SECOND } as const;
  t.equal(retryDelayMs({ ...input, error, roll: 0 }), 30 * SECOND);
  t.equal(retryDelayMs({ ...input, error, roll: 0.8 }), 36 * SECOND);
});

t.test('retryDelayMs: the cap shrinks to a tenth of what is left before expiry', async (t) => {
  const error = { code: 'ERR_API_UNREACHABLE', retryAfterMs: undefined } as const;
  const delay = (msToExpiry: number): number =>
    retryDelayMs({ error, failures: 20, roll: 0.999999, msToExpiry, refusedBackoffMs: HOUR });
  t.equal(delay(DAY), 5 * MINUTE);
  t.equal(delay(10 * MINUTE), MINUTE);
  t.equal(delay(SECOND), 30 * SECOND, 'not below half a minute');
  t.equal(delay(-DAY), 5 * MINUTE, 'an expired one is no hurry');
});
