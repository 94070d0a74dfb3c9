import { KUBELET_WINDOW } from '../../src/csr/spec.ts';
import fc from 'fast-check';
import t from 'tap';
import { ERROR_RULES, type ErrorCode } from '../../src/error-rules.ts';
import { clientTemplate } from '../fixtures/specs.ts';
import type { CertificateFacts } from '../../src/pki/certificate.ts';
import { clockSkewMs, judgedTime, skewText } from '../../src/rotation/rules/clock-judge.ts';
import { chooseIdentity, isDead, type Refusals, refusedOnceMore } from '../../src/rotation/rules/asker.ts';
import { servingNamesOf, settleNames, type SettledNames } from '../../src/rotation/rules/names.ts';
import { LONGEST_REFUSAL, retryDelayMs } from '../../src/rotation/rules/retry.ts';
import { laterOf, requestSpacingMs, rotationDeadline } from '../../src/rotation/rules/schedule.ts';
import { nextStep, type StepInput } from '../../src/rotation/rules/step.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);
const CODES = Object.keys(ERROR_RULES) as ErrorCode[];

const NODE = { nodeName: 'n1', window: KUBELET_WINDOW };

t.test(
  'rotationDeadline: in [70, 90) % of the lifetime, not before half of what was left at receipt where that is within',
  async () => {
    fc.assert(
      fc.property(
        fc.integer({ min: MINUTE, max: 3650 * DAY }),
        fc.bigInt({ min: 1n, max: 2n ** 160n }).map((serial) => serial.toString(16)),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (lifetimeMs, serial, receivedShare) => {
          const certificate = { notBefore: NOW, notAfter: at(lifetimeMs), serial };
          const drawn = rotationDeadline(certificate, NODE, undefined).getTime() - NOW.getTime();
          const share = drawn / lifetimeMs;
          const receivedMs = lifetimeMs * receivedShare;
          const floored = rotationDeadline(certificate, NODE, at(receivedMs)).getTime() - NOW.getTime();
          return (
            share >= 0.7 - 1e-4 &&
            share < 0.9 &&
            floored >= drawn &&
            floored >= Math.min(receivedMs + (lifetimeMs - receivedMs) / 2, lifetimeMs * 0.9) - 2 &&
            (floored <= lifetimeMs * 0.9 || receivedMs <= 6 * MINUTE)
          );
        },
      ),
    );
  },
);

t.test('rotationDeadline: the same for the same serial and node, another for another', async (t) => {
  const deadline = (serial: string, node: string): number =>
    rotationDeadline(
      { notBefore: NOW, notAfter: at(365 * DAY), serial },
      { ...NODE, nodeName: node },
      undefined,
    ).getTime();
  t.equal(deadline('1f', 'n1'), deadline('1f', 'n1'));
  const fleet = new Set(Array.from({ length: 100 }, (_, index) => deadline('1f', `n${String(index)}`)));
  t.equal(fleet.size, 100, 'a fleet does not renew in one second');
});

t.test('rotationDeadline: a clock that was ahead at receipt puts the deadline minutes before the end', async (t) => {
  const certificate = { notBefore: NOW, notAfter: at(365 * DAY), serial: '1' };
  const deadline = rotationDeadline(certificate, NODE, at(365 * DAY - 16 * MINUTE));
  t.ok(deadline <= at(365 * 0.9 * DAY), deadline.toISOString());
});

t.test(
  'rotationDeadline: of six minutes five are backdated: half of what was left, whatever part of the life that is',
  async (t) => {
    const certificate = { notBefore: NOW, notAfter: at(6 * MINUTE), serial: '1' };
    t.strictSame(rotationDeadline(certificate, NODE, at(5 * MINUTE)), at(5.5 * MINUTE));
  },
);

t.test('rotationDeadline: a receipt after the end changes nothing', async (t) => {
  const certificate = { notBefore: NOW, notAfter: at(DAY), serial: '1' };
  t.strictSame(rotationDeadline(certificate, NODE, at(2 * DAY)), rotationDeadline(certificate, NODE, undefined));
});

for (const row of [
  { name: 'no certificate: the minimum', lifetimeMs: undefined, spacingMs: 30 * SECOND },
  { name: 'ten minutes: a twentieth', lifetimeMs: 10 * MINUTE, spacingMs: 30 * SECOND },
  { name: 'an hour: a twentieth', lifetimeMs: HOUR, spacingMs: 3 * MINUTE },
  { name: 'a year: ten minutes at most', lifetimeMs: 365 * DAY, spacingMs: 10 * MINUTE },
]) {
  t.test(`requestSpacingMs: ${row.name}`, async (t) => {
    const certificate = row.lifetimeMs === undefined ? undefined : { notBefore: NOW, notAfter: at(row.lifetimeMs) };
    t.equal(requestSpacingMs(certificate, 30 * SECOND), row.spacingMs);
  });
}

