/** Restarts that wait for their window, over days and weeks of a clock of the test. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { RestartHold } from '../../../src/adapters/hooks/restart-hold.ts';
import type { RotationHooks } from '../../../src/adapters/hooks/rotation-hooks.ts';
import { type Bench, bench, client, rotate, serving } from './restart-bench.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const PLANNED = new Date('2030-01-05T03:00:00Z');
const NEXT_WEEK = new Date(PLANNED.getTime() + 7 * DAY);
const WAITS = 'The restart of the kubelet waits for its window';
const EARLY = 'The restart of the kubelet cannot wait for its window';
const SERVED = 'The new pair is served';
/** Good for long. */
const GOOD = { notBefore: new Date('2029-06-01'), notAfter: new Date('2030-06-01'), selfSigned: false };

/** Until this many restarts wait; the looks before that are over. */
async function untilHeld(all: Bench, hold: RestartHold, count = 1): Promise<void> {
  for (; hold.states().length < count; await new Promise(setImmediate)) {
    const { untilNextMs } = all.clock;
    if (untilNextMs !== undefined && untilNextMs <= 90_000 && !all.isDiskBusy()) all.clock.advance(untilNextMs);
  }
}

/** A process of certlet that ends while a restart waits. */
async function heldAndEnded(all: Bench, event: ReturnType<typeof serving>): Promise<void> {
  const { hooks, hold } = all.startWithWindow();
  const stop = new AbortController();
  await hooks.rotated(event, stop.signal);
  await untilHeld(all, hold);
  stop.abort();
  await hooks.stopped();
}

async function served(all: Bench, hooks: RotationHooks, hold: RestartHold, serial = '2'): Promise<void> {
  all.node.file = serial;
  await hooks.rotated(serving(serial), all.stop.signal);
  await untilHeld(all, hold);
}

t.test('a restart waits for its window, is told beforehand, and happens at the moment that was told', async (t) => {
  const all = bench(t);
  const { hooks, hold } = all.startWithWindow();
  await served(all, hooks, hold);
  t.has(hold.states(), [{ purpose: 'serving', at: PLANNED, by: 'window' }]);
  t.match(all.node.observed, [
    { kind: 'restartPlanned', purpose: 'serving', text: /at 2030-01-05T03:00:00Z for serving, in its window/ },
  ]);
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.ok(all.clock.now() >= PLANNED && all.clock.now().getTime() < PLANNED.getTime() + 60_000, String(all.clock.now()));
  t.same(hold.states(), []);
  t.same(
    all.log.events().filter((event) => event === WAITS || event === SERVED),
    [WAITS, SERVED],
  );
});

t.test(
  'a pair that ends before the window: a tenth of its life before its end, and a warning beforehand',
  async (t) => {
    const dates = { ...GOOD, notBefore: new Date('2029-12-23T00:00:00Z'), notAfter: new Date('2030-01-02T00:00:00Z') };
    const all = bench(t, { dates });
    const { hooks, hold } = all.startWithWindow();
    // The clock stands at 2030-01-01, which is in the margin: at once.
    await rotate(all, hooks);
    t.equal(all.node.restarts, 1);
    all.node.dates = { ...dates, notAfter: new Date('2030-01-04T00:00:00Z') };
    await served(all, hooks, hold, '3');
    t.has(hold.states(), [{ at: new Date('2030-01-02T19:12:00Z'), by: 'end' }]);
    t.has(
      all.log.lines.find(({ level }) => level === 'warn'),
      { event: EARLY, fields: { at: new Date('2030-01-02T19:12:00Z'), expiration: new Date('2030-01-04T00:00:00Z') } },
    );
    await all.settle(hooks);
    t.equal(all.node.restarts, 2);
    t.ok(all.clock.now() < new Date('2030-01-02T19:13:00Z'));
  },
);

t.test('a restart of certlet changes no moment that was told, and says it once', async (t) => {
  const all = bench(t);
  all.node.file = '2';
  await heldAndEnded(all, serving('2'));
  const second = all.startWithWindow();
  await second.hooks.begin([serving('2')], all.stop.signal);
  await untilHeld(all, second.hold);
  t.has(second.hold.states(), [{ at: PLANNED, by: 'window' }]);
  await all.settle(second.hooks);
  t.equal(all.node.restarts, 1);
  t.equal(all.log.events().filter((event) => event === WAITS).length, 1);
});

t.test('certlet was off in the window: the next one counts', async (t) => {
  const all = bench(t);
  all.node.file = '2';
  await heldAndEnded(all, serving('2'));
  all.clock.advance(6 * DAY);
  const { hooks, hold } = all.startWithWindow();
  await hooks.begin([serving('2')], all.stop.signal);
  await untilHeld(all, hold);
  t.has(hold.states(), [{ at: NEXT_WEEK, by: 'window' }]);
  t.equal(all.node.restarts, 0);
});

