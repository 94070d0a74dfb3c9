import fc from 'fast-check';
import t from 'tap';
import { latestRestart, type PairInUse, restartMoment } from '../../src/kubelet/restart-window.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const at = (text: string): Date => new Date(text);
/** Every Saturday, 02:00 UTC, for two hours; 2026-11-28 is one. */
const WINDOW = { lengthMs: 2 * HOUR };
const FIRST = Date.parse('2026-01-03T02:00:00Z');
const next = (after: Date): Date => new Date(FIRST + (Math.floor((after.getTime() - FIRST) / (7 * DAY)) + 1) * 7 * DAY);
const GOOD: PairInUse = {
  notBefore: at('2026-09-01T00:00:00Z'),
  notAfter: at('2027-09-01T00:00:00Z'),
  selfSigned: false,
};

for (const { name, now, inUse = GOOD, roll = 0, want } of [
  { name: 'before the window', now: '2026-11-25T12:00:00Z', want: ['2026-11-28T02:00:00Z', 'window'] },
  { name: 'spread over the window', now: '2026-11-25T12:00:00Z', roll: 0.5, want: ['2026-11-28T03:00:00Z', 'window'] },
  { name: 'in the window', now: '2026-11-28T02:30:00Z', want: 'now' },
  {
    name: 'spread over what is left of it',
    now: '2026-11-28T03:00:00Z',
    roll: 0.5,
    want: ['2026-11-28T03:30:00Z', 'window'],
  },
  { name: 'when it has just closed', now: '2026-11-28T04:00:00Z', want: ['2026-12-05T02:00:00Z', 'window'] },
  {
    name: 'a pair that ends before the window, less a tenth of its life',
    now: '2026-11-25T12:00:00Z',
    inUse: { ...GOOD, notBefore: at('2026-11-17T00:00:00Z'), notAfter: at('2026-11-27T00:00:00Z') },
    want: ['2026-11-26T00:00:00Z', 'end'],
  },
  {
    name: 'a pair of an hour, less ten minutes',
    now: '2026-11-25T12:00:00Z',
    inUse: { ...GOOD, notBefore: at('2026-11-25T11:30:00Z'), notAfter: at('2026-11-25T12:30:00Z') },
    want: ['2026-11-25T12:20:00Z', 'end'],
  },
  { name: 'a pair whose margin has begun', now: '2027-08-01T00:00:00Z', want: 'now' },
  { name: 'a pair that nobody trusts', now: '2026-11-25T12:00:00Z', inUse: { ...GOOD, selfSigned: true }, want: 'now' },
  { name: 'no pair', now: '2026-11-25T12:00:00Z', inUse: undefined, want: 'now' },
] as const) {
  t.test(`restartMoment: ${name}`, async (t) => {
    const used = name === 'no pair' ? undefined : inUse;
    const moment = restartMoment({ now: at(now), inUse: used, roll }, WINDOW, next);
    t.strictSame(moment, want === 'now' ? { kind: 'now' } : { kind: 'later', at: at(want[0]), by: want[1] });
  });
}

/** Starts every so often, at whole multiples. */
const every =
  (ms: number) =>
  (after: Date): Date =>
    new Date((Math.floor(after.getTime() / ms) + 1) * ms);

for (const { name, lengthMs, next, now, want } of [
  {
    name: 'ten minutes, every minute',
    lengthMs: 10 * MINUTE,
    next: every(MINUTE),
    now: '2026-11-30T12:00:30Z',
    want: '2026-11-30T12:05:15.000Z',
  },
  {
    name: 'two days, every night',
    lengthMs: 2 * DAY,
    next: every(DAY),
    now: '2026-11-30T23:59:00Z',
    want: '2026-12-01T11:59:30.000Z',
  },
  {
    name: 'a year, every minute',
    lengthMs: 365 * DAY,
    next: every(MINUTE),
    now: '2026-11-30T12:00:00Z',
    want: '2027-06-01T00:00:00.000Z',
  },
]) {
  t.test(
    `restartMoment: windows that overlap (${name}): the nodes of a site were restarted within one minute`,
    async (t) => {
      let asked = 0;
      const counted = (after: Date): Date => {
        asked += 1;
        return next(after);
      };
      const inUse = { ...GOOD, notAfter: at('2029-09-01T00:00:00Z') };
      const moment = restartMoment({ now: at(now), inUse, roll: 0.5 }, { lengthMs }, counted);
      t.strictSame(moment, { kind: 'later', at: at(want), by: 'window' });
      t.ok(asked < 30, `the calendar was asked ${String(asked)} times`);
    },
  );
}

t.test('restartMoment: a window that never comes leaves the end of the pair', async (t) => {
  const moment = restartMoment({ now: at('2026-10-01T00:00:00Z'), inUse: GOOD, roll: 0 }, WINDOW, () => undefined);
  t.strictSame(moment, { kind: 'later', at: latestRestart(GOOD), by: 'end' });
});

t.test(
  'restartMoment: never outside the window unless the pair ends, never after its margin, whatever comes',
  async () => {
    const day = fc.integer({ min: 0, max: 400 * DAY });
    fc.assert(
      fc.property(day, day, day, fc.double({ min: 0, max: 0.999_999, noNaN: true }), (from, life, wanted, roll) => {
        const notBefore = new Date(FIRST + from);
        const inUse = { notBefore, notAfter: new Date(notBefore.getTime() + life), selfSigned: false };
        const now = new Date(FIRST + wanted);
        const moment = restartMoment({ now, inUse, roll }, WINDOW, next);
        const begins = moment.kind === 'now' ? now : moment.at;
        const late = latestRestart(inUse) <= now;
        const opened = next(new Date(begins.getTime() - WINDOW.lengthMs));
        const inWindow = opened <= begins;
        if (moment.kind === 'now') return late || inWindow;
        return begins <= latestRestart(inUse) && begins >= now && (moment.by === 'end' || inWindow);
      }),
    );
  },
);