t.test('laterOf: the later one, or the only one', async (t) => {
  t.equal(laterOf(undefined, undefined), undefined);
  t.equal(laterOf(NOW, undefined), NOW);
  t.equal(laterOf(undefined, NOW), NOW);
  t.strictSame(laterOf(NOW, at(1)), at(1));
  t.strictSame(laterOf(at(1), NOW), at(1));
});

const CAPS: Readonly<Record<string, readonly [floorMs: number, capMs: number]>> = {
  retrySoon: [SECOND, 5 * MINUTE],
  fallBackToBootstrap: [5 * SECOND, 5 * MINUTE],
  retrySlowly: [10 * SECOND, 15 * MINUTE],
  waitForPerson: [10 * SECOND, 10 * MINUTE],
  waitForClock: [10 * SECOND, 5 * MINUTE],
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

const wanted = clientTemplate({ nodeName: 'n1', keyEncipherment: true });
const leaf: CertificateFacts = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  dnsNames: [],
  ipAddresses: [],
  extendedKeyUsages: ['client auth'],
  notBefore: at(-50 * DAY),
  notAfter: at(50 * DAY),
  serial: '1',
  fingerprint: 'f',
  issuer: 'CN=ca',
  selfSigned: false,
  isCa: false,
} as unknown as CertificateFacts;
const judged = (local: Date, earliest = local, latest = local) => ({ local, earliest, latest });
const base: StepInput = {
  now: judged(NOW),
  current: leaf,
  refused: false,
  wanted,
  deadline: at(30 * DAY),
  pending: false,
  retryAt: undefined,
  spacedUntil: undefined,
  forced: false,
  hold: undefined,
};

const steps: readonly { name: string; input: Partial<StepInput>; step: object }[] = [
  {
    name: 'a valid one waits for its deadline',
    input: {},
    step: { kind: 'wait', until: at(30 * DAY), reason: 'valid' },
  },
  { name: 'none asks', input: { current: undefined }, step: { kind: 'request', reasons: ['no certificate'] } },
  {
    name: 'a placeholder asks',
    input: { current: { ...leaf, selfSigned: true } },
    step: { kind: 'request', reasons: ['self-signed placeholder'] },
  },
  {
    name: 'a due one asks',
    input: { deadline: NOW },
    step: { kind: 'request', reasons: ['rotation deadline reached'] },
  },
  {
    name: 'due by one clock and good by it asks: a Date that lies must not hold renewal back until the end',
    input: { deadline: NOW, now: judged(NOW, at(-DAY)) },
    step: { kind: 'request', reasons: ['rotation deadline reached'] },
  },
  {
    name: "due by the server's clock asks before the server refuses it",
    input: { deadline: NOW, now: judged(at(-DAY), at(-DAY), NOW) },
    step: { kind: 'request', reasons: ['rotation deadline reached'] },
  },
  {
    name: 'due by one clock only waits until half of what was left has passed',
    input: { deadline: NOW, now: judged(NOW, at(-DAY)), doubtfulUntil: at(1) },
    step: { kind: 'wait', reason: 'valid' },
  },
  {
    name: 'expired by one clock and not yet due by the other waits',
    input: { deadline: at(10 * DAY), now: judged(at(51 * DAY), NOW, at(51 * DAY)) },
    step: { kind: 'wait', reason: 'clock: expired by one clock and valid by the other' },
  },
  {
    name: 'an expired one asks and says since when',
    input: { now: judged(at(51 * DAY)) },
    step: { kind: 'request', reasons: [`certificate is expired since ${at(50 * DAY).toISOString()}`] },
  },
  {
    name: 'expired by one clock and valid by the other waits for the clock',
    input: { now: judged(at(51 * DAY), NOW, at(51 * DAY)) },
    step: { kind: 'wait', reason: 'clock: expired by one clock and valid by the other' },
  },
  {
    name: 'one that begins in the future by every clock waits for the clock',
    input: { now: judged(at(-60 * DAY)) },
    step: { kind: 'wait', reason: /^clock: the certificate begins at/ },
  },
  {
    name: 'a refused one asks',
    input: { refused: true },
    step: { kind: 'request', reasons: ['the API server refuses the certificate'] },
  },
  {
    name: 'one for another node asks',
    input: { current: { ...leaf, commonName: 'system:node:n2' } },
    step: { kind: 'request', reasons: ['common name is system:node:n2, not system:node:n1'] },
  },
  {
    name: 'a wish asks',
    input: { forced: true },
    step: { kind: 'request', reasons: ['asked for by an administrator'] },
  },
  {
    name: 'a wish overrides the spacing',
    input: { forced: true, spacedUntil: at(MINUTE) },
    step: { kind: 'request' },
  },
  {
    name: 'a wish keeps to the retry',
    input: { forced: true, retryAt: at(MINUTE) },
    step: { kind: 'wait', until: at(MINUTE), reason: 'waiting to try again' },
  },
  {
    name: 'a pending request is resumed before all else',
    input: { pending: true, forced: true, spacedUntil: at(MINUTE), current: undefined },
    step: { kind: 'request', reasons: ['a request is pending'] },
  },
  {
    name: 'a pending request keeps to the retry',
    input: { pending: true, retryAt: at(MINUTE) },
    step: { kind: 'wait', until: at(MINUTE) },
  },
  {
    name: 'the spacing says what waits',
    input: { deadline: NOW, spacedUntil: at(MINUTE) },
    step: {
      kind: 'wait',
      until: at(MINUTE),
      reason: 'rotation deadline reached; waits for the spacing between requests',
      due: ['rotation deadline reached'],
    },
  },
  {
    name: 'a hold holds everything',
    input: { hold: 'held', forced: true, pending: true, current: undefined },
    step: { kind: 'wait', until: undefined, reason: 'held' },
  },
];
for (const { name, input, step } of steps) {
  t.test(`nextStep: ${name}`, async (t) => t.match(nextStep({ ...base, ...input }), step));
}