t.test('certlet was off at its moment and is back while the window is open: it has waited long enough', async (t) => {
  const all = bench(t);
  all.node.file = '2';
  await heldAndEnded(all, serving('2'));
  all.clock.advance(PLANNED.getTime() + HOUR / 2 - all.clock.now().getTime());
  const { hooks } = all.startWithWindow();
  await hooks.begin([serving('2')], all.stop.signal);
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.ok(all.clock.now().getTime() < PLANNED.getTime() + HOUR);
});

t.test('the host slept through the window: its kubelet was restarted in the middle of a working day', async (t) => {
  const all = bench(t);
  const { hooks, hold } = all.startWithWindow();
  await served(all, hooks, hold);
  all.clock.advance(6 * DAY);
  while (hold.states()[0]?.at.getTime() === PLANNED.getTime()) await new Promise(setImmediate);
  t.has(hold.states(), [{ at: NEXT_WEEK, by: 'window' }]);
  t.equal(all.node.restarts, 0);
  t.equal(all.log.events().filter((event) => event === WAITS).length, 2, 'the new moment is told');
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.ok(all.clock.now() >= NEXT_WEEK);
});

t.test('somebody restarts the kubelet while the restart waits: nobody restarts it again', async (t) => {
  const all = bench(t);
  const { hooks, hold } = all.startWithWindow();
  await served(all, hooks, hold);
  all.node.restart();
  await all.settle(hooks);
  t.equal(all.node.restarts, 1, 'theirs');
  t.notOk(existsSync(all.flagFile));
  t.ok(all.clock.now() < PLANNED, 'not at the moment that was planned');
  t.ok(all.log.events().includes(SERVED));
});

t.test('somebody restarts the kubelet while certlet is off: nothing waits any more', async (t) => {
  const all = bench(t);
  all.version = 'v1.17.2';
  await heldAndEnded(all, { ...client(), replaced: GOOD });
  all.node.restart();
  const { hooks, hold } = all.startWithWindow();
  await hooks.begin([client()], all.stop.signal);
  await all.settle(hooks);
  t.same([all.node.restarts, hold.states(), all.clock.now() < PLANNED], [1, [], true]);
  t.notMatch(readFileSync(join(all.stateDir, 'hooks.json'), 'utf8'), /held|restart-kubelet/);
});

t.test('a kubelet of which nobody can see when it began is restarted in the window', async (t) => {
  const all = bench(t, { run: undefined });
  all.version = 'v1.17.2';
  const { hooks, hold } = all.startWithWindow();
  await hooks.rotated({ ...client(), replaced: GOOD }, all.stop.signal);
  await untilHeld(all, hold);
  all.node.run = 'seen now';
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.ok(all.clock.now() >= PLANNED);
});

t.test('certlet renew --restart-now: the restart waits no longer', async (t) => {
  const all = bench(t);
  const { hooks, hold } = all.startWithWindow();
  await served(all, hooks, hold);
  t.same(hold.release(), ['serving']);
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.ok(all.clock.now() < PLANNED);
  t.same(hold.release(), [], 'nothing waits any more');
});

t.test('a command that ends by itself leaves the restart to the next one, which goes by the same moment', async (t) => {
  const all = bench(t);
  const once = all.startWithWindow({ patienceMs: 10_000 });
  await rotate(all, once.hooks);
  t.equal(all.node.restarts, 0);
  t.has(once.hold.states(), [{ purpose: 'serving', at: PLANNED }], 'and its status tells it');
  t.match(JSON.parse(readFileSync(join(all.stateDir, 'hooks.json'), 'utf8')), {
    serving: { pending: ['restart-kubelet'], held: { at: PLANNED.toISOString() } },
  });
  all.clock.advance(PLANNED.getTime() - all.clock.now().getTime());
  const next = all.startWithWindow({ patienceMs: 10_000 });
  await next.hooks.begin([serving('2')], all.stop.signal);
  await all.settle(next.hooks);
  t.equal(all.node.restarts, 1);
});

t.test('a self-signed pair is nothing to wait with', async (t) => {
  const all = bench(t, { dates: { ...GOOD, selfSigned: true } });
  await rotate(all, all.startWithWindow().hooks);
  t.equal(all.node.restarts, 1);
  t.ok(all.clock.now() < PLANNED);
});

t.test('a client certificate waits with the pair that it replaced, and not where nobody knows of one', async (t) => {
  const all = bench(t);
  all.version = 'v1.17.2';
  const { hooks, hold } = all.startWithWindow();
  await hooks.rotated(client(), all.stop.signal);
  await all.settle(hooks);
  t.same([all.node.restarts, all.clock.now() < PLANNED], [1, true], 'the first one of a node');
  await hooks.rotated({ ...client(), pairPath: '/x/2.pem', replaced: GOOD }, all.stop.signal);
  await untilHeld(all, hold);
  t.has(hold.states(), [{ purpose: 'client', at: PLANNED }]);
  await all.settle(hooks);
  t.equal(all.node.restarts, 2);
});

