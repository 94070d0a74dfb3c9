/** Restarts that are wanted at one moment, and commands that come at an odd one. */
import t from 'tap';
import type { HeldRestart } from '../../../src/adapters/hooks/hook-record.ts';
import { RestartHold } from '../../../src/adapters/hooks/restart-hold.ts';
import { WindowHold } from '../../../src/adapters/hooks/window-hold.ts';
import { latestRestart, windowText } from '../../../src/kubelet/restart-window.ts';
import { hookEvent, ManualClock, RecordingLogger } from './hook-fakes.ts';

const DAY = 24 * 3_600_000;
const WINDOW = { start: '0 2 * * 6', lengthMs: 2 * 3_600_000, timeZone: 'UTC' };
/** The first Saturday of the clock's year is 2030-01-05. */
const PLANNED = new Date('2030-01-05T03:00:00Z');
const GOOD = { notBefore: new Date('2029-06-01'), notAfter: new Date('2030-06-01'), selfSigned: false };

/** What is under way comes to where it sleeps; ends where it does not. */
async function until(reached: () => boolean): Promise<void> {
  for (let turn = 0; turn < 500 && !reached(); turn += 1) await new Promise(setImmediate);
}

function bench() {
  const clock = new ManualClock();
  const log = new RecordingLogger();
  const notes = new Map<string, HeldRestart>();
  const onHold: (() => void)[] = [];
  const hold = new RestartHold({
    clock,
    log,
    window: WINDOW,
    roll: 0.5,
    waits: true,
    kubeletRun: async () => 'run 1',
    record: {
      held: (purpose) => notes.get(purpose),
      replaced: () => GOOD,
      hold: async ({ purpose }, held) => {
        notes.set(purpose, held);
        onHold.shift()?.();
      },
    },
  });
  return { clock, log, notes, onHold, hold };
}

t.test(
  'two certificates are due at one start: status told of one of them, and --restart-now freed that one',
  async (t) => {
    const made: RestartHold[] = [];
    const all = new WindowHold(async () => {
      await new Promise(setImmediate);
      const { hold } = bench();
      made.push(hold);
      return hold;
    });
    const { signal } = new AbortController();
    for (const purpose of ['client', 'serving']) void all.until(hookEvent('2.pem', purpose), undefined, signal);
    await until(() => made.flatMap((hold) => hold.states()).length === 2);
    t.same(
      all.states().map(({ purpose }) => purpose),
      ['client', 'serving'],
    );
    t.equal(made.length, 1);
    t.same(all.release(), ['client', 'serving']);
    await until(() => all.states().length < 2);
    t.equal(all.states().length, 1, 'each has its turn');
  },
);

t.test('what could not be loaded is loaded for the next restart', async (t) => {
  let tries = 0;
  const all = new WindowHold(async () => {
    tries += 1;
    if (tries === 1) throw new Error('no such file: window.cjs');
    return bench().hold;
  });
  const { signal } = new AbortController();
  await t.rejects(all.until(hookEvent(), undefined, signal), /window\.cjs/);
  void all.until(hookEvent(), undefined, signal);
  await until(() => all.states().length > 0);
  t.equal(tries, 2);
});

t.test('--restart-now came while a missed window was planned anew: the restart went on waiting', async (t) => {
  const { clock, hold, onHold } = bench();
  const end = hold.until(hookEvent(), undefined, new AbortController().signal);
  await clock.sleeping(1);
  onHold.push(() => void t.same(hold.release(), ['client']));
  clock.advance(6 * DAY);
  let ended: string | undefined;
  void end.then((how) => void (ended = how));
  await until(() => ended !== undefined);
  t.equal(ended, 'due');
});

for (const { name, noted } of [
  { name: 'a damaged record named a moment in seven thousand years', noted: { at: new Date('9030-01-05T03:00:00Z') } },
  {
    name: 'the clock was years ahead when the restart was planned',
    noted: {
      since: new Date('2030-03-01'),
      at: new Date('2030-03-02T03:00:00Z'),
    },
  },
]) {
  t.test(`${name}: the restart waited for that`, async (t) => {
    const { clock, hold, notes, log } = bench();
    const event = hookEvent();
    const window = windowText(WINDOW);
    const held = {
      pairPath: event.pairPath,
      since: clock.now(),
      by: 'window',
      inUse: GOOD,
      run: 'run 1',
      window,
    } as const;
    notes.set(event.purpose, { ...held, ...noted, at: noted.at });
    void hold.until(event, undefined, new AbortController().signal);
    await until(() => hold.states().length > 0);
    t.has(hold.states(), [{ at: PLANNED, since: clock.now(), by: 'window' }]);
    t.ok(PLANNED < latestRestart(GOOD));
    t.equal(log.lines.length, 1, 'the new moment is told');
  });
}

t.test(
  'the clock was set back by a month while a restart waited: its kubelet missed the windows of that month',
  async (t) => {
    const { clock, hold } = bench();
    clock.advance(31 * DAY);
    void hold.until(hookEvent(), undefined, new AbortController().signal);
    await clock.sleeping(1);
    clock.advance(-31 * DAY);
    clock.wakeAll();
    await until(() => hold.states()[0]?.at.getTime() === PLANNED.getTime());
    t.has(hold.states(), [{ at: PLANNED, by: 'window' }]);
  },
);
