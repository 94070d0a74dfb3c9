import fc from 'fast-check';
import t, { type Test } from 'tap';
import { ERROR_RULES, type ErrorCode } from '../../../src/error-rules.ts';
import { CertletError } from '../../../src/errors.ts';
import { capWait, LEAST_WAIT_MS, retryDelayMs, SHARE_OF_LEFT } from '../../../src/rotation/rules/retry.ts';
import { leftMs, spacedUntil } from '../../../src/rotation/rules/schedule.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

/** No wait outlives the certificate that it keeps from being renewed. */

const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);
const CODES = Object.keys(ERROR_RULES) as ErrorCode[];

const caps: readonly { name: string; waitMs: number; leftMs: number | undefined; ms: number }[] = [
  { name: 'no certificate: the wait as it is', waitMs: HOUR, leftMs: undefined, ms: HOUR },
  { name: 'a long life: the wait as it is', waitMs: HOUR, leftMs: DAY, ms: HOUR },
  { name: 'twenty minutes: a tenth', waitMs: HOUR, leftMs: 20 * MINUTE, ms: 2 * MINUTE },
  { name: 'a minute: half a minute, not less', waitMs: HOUR, leftMs: MINUTE, ms: LEAST_WAIT_MS },
  { name: 'a wait that is shorter anyway', waitMs: 2_000, leftMs: MINUTE, ms: 2_000 },
  { name: 'expired in this instant: the wait as it is', waitMs: HOUR, leftMs: 0, ms: HOUR },
  { name: 'expired long ago: the wait as it is', waitMs: HOUR, leftMs: -DAY, ms: HOUR },
];
for (const row of caps) {
  t.test(`capWait: ${row.name}`, async (t) => t.equal(capWait(row.waitMs, row.leftMs, 0.1), row.ms));
}

t.test(
  'every wait after a failure, with any Retry-After, leaves most of the life that is left for more tries',
  async () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...CODES),
        fc.integer({ min: 1, max: 10_000 }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        fc.integer({ min: 1, max: 365 * DAY }),
        fc.integer({ min: 0, max: 30 * DAY }),
        (code, failures, roll, msToExpiry, retryAfterMs) => {
          const error = { code, retryAfterMs };
          const delayMs = retryDelayMs({ error, failures, roll, msToExpiry, refusedBackoffMs: HOUR });
          return delayMs <= Math.max(LEAST_WAIT_MS, Math.ceil(msToExpiry * SHARE_OF_LEFT.refusal));
        },
      ),
      { numRuns: 500 },
    );
  },
);

t.test('a Retry-After that is cut short is still spread: a fleet does not come back in one second', async (t) => {
  const error = { code: 'ERR_API_SERVER', retryAfterMs: HOUR } as const;
  const delays = [0, 0.25, 0.5, 0.75].map((roll) =>
    retryDelayMs({ error, failures: 1, roll, msToExpiry: HOUR, refusedBackoffMs: HOUR }),
  );
  t.equal(new Set(delays).size, 4);
  t.ok(delays.every((delay) => delay <= 6 * MINUTE && delay >= 4 * MINUTE));
});

t.test('after expiry each wait has its ordinary pace: no hot loop', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...CODES),
      fc.integer({ min: 1, max: 100 }),
      fc.double({ min: 0, max: 0.999999, noNaN: true }),
      fc.integer({ min: -365 * DAY, max: 0 }),
      (code, failures, roll, msToExpiry) => {
        const rest = { error: { code, retryAfterMs: HOUR }, failures, roll, refusedBackoffMs: HOUR };
        return retryDelayMs({ ...rest, msToExpiry }) === retryDelayMs({ ...rest, msToExpiry: undefined });
      },
    ),
  );
});

for (const row of [
  { name: 'none', current: undefined, left: undefined },
  { name: 'a placeholder has nothing to lose', current: { notAfter: at(HOUR), selfSigned: true }, left: undefined },
  { name: 'by the clock that is ahead', current: { notAfter: at(2 * HOUR), selfSigned: false }, left: HOUR },
  {
    name: 'by the other one, once it is over by that',
    current: { notAfter: at(HOUR / 2), selfSigned: false },
    left: HOUR / 2,
  },
  { name: 'over by both', current: { notAfter: at(-1), selfSigned: false }, left: 0 },
]) {
  t.test(`leftMs: ${row.name}`, async (t) => {
    t.equal(leftMs(row.current, { earliest: NOW, latest: at(HOUR) }), row.left);
  });
}

