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

function lazily(load: () => Promise<RestartHold>, { waits = true } = {}) {
  const clock = new ManualClock();
  const log = new RecordingLogger();
  let changes = 0;
  const record = { held: () => undefined, replaced: () => undefined };
  const all = new WindowHold({ load, clock, log, record, waits, onChange: () => void (changes += 1) });
  return { all, clock, log, changes: () => changes };
}

t.test(
  'two certificates are due at one start: status told of one of them, and --restart-now freed that one',
  async (t) => {
    const made: RestartHold[] = [];
    const { all } = lazily(async () => {
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

const MISSING = new Error('no such file: window.cjs');

t.test('window.cjs was missing after half an upgrade: the restart was an internal error', async (t) => {
  let there = false;
  const { all, clock, log, changes } = lazily(async () => {
    if (!there) throw MISSING;
    return bench().hold;
  });
  const event = { ...hookEvent(), replaced: GOOD };
  void all.until(event, undefined, new AbortController().signal);
  await clock.sleeping(1);
  t.same(all.states(), [{ purpose: 'client', since: clock.now(), at: latestRestart(GOOD), by: 'end' }]);
  clock.advance(5 * 60_000);
  await clock.sleeping(1);
  t.equal(log.lines.length, 1, 'told once');
  t.match(log.lines[0], {
    level: 'error',
    event: 'The restart of the kubelet cannot be planned',
    fields: { purpose: 'client', code: 'ERR_HOOK', error: /window\.cjs/, remedy: /again/ },
  });
  there = true;
  clock.advance(5 * 60_000);
  await until(() => all.states()[0]?.by === 'window');
  t.has(all.states(), [{ at: PLANNED, by: 'window' }], 'planned as ever once the program is there');
  t.ok(changes() >= 2);
});

t.test('without the program: what the kubelet uses ends, an administrator asks, or nobody knows', async (t) => {
  const missing = async (): Promise<RestartHold> => {
    throw MISSING;
  };
  const event = { ...hookEvent(), replaced: GOOD };
  const { signal } = new AbortController();
  const ending = lazily(missing);
  const end = ending.all.until(event, undefined, signal);
  await ending.clock.sleeping(1);
  ending.clock.advance(latestRestart(GOOD).getTime() - ending.clock.now().getTime());
  t.equal(await end, 'due', 'before the pair in use ends');
  t.same(ending.all.states(), []);

  const asked = lazily(missing);
  const freed = asked.all.until(event, undefined, signal);
  await asked.clock.sleeping(1);
  t.same(asked.all.release(), ['client']);
  t.equal(await freed, 'due');

  t.equal(await lazily(missing).all.until(hookEvent(), undefined, signal), 'due', 'no dates, nothing to wait for');
  t.equal(await lazily(missing, { waits: false }).all.until(event, undefined, signal), 'later', 'a command ends');

  const stopped = lazily(missing);
  const stop = new AbortController();
  const over = stopped.all.until(event, undefined, stop.signal);
  await stopped.clock.sleeping(1);
  stop.abort(new Error('the daemon ends'));
  await t.rejects(over, /the daemon ends/);
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
