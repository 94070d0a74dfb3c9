import t from 'tap';
import { monotonicMs, SLICE_MS, SystemChance, SystemClock } from '../../src/adapters/system-clock.ts';
import type { TimeSource } from '../../src/adapters/system-clock.ts';

/** Time that only moves when slept through; `step` may set the clock during a pause. */
class FakeTime implements TimeSource {
  readonly pauses: number[] = [];
  readonly #step: (pause: number) => number;
  #nowMs: number;

  constructor(nowMs: number, step: (pause: number) => number = () => 0) {
    this.#nowMs = nowMs;
    this.#step = step;
  }
  nowMs(): number {
    return this.#nowMs;
  }
  async pause(ms: number): Promise<void> {
    this.#nowMs += ms + this.#step(this.pauses.length);
    this.pauses.push(ms);
    if (this.pauses.length > 100_000) throw new Error('sleeps for ever');
  }
}

const start = Date.parse('2030-01-01T00:00:00Z');
const running = new AbortController().signal;

t.test('a long sleep is cut into slices of at most a minute', async (t) => {
  const time = new FakeTime(start);
  await new SystemClock(time).sleepUntil(new Date(start + 150_000), running);
  t.strictSame(time.pauses, [SLICE_MS, SLICE_MS, 30_000]);
});

t.test('forty days, past the overflow of 32-bit timers, are slept through', async (t) => {
  const time = new FakeTime(start);
  await new SystemClock(time).sleepUntil(new Date(start + 40 * 86_400_000), running);
  t.equal(time.pauses.length, 40 * 24 * 60);
  t.ok(time.pauses.every((ms) => ms <= SLICE_MS));
});

t.test('a clock set forward ends the sleep within a slice', async (t) => {
  const time = new FakeTime(start, (pause) => (pause === 1 ? 86_400_000 : 0));
  await new SystemClock(time).sleepUntil(new Date(start + 3_600_000), running);
  t.equal(time.pauses.length, 2);
});

t.test('a clock set back by years, as by the first answer of NTP, makes no sleep longer', async (t) => {
  const time = new FakeTime(start, (pause) => (pause === 0 ? -600_000_000_000 : 0));
  await new SystemClock(time).sleepUntil(new Date(start + 150_000), running);
  t.strictSame(time.pauses, [SLICE_MS, SLICE_MS, 30_000]);
});

for (const [name, deadline] of [
  ['past', new Date(start - 1)],
  ['now', new Date(start)],
  ['no date at all', new Date(Number.NaN)],
] as const) {
  t.test(`a deadline that is ${name} does not sleep`, async (t) => {
    const time = new FakeTime(start);
    await new SystemClock(time).sleepUntil(deadline, running);
    t.strictSame(time.pauses, []);
  });
}

t.test('a timer that fires a millisecond early does not end the sleep before its deadline', async (t) => {
  const time = new FakeTime(start, (pause) => (pause === 0 ? -1 : 0));
  await new SystemClock(time).sleepUntil(new Date(start + 3), running);
  t.strictSame(time.pauses, [3, 1]);
});

t.test('an abort before or during the sleep ends it without an error', async (t) => {
  const clock = new SystemClock();
  const far = new Date(Date.now() + 3_600_000);
  await clock.sleepUntil(far, AbortSignal.abort());
  const controller = new AbortController();
  const sleeping = clock.sleepUntil(far, controller.signal);
  controller.abort();
  await sleeping;
  t.pass();
});

t.test('a broken timer is not mistaken for an abort', async (t) => {
  const broken: TimeSource = { nowMs: () => start, pause: () => Promise.reject(new Error('no timers')) };
  await t.rejects(new SystemClock(broken).sleepUntil(new Date(start + 1), running), { message: 'no timers' });
});

t.test('the real clock tells the time and wakes after the deadline', async (t) => {
  const clock = new SystemClock();
  t.ok(Math.abs(clock.now().getTime() - Date.now()) < 1000);
  const deadline = new Date(Date.now() + 3);
  await clock.sleepUntil(deadline, running);
  t.ok(clock.now() >= deadline);
});

t.test('chance lies in [0, 1) and monotonic time never runs back', async (t) => {
  const chance = new SystemChance();
  const rolls = Array.from({ length: 50 }, () => chance.roll());
  t.ok(rolls.every((roll) => roll >= 0 && roll < 1));
  t.ok(new Set(rolls).size > 40, 'rolls differ');
  const before = monotonicMs();
  t.ok(monotonicMs() >= before);
});