t.test('nextStep: nothing under hold, nothing before the retry, no new request within the spacing', async () => {
  const dates = fc.option(fc.integer({ min: -DAY, max: DAY }).map(at), { nil: undefined });
  fc.assert(
    fc.property(
      fc.record({
        current: fc.constantFrom(undefined, leaf, { ...leaf, selfSigned: true }),
        refused: fc.boolean(),
        pending: fc.boolean(),
        forced: fc.boolean(),
        deadline: dates,
        retryAt: dates,
        spacedUntil: dates,
        hold: fc.constantFrom(undefined, 'held'),
      }),
      (input) => {
        const step = nextStep({ ...base, ...input });
        if (step.kind === 'wait') return step.until === undefined || step.until >= at(-DAY);
        const spaced = input.spacedUntil !== undefined && input.spacedUntil > NOW;
        return (
          input.hold === undefined &&
          !(input.retryAt !== undefined && input.retryAt > NOW) &&
          (!spaced || input.pending || input.forced)
        );
      },
    ),
  );
});

t.test('isDead: five refusals over five minutes, not fewer, not faster', async (t) => {
  let refusals: Refusals | undefined;
  for (let count = 1; count <= 10; count += 1) refusals = refusedOnceMore(refusals, at(count));
  t.equal(isDead(refusals, at(10), 5 * MINUTE), false, 'ten in a moment');
  t.equal(isDead(refusals, at(1 + 5 * MINUTE), 5 * MINUTE), true);
  t.equal(isDead({ count: 4, since: NOW }, at(HOUR), 5 * MINUTE), false, 'four in an hour');
  t.equal(isDead(undefined, NOW, 0), false);
});

t.test('refusedOnceMore: a first refusal in the future is a clock that was set back', async (t) => {
  t.strictSame(refusedOnceMore({ count: 3, since: at(365 * DAY) }, NOW), { count: 4, since: NOW });
});

for (const row of [
  { name: 'its own certificate while it is good', input: {}, kind: 'node' },
  { name: 'without one', input: { current: undefined }, kind: 'bootstrap', reason: 'no client certificate yet' },
  {
    name: 'with one for another name',
    input: { wantedCommonName: 'system:node:n2' },
    kind: 'bootstrap',
    reason: 'the client certificate is for system:node:n1',
  },
  {
    name: 'with an expired one',
    input: { now: at(51 * DAY) },
    kind: 'bootstrap',
    reason: `the client certificate expired at ${at(50 * DAY).toISOString()}`,
  },
  {
    name: 'with a dead one',
    input: { dead: true },
    kind: 'bootstrap',
    reason: 'the API server refuses the client certificate',
  },
]) {
  t.test(`chooseIdentity: ${row.name}`, async (t) => {
    const choice = chooseIdentity({
      current: leaf,
      wantedCommonName: 'system:node:n1',
      dead: false,
      now: NOW,
      ...row.input,
    });
    t.match(choice, { kind: row.kind, ...(row.reason === undefined ? {} : { reason: row.reason }) });
  });
}