t.test('certlet died between the swap and its hooks: the kubelet was restarted at once, at any hour', async (t) => {
  const all = bench(t);
  all.version = 'v1.17.2';
  const before = all.startWithWindow();
  await before.hooks.begin([{ ...client(), pairPath: '/x/1.pem' }], all.stop.signal);
  const asked: string[] = [];
  all.datesOf = async (path) => {
    asked.push(path);
    return GOOD;
  };
  const { hooks, hold } = all.startWithWindow();
  await hooks.begin([{ ...client(), pairPath: '/x/2.pem' }], all.stop.signal);
  await untilHeld(all, hold);
  t.same(asked, ['/x/1.pem']);
  t.has(hold.states(), [{ purpose: 'client', at: PLANNED }]);
  t.equal(all.node.restarts, 0);
});

t.test('certlet died before the wait was noted: what was replaced is known from what is owed', async (t) => {
  const all = bench(t);
  all.version = undefined;
  const before = all.startWithWindow();
  const stop = new AbortController();
  await before.hooks.rotated({ ...client(), replaced: GOOD }, stop.signal);
  stop.abort();
  await before.hooks.stopped();
  all.version = 'v1.17.2';
  const { hooks, hold } = all.startWithWindow();
  await hooks.begin([client()], all.stop.signal);
  await untilHeld(all, hold);
  t.has(hold.states(), [{ purpose: 'client', at: PLANNED }]);
});

t.test(
  'a pair that is replaced while its restart waits was never used: the end of the one before it counts',
  async (t) => {
    const all = bench(t);
    all.version = 'v1.17.2';
    const { hooks, hold } = all.startWithWindow();
    const inUse = { ...GOOD, notBefore: new Date('2029-12-31T00:00:00Z'), notAfter: new Date('2030-01-05T12:00:00Z') };
    await hooks.rotated({ ...client(), pairPath: '/x/2.pem', replaced: inUse }, all.stop.signal);
    await untilHeld(all, hold);
    t.has(hold.states(), [{ at: new Date('2030-01-04T22:48:00Z'), by: 'end' }]);
    await hooks.rotated({ ...client(), pairPath: '/x/3.pem', replaced: GOOD }, all.stop.signal);
    await all.settle(hooks);
    t.equal(all.node.restarts, 1);
    t.ok(all.clock.now() < new Date('2030-01-04T22:49:00Z'), String(all.clock.now()));
  },
);

t.test('two certificates whose restarts are due at one moment cost one restart', async (t) => {
  const all = bench(t);
  all.version = 'v1.17.2';
  const { hooks, hold } = all.startWithWindow();
  await served(all, hooks, hold);
  await hooks.rotated({ ...client(), replaced: GOOD }, all.stop.signal);
  await untilHeld(all, hold, 2);
  t.has(hold.states(), [{ at: PLANNED }, { at: PLANNED }]);
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.same(hooks.problems(), []);
});

t.test('and so does a release of both', async (t) => {
  const all = bench(t);
  all.version = 'v1.17.2';
  const { hooks, hold } = all.startWithWindow();
  await served(all, hooks, hold);
  await hooks.rotated({ ...client(), replaced: GOOD }, all.stop.signal);
  await untilHeld(all, hold, 2);
  t.same(hold.release(), ['serving', 'client']);
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.ok(all.clock.now() < PLANNED);
});

t.test('a window that the settings have changed since: planned anew', async (t) => {
  const all = bench(t);
  all.node.file = '2';
  await heldAndEnded(all, serving('2'));
  all.windowStart = '0 2 * * 3';
  const { hooks, hold } = all.startWithWindow();
  await hooks.begin([serving('2')], all.stop.signal);
  await untilHeld(all, hold);
  t.has(hold.states(), [{ at: new Date('2030-01-02T03:00:00Z'), by: 'window' }]);
});

t.test('what the kubelet uses is of no use any more: the restart that waits happens at once', async (t) => {
  const all = bench(t);
  all.version = 'v1.17.2';
  const { hooks, hold } = all.startWithWindow();
  const event = { ...client(), replaced: GOOD };
  await hooks.rotated(event, all.stop.signal);
  await untilHeld(all, hold);
  await hooks.rotated({ ...event, urgent: true }, all.stop.signal);
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.ok(all.clock.now() < PLANNED);
  t.notMatch(readFileSync(join(all.stateDir, 'hooks.json'), 'utf8'), /held/);
});

t.test('restart: always waits for the window, too, and looks afterwards', async (t) => {
  const all = bench(t, { release: '1.36' });
  const { hooks, hold } = all.startWithWindow({ setting: 'always' });
  all.node.file = '2';
  await hooks.rotated({ ...serving('2'), replaced: GOOD }, all.stop.signal);
  await untilHeld(all, hold);
  t.has(hold.states(), [{ at: PLANNED }]);
  await all.settle(hooks);
  t.ok(all.log.events().includes(SERVED));
  t.same(hooks.problems(), []);
});
