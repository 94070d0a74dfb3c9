import fc from 'fast-check';
import t from 'tap';
import { formatDuration, parseDurationMs, parseLongDurationMs } from '../../src/config/duration.ts';

for (const [text, ms] of [
  ['8s', 8000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1h1m1s1ms', 3_661_001],
  ['90m', 5_400_000],
  ['500ms', 500],
  ['0s', 0],
  ['', undefined],
  ['5', undefined],
  ['5 m', undefined],
  ['1.5h', undefined],
  ['-5s', undefined],
  ['30s5m', undefined],
  ['5d', undefined],
  ['1h\n', undefined],
  ['9999999999s', undefined],
] as const) {
  t.test(`${JSON.stringify(text)} is ${ms === undefined ? 'no duration' : `${String(ms)} ms`}`, async (t) => {
    t.equal(parseDurationMs(text), ms);
  });
}

for (const [text, ms] of [
  ['21d', 21 * 86_400_000],
  ['12h', 12 * 3_600_000],
  ['1d12h', undefined],
  ['123456d', undefined],
  ['d', undefined],
] as const) {
  t.test(`in days: ${JSON.stringify(text)} is ${ms === undefined ? 'none' : `${String(ms)} ms`}`, async (t) => {
    t.equal(parseLongDurationMs(text), ms);
  });
}

t.test('every number of milliseconds survives being written and read', async (t) => {
  fc.assert(fc.property(fc.nat({ max: 1_000_000_000 }), (ms) => parseDurationMs(formatDuration(ms)) === ms));
  t.equal(formatDuration(0), '0s');
});