t.test('the spacing is cut to a tenth of what is left as well', async (t) => {
  const current = { notBefore: at(-DAY), notAfter: at(MINUTE * 20), selfSigned: false };
  t.strictSame(spacedUntil(NOW, current, { now: NOW, minimumSpacingMs: 30 * MINUTE }), at(2 * MINUTE));
  t.strictSame(spacedUntil(NOW, current, { now: at(HOUR), minimumSpacingMs: 30 * MINUTE }), at(30 * MINUTE));
});

/** A node with a client certificate of an hour, just before that is due. */
async function hourlyHost(t: Test): Promise<FakeHost> {
  const host = new FakeHost({ serving: false });
  t.teardown(() => host.stop());
  host.api.lifetimeMs = HOUR;
  await host.bootstrap();
  // From now on only its own certificate can renew it.
  host.kubeconfigs.bootstrap = { kind: 'absent', path: host.kubeconfigs.bootstrap.path };
  return host;
}

/** What goes wrong once, at the first renewal, and is good again after it. */
const once: readonly { readonly name: string; readonly arrange: (host: FakeHost) => void }[] = [
  {
    name: 'one 503 with Retry-After: 3600',
    arrange: (host) => {
      host.api.fault = ({ what }) => {
        if (what !== 'create') return undefined;
        host.api.fault = () => undefined;
        return new CertletError('ERR_API_SERVER', 'the server is ending', { retryAfterMs: HOUR });
      };
    },
  },
  {
    name: 'one denial',
    arrange: (host) => {
      host.api.approve = 'deny';
      const { create } = host.api;
      host.api.create = (body, username) => {
        const made = create.call(host.api, body, username);
        queueMicrotask(() => (host.api.approve = 'automatic'));
        return made;
      };
    },
  },
];
for (const { name, arrange } of once) {
  t.test(`${name} costs a node with certificates of an hour its identity`, async (t) => {
    const host = await hourlyHost(t);
    const first = host.leaf('client').serial;
    arrange(host);
    await host.until(() => host.leaf('client').serial !== first, HOUR);
    t.ok(host.isUpToDate);
  });
}

t.test('… also where certlet is started anew after the denial', async (t) => {
  const host = await hourlyHost(t);
  const first = host.leaf('client').serial;
  host.api.approve = 'deny';
  await host.until(() => host.manager('client').lastError?.code === 'ERR_CSR_DENIED', HOUR);
  host.api.approve = 'automatic';
  await host.restart(MINUTE);
  await host.until(() => host.leaf('client').serial !== first, 15 * MINUTE);
  t.ok(host.isUpToDate);
});

t.test('denied until its end and beyond, a node asks seldom and then at the pace of hours', async (t) => {
  const host = await hourlyHost(t);
  host.api.approve = 'deny';
  const before = host.count('create');
  await host.clock.advance(HOUR);
  t.ok(host.count('create') - before <= 20, `${String(host.count('create') - before)} requests before its end`);
  host.offerToken('fedcba.0123456789abcdef');
  await host.clock.advance(HOUR);
  const expired = host.count('create');
  await host.clock.advance(DAY);
  t.ok(host.count('create') - expired <= 5, `${String(host.count('create') - expired)} in a day after it`);
});

for (const { name, lifetimeMs, backdateMs } of [
  { name: 'a year, backdated to the birth of a CA of twenty', lifetimeMs: 365 * DAY, backdateMs: 20 * 365 * DAY },
  { name: 'a quarter of an hour, backdated by three hours', lifetimeMs: 15 * MINUTE, backdateMs: 3 * HOUR },
]) {
  t.test(`a certificate of ${name} is due when it comes, and so is each that follows`, async (t) => {
    const host = new FakeHost();
    t.teardown(() => host.stop());
    Object.assign(host.api, { lifetimeMs, backdateMs });
    host.offerToken('abcdef.0123456789abcdef');
    host.start();
    await host.clock.advance(5 * MINUTE);
    const before = host.count('create');
    await host.clock.advance(HOUR);
    const fair = 2 * Math.ceil(HOUR / (lifetimeMs / 2));
    const made = host.count('create') - before;
    t.ok(made <= (lifetimeMs > DAY ? 0 : fair), `${String(made)} requests in an hour`);
    t.ok(host.isUpToDate);
  });
}
