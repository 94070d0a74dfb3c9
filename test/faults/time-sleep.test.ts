/** Sleeps past the 32-bit timer, and file names where hours come twice. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { SLICE_MS, SystemClock, type TimeSource } from '../../src/adapters/system-clock.ts';
import { DAY, MINUTE } from '../fixtures/fakes/host.ts';
import type { InstallSight } from './fixtures/dst-installs.ts';

t.setTimeout(20 * MINUTE);

/** Time that passes only while somebody pauses, and at once. */
class QuickTime implements TimeSource {
  readonly pauses: number[] = [];
  #nowMs = Date.parse('2030-01-01T00:00:00Z');
  readonly #asleepAt: ReadonlyMap<number, number>;

  constructor(asleepAt: ReadonlyMap<number, number> = new Map()) {
    this.#asleepAt = asleepAt;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  async pause(ms: number): Promise<void> {
    await Promise.resolve();
    this.pauses.push(ms);
    this.#nowMs += ms + (this.#asleepAt.get(this.pauses.length) ?? 0);
  }
}

for (const row of [
  { name: 'forty days', asleep: new Map<number, number>() },
  { name: 'forty days with a month of suspend in them', asleep: new Map([[1000, 30 * DAY]]) },
]) {
  t.test(`a sleep of ${row.name} ends when it is over, in slices that no timer overflows at`, async (t) => {
    const time = new QuickTime(row.asleep);
    const from = time.nowMs();
    await new SystemClock(time).sleepUntil(new Date(from + 40 * DAY), new AbortController().signal);
    t.equal(time.nowMs() - from, 40 * DAY);
    t.ok(time.pauses.every((ms) => ms <= SLICE_MS && ms < 2 ** 31));
  });
}

const ZONES: readonly (readonly [zone: string, start: string, why: string])[] = [
  ['Europe/Berlin', '2030-10-26T23:30:00Z', 'an hour comes twice'],
  ['Europe/Berlin', '2030-03-31T00:00:00Z', 'an hour is left out'],
  ['Australia/Lord_Howe', '2030-04-06T13:30:00Z', 'half an hour comes twice'],
  ['America/St_Johns', '2030-11-03T03:00:00Z', 'an hour comes twice, off by half an hour'],
  ['Pacific/Apia', '2011-12-30T08:30:00Z', 'a day is left out'],
  ['UTC', '2030-06-30T23:30:00Z', 'nothing happens'],
];

const run = promisify(execFile);

for (const [zone, start, why] of ZONES) {
  t.test(`file names in ${zone}, where ${why}: the pair installed last is current, whatever its name`, async (t) => {
    const program = join(import.meta.dirname, 'fixtures/dst-installs.ts');
    const env = { ...process.env, TZ: zone };
    const { stdout } = await run(process.execPath, [program, start, '15', '12'], { env });
    const sights = JSON.parse(stdout) as readonly InstallSight[];
    t.equal(sights.length, 12);
    for (const { at, file, target, files, isCurrent } of sights) {
      t.match(target, /^kubelet-client-\d{4}(-\d\d){5}\.pem$/);
      t.ok(file.endsWith(target) && files.includes(target), `${at}: the link names what was written`);
      t.ok(isCurrent, `${at}: it is found as the current pair`);
      t.ok(files.length <= 3, `${at}: ${String(files.length)} files kept`);
    }
  });
}
