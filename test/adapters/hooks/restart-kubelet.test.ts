/** Kubelets of all releases after a new pair: which of them is restarted, how often, and what is said. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { bench, client, rotate, serving } from './restart-bench.ts';

const SERVED = 'The new pair is served';
const RESTARTED = 'The kubelet serves a stale pair and is restarted';

for (const row of [
  { release: '1.20', restarts: 1, to: 'every client' },
  { release: '1.31', restarts: 1, to: 'clients that connect by address' },
  { release: '1.36', restarts: 0, to: undefined },
] as const) {
  t.test(
    `a kubelet that reloads as ${row.release} does is restarted ${String(row.restarts)} times a pair`,
    async (t) => {
      const all = bench(t, { release: row.release });
      const hooks = all.start();
      for (const serial of ['2', '3']) {
        await rotate(all, hooks, serial);
        const said = all.log.lines.filter(({ event }) => event === RESTARTED).at(-1);
        if (row.to === undefined) t.equal(said, undefined);
        else t.match(said?.fields, { purpose: 'serving', serial: String(Number(serial) - 1), to: row.to });
      }
      t.equal(all.node.restarts, 2 * row.restarts);
      t.equal(all.log.events().filter((event) => event === SERVED).length, 2, 'said once for each pair');
      t.same(hooks.problems(), []);
      t.same(JSON.parse(readFileSync(join(all.stateDir, 'hooks.json'), 'utf8')), {
        serving: { pairPath: serving('3').pairPath, pending: [], ...(row.restarts === 0 ? {} : { asked: true }) },
      });
    },
  );
}

t.test('a kubelet that reloads is left alone at once, one that does not after the time it was given', async (t) => {
  for (const [release, tookMs] of [
    ['1.36', 300],
    ['1.20', 90_000 + 300 + 300],
  ] as const) {
    const all = bench(t, { release });
    const began = all.clock.now().getTime();
    await rotate(all, all.start());
    t.equal(all.clock.now().getTime() - began, tookMs, release);
  }
});

t.test('nothing listens: no error, no restart, and the looks end', async (t) => {
  const all = bench(t, { listens: false });
  const hooks = all.start();
  await rotate(all, hooks);
  t.same([all.node.restarts, hooks.problems(), all.node.looks], [0, [], 7]);
  t.notMatch(all.log.events().join(), SERVED);
});

t.test('a command that ends by itself waits for nobody who does not listen', async (t) => {
  const all = bench(t, { listens: false });
  const began = all.clock.now().getTime();
  await rotate(all, all.start('auto', 10_000));
  t.equal(all.clock.now().getTime() - began, 300);
});

t.test('a run with nothing due waited three tenths of a second before it looked at what is served', async (t) => {
  const all = bench(t);
  await rotate(all, all.start());
  const [began, looks] = [all.clock.now().getTime(), all.node.looks];
  const hooks = all.start('auto', 10_000);
  await hooks.begin([serving('2')], all.stop.signal);
  await all.settle(hooks);
  t.equal(all.clock.now().getTime() - began, 0);
  t.equal(all.node.looks - looks, 1);
});

t.test(
  'a kubelet that serves other files is restarted once, and what is wrong is said, hour by hour, until it is mended',
  async (t) => {
    const all = bench(t, { ownFile: '1' });
    const hooks = all.start();
    await rotate(all, hooks);
    t.match(hooks.problems(), [{ message: /serial 1 to every client after its restart, too: its tlsCertFile is not/ }]);
    t.match(hooks.problems()[0]?.remedy, /certlet adopt --write.*systemctl restart kubelet\.service/);
    t.match(all.node.observed, [{ kind: 'notServed', purpose: 'serving', text: /tlsCertFile/ }]);
    for (let hour = 0; hour < 6; hour += 1) {
      await all.clock.passSleep();
      await all.settle(hooks);
    }
    t.equal(all.node.restarts, 1, 'no second restart');
    t.equal(all.node.observed.length, 1, 'and no second Event');
    all.node.ownFile = undefined;
    all.node.restart();
    await all.clock.passSleep();
    await all.settle(hooks);
    t.same(hooks.problems(), [], 'a look finds it mended');
  },
);

t.test('a restart of certlet between the restart of the kubelet and the proof: no second restart', async (t) => {
  const all = bench(t, { ownFile: '1' });
  await rotate(all, all.start());
  const again = all.start();
  await again.begin([serving('2')], all.stop.signal);
  await all.settle(again);
  t.equal(all.node.restarts, 1);
  t.match(again.problems(), [{ message: /after its restart, too/ }]);
});

t.test('certlet was down when the pair changed: found at the start', async (t) => {
  const all = bench(t);
  all.node.file = '2';
  const hooks = all.start();
  await hooks.begin([serving('2')], all.stop.signal);
  await all.settle(hooks);
  t.equal(all.node.restarts, 1);
  t.match(all.log.events(), ['Hook wanted', RESTARTED, SERVED, 'Hook done']);
});

t.test('a start on a kubelet that serves the current pair: one look, and nothing is said', async (t) => {
  const all = bench(t);
  const hooks = all.start('always');
  await hooks.begin([serving('1')], all.stop.signal);
  await all.settle(hooks);
  t.same([all.node.looks, all.node.restarts, all.log.lines], [1, 0, []]);
});

t.test('restart: never is told what is served, and restarts nothing', async (t) => {
  const all = bench(t);
  const hooks = all.start('never');
  await rotate(all, hooks);
  t.match(hooks.problems(), [{ message: /serial 1 to every client/, remedy: 'systemctl restart kubelet.service' }]);
  t.equal(all.node.restarts, 0);
});

t.test('restart: always restarts first and looks afterwards', async (t) => {
  const all = bench(t, { release: '1.36' });
  await rotate(all, all.start('always'));
  t.same([all.node.restarts, all.node.looks], [1, 1]);
  t.match(all.log.events(), ['Hook wanted', SERVED, 'Hook done']);
});

t.test('a path unit that is dead is what is told, not the files of the kubelet', async (t) => {
  const all = bench(t);
  all.unit = false;
  const hooks = all.start();
  await rotate(all, hooks);
  t.match(hooks.problems(), [{ message: /restart-kubelet was not taken within 60 s/ }]);
  all.unit = true;
  await all.clock.passSleep();
  await all.settle(hooks);
  t.same([hooks.problems(), all.node.restarts], [[], 1]);
});

t.test('a client certificate: the version decides, and is waited for where it is not known yet', async (t) => {
  const all = bench(t);
  all.version = undefined;
  const hooks = all.start();
  await hooks.rotated(client(), all.stop.signal);
  await all.clock.passSleep();
  all.version = 'v1.17.2';
  await all.settle(hooks);
  t.equal(all.node.restarts, 1, 'by then the Node had told it');
  all.version = undefined;
  const other = all.start();
  await other.rotated({ ...client(), pairPath: '/x/3.pem' }, all.stop.signal);
  await all.settle(other);
  t.equal(all.node.restarts, 1, 'nobody ever told it');
  await other.rotated({ ...client(), purpose: 'another', pairPath: '/x/4.pem' }, all.stop.signal);
  await all.settle(other);
  const said = all.log.lines.filter(
    ({ event, fields }) =>
      event.includes('version is not known') || JSON.stringify(fields).includes('version of the kubelet decides'),
  );
  t.match(
    said.filter(({ level }) => level === 'info').map(({ event }) => event),
    ['Hook wanted', 'Hook wanted', 'The kubelet is not restarted: its version is not known'],
    'by each process once, and not for each certificate',
  );
  t.same(other.problems(), []);
});

t.test('a command whose work was done waited ten seconds more for a version that nobody asked for', async (t) => {
  const all = bench(t);
  all.version = undefined;
  const hooks = all.start();
  const began = all.clock.now();
  await hooks.rotated(client(), all.stop.signal);
  while (all.clock.untilNextMs === undefined) await new Promise(setImmediate);
  all.allKnown.abort();
  await hooks.settled();
  t.strictSame(all.clock.now(), began, 'no time has passed');
  t.equal(all.log.lines.filter(({ event }) => event.includes('version is not known')).length, 1);
  const later = all.start();
  await later.rotated({ ...client(), pairPath: '/x/3.pem' }, all.stop.signal);
  await later.settled();
  t.strictSame(all.clock.now(), began, 'nor where it was done before');
  all.version = 'v1.17.2';
  const told = all.start();
  await told.rotated({ ...client(), pairPath: '/x/4.pem' }, all.stop.signal);
  await all.settle(told);
  t.equal(all.node.restarts, 1, 'what is known counts');
});

t.test('a flag that could not be raised at first counted as taken, and the kubelet was never restarted', async (t) => {
  const all = bench(t);
  all.version = 'v1.17.2';
  const hooks = all.start();
  rmSync(dirname(all.flagFile), { recursive: true });
  await hooks.rotated(client(), all.stop.signal);
  while (hooks.problems().length === 0) await new Promise(setImmediate);
  t.match(hooks.problems(), [{ message: /cannot raise the flag/ }]);
  mkdirSync(dirname(all.flagFile));
  await all.clock.passSleep();
  await all.settle(hooks);
  t.same([hooks.problems(), all.node.restarts], [[], 1]);
});

for (const row of [
  { name: 'serving certificate', event: () => serving('2'), version: 'v1.20.2' },
  { name: 'client certificate of an old kubelet', event: client, version: 'v1.17.17' },
]) {
  t.test(`the kubelet kept the old pair while its unit was masked, and all was healthy: ${row.name}`, async (t) => {
    const all = bench(t, { result: { LoadState: 'masked' } });
    all.version = row.version;
    const owed = () => JSON.parse(readFileSync(join(all.stateDir, 'hooks.json'), 'utf8')) as unknown;
    const hooks = all.start();
    all.node.file = '2';
    const event = row.event();
    await hooks.rotated(event, all.stop.signal);
    await all.settle(hooks);
    t.match(hooks.problems(), [{ message: /kubelet\.service .*masked/, remedy: 'systemctl unmask kubelet.service' }]);
    t.notMatch(all.log.events().join(), /Hook done/);
    t.match(owed(), { [event.purpose]: { pending: ['restart-kubelet'] } }, 'a restart of certlet goes on with it');
    t.notMatch(owed(), { [event.purpose]: { asked: true } });
    all.node.result = { LoadState: 'loaded', ActiveState: 'active', SubState: 'running' };
    await all.clock.passSleep();
    await all.settle(hooks);
    t.same([all.node.restarts, hooks.problems()], [1, []]);
    t.match(all.log.events().join(), /Hook done/);
    t.match(owed(), { [event.purpose]: { pending: [] } });
  });
}