const node = (addresses: readonly (readonly [string, string])[]) => ({
  addresses: addresses.map(([type, address]) => ({ type, address })),
  kubeletVersion: 'v1.36.2',
});
for (const row of [
  { name: 'nothing known: name and route', sources: { routeAddress: '10.0.0.9' }, names: ['n1', '10.0.0.9'] },
  {
    name: 'a node IP makes the route needless',
    sources: { nodeIPs: ['10.0.0.1', 'fd00::1'], routeAddress: '10.0.0.9' },
    names: ['n1', '10.0.0.1', 'fd00::1'],
  },
  {
    name: 'an address in the settings too',
    sources: { servingNames: ['fd00::2'], routeAddress: '10.0.0.9' },
    names: ['n1', 'fd00::2'],
  },
  {
    name: 'a name in the settings does not',
    sources: { servingNames: ['web'], routeAddress: '10.0.0.9' },
    names: ['n1', 'web', '10.0.0.9'],
  },
  {
    name: 'the Node adds what it knows, each name once',
    sources: {
      nodeIPs: ['10.0.0.1'],
      node: node([
        ['Hostname', 'n1'],
        ['InternalIP', '10.0.0.1'],
        ['ExternalIP', '192.0.2.1'],
        ['ExternalDNS', 'n1.example.org'],
        ['Other', 'ignored'],
        ['InternalDNS', ''],
      ]),
      routeAddress: '10.0.0.9',
    },
    names: ['n1', '10.0.0.1', '192.0.2.1', 'n1.example.org'],
  },
  { name: 'no address at all', sources: {}, names: ['n1'] },
]) {
  t.test(`servingNamesOf: ${row.name}`, async (t) => {
    const none = { nodeName: 'n1', nodeIPs: [], servingNames: [], node: undefined, routeAddress: undefined };
    t.strictSame(servingNamesOf({ ...none, ...row.sources }), row.names);
  });
}

t.test('settleNames: a gain counts after it has stayed, a loss at once', async (t) => {
  const first = settleNames(undefined, ['a'], NOW, 10_000);
  t.strictSame(first, { names: ['a'] });
  const seen = settleNames(first, ['a', 'b'], NOW, 10_000);
  t.strictSame(seen.names, ['a']);
  t.strictSame(settleNames(seen, ['a', 'b'], at(9_999), 10_000).names, ['a']);
  t.strictSame(settleNames(seen, ['b', 'a'], at(10_000), 10_000), { names: ['b', 'a'] });
  t.strictSame(settleNames({ names: ['a', 'b'] }, ['a'], NOW, 10_000), { names: ['a'] });
});

t.test('settleNames: a clock set back begins the debounce anew', async (t) => {
  const seen = settleNames({ names: ['a'] }, ['a', 'b'], at(DAY), 10_000);
  const again = settleNames(seen, ['a', 'b'], NOW, 10_000);
  t.strictSame(again.candidate?.since, NOW);
  t.strictSame(settleNames(again, ['a', 'b'], at(10_000), 10_000).names, ['a', 'b']);
});

t.test('settleNames: an address that flaps faster than the debounce never counts', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9_999 }), { maxLength: 50 }), (pauses) => {
      let settled: SettledNames = { names: ['a'] };
      let nowMs = 0;
      let up = false;
      for (const pause of pauses) {
        up = !up;
        settled = settleNames(settled, up ? ['a', 'b'] : ['a'], at(nowMs), 10_000);
        nowMs += pause;
        if (settled.names.includes('b')) return false;
      }
      return true;
    }),
  );
});

t.test('judgedTime: both clocks bound the truth once they are far apart', async (t) => {
  const sample = (skewMs: number) => ({ serverDate: NOW, receivedAt: at(skewMs) });
  t.strictSame(judgedTime(NOW, undefined), judged(NOW));
  t.strictSame(judgedTime(NOW, sample(119_000)), judged(NOW), 'a small skew is none');
  t.strictSame(judgedTime(NOW, sample(DAY)), judged(NOW, at(-DAY), NOW), 'ahead');
  t.strictSame(judgedTime(NOW, sample(-DAY)), judged(NOW, NOW, at(DAY)), 'behind');
  t.equal(clockSkewMs(undefined), undefined);
});

for (const [skewMs, text] of [
  [90 * SECOND, '90 seconds ahead of'],
  [-4 * MINUTE, '4 minutes behind'],
  [3 * HOUR, '3 hours ahead of'],
  [-12 * DAY, '12 days behind'],
] as const) {
  t.test(`skewText: ${text}`, async (t) => t.equal(skewText(skewMs), text));
}
