import t from 'tap';
import { clockSkewMs, judgedTime, skewText } from '../../../src/rotation/rules/clock-judge.ts';

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * 3_600_000;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);

const judged = (local: Date, earliest = local, latest = local) => ({ local, earliest, latest });

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
