/** Kubelets of all releases after a new pair: which of them is restarted, how often, and what is said. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { hookRetryMs } from '../../../src/host-hooks.ts';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { HookRecord } from '../../../src/adapters/hooks/hook-record.ts';
import { restartKubeletHook } from '../../../src/adapters/hooks/restart-kubelet.ts';
import { RotationHooks } from '../../../src/adapters/hooks/rotation-hooks.ts';
import { restartFlag } from '../../../src/adapters/systemd/flag-hook.ts';
import { KUBELET_CLIENT_AFTER, KUBELET_SERVING_AFTER } from '../../../src/csr/spec.ts';
import { kubeletPlan, type RestartSetting } from '../../../src/kubelet/restart.ts';
import type { Look } from '../../../src/kubelet/served.ts';
import type { CertificatePair } from '../../../src/pki/certificate.ts';
import type { AgentEvent } from '../../../src/ports.ts';
import { sampleFacts } from '../../fixtures/snapshots.ts';
import type { KubeletRelease } from '../../fixtures/serving-kubelet.ts';
import { hookEvent, ManualClock, proofOf, RecordingLogger } from './hook-fakes.ts';

const NAMES = ['n1', 'n1.example', '*.n1.example'];
const pairOf = (serial: string): CertificatePair =>
  ({
    chain: { leaf: sampleFacts({ serial, fingerprint: `of ${serial}`, dnsNames: NAMES }) },
  }) as unknown as CertificatePair;

/** What lies behind the link, and a kubelet that reads it as its release does. */
class Node {
  file = '1';
  started = '1';
  release: KubeletRelease = '1.20';
  listens = true;
  /** Its `tlsCertFile` is another one. */
  ownFile: string | undefined;
  restarts = 0;
  looks = 0;
  readonly observed: AgentEvent[] = [];

  restart(): void {
    this.restarts += 1;
    this.started = this.ownFile ?? this.file;
  }

  look(names: readonly string[]): readonly Look[] {
    this.looks += 1;
    if (!this.listens) return [{ kind: 'absent' }];
    const byName = this.release === '1.20' ? this.started : this.file;
    const byAddress = this.release === '1.36' ? this.file : this.started;
    const shown = (serial: string): Look => ({ kind: 'served', serial, fingerprint: `of ${serial}` });
    return [shown(byAddress), ...names.map((name) => ({ ...shown(byName), name }))];
  }
}

interface Bench {
  readonly node: Node;
  readonly log: RecordingLogger;
  readonly clock: ManualClock;
  readonly stateDir: string;
  readonly flagFile: string;
  /** Nobody takes the flag while false. */
  unit: boolean;
  version: string | undefined;
  /** A process of certlet. */
  start(setting?: RestartSetting, patienceMs?: number): RotationHooks;
  /** Time passes, and systemd takes the flag, until nothing runs any more. */
  settle(hooks: RotationHooks): Promise<void>;
  readonly stop: AbortController;
}

function bench(t: Test, parts: Partial<Node> = {}): Bench {
  const node = Object.assign(new Node(), parts);
  const folder = t.testdir({ run: {} });
  const [clock, log, stop] = [new ManualClock(), new RecordingLogger(), new AbortController()];
  t.teardown(() => stop.abort());
  const [stateDir, runtimeDir] = [join(folder, 'state'), join(folder, 'run')];
  mkdirSync(stateDir);
  const flagFile = join(runtimeDir, 'restart-kubelet');
  const fs = new NodeFileSystem();
  const all: Bench = {
    node,
    log,
    clock,
    stateDir,
    flagFile,
    stop,
    unit: true,
    version: 'v1.20.2',
    start: (setting = 'auto', patienceMs) => {
      const record = new HookRecord(fs, stateDir);
      const proof = proofOf(clock, log, {
        current: async () => pairOf(node.file),
        look: async (_endpoint, names) => node.look(names),
        observer: { observe: (event) => void node.observed.push(event) },
        patienceMs,
      });
      const hook = restartKubeletHook({
        clock,
        log,
        flag: restartFlag({ fs, clock, runtimeDir }),
        unit: 'kubelet.service',
        plan: (event) => kubeletPlan({ ...event, kubeletVersion: all.version }, setting),
        proof,
        record,
        patienceMs,
      });
      return new RotationHooks({ hooks: [hook], clock, log, record, retryAfterMs: hookRetryMs });
    },
    settle: async (hooks) => {
      // What a passed sleep has woken begins first.
      await new Promise(setImmediate);
      let settled = false;
      void hooks.settled().then(() => void (settled = true));
      for (; ; await new Promise(setImmediate)) {
        if (settled) return;
        const { untilNextMs } = clock;
        if (untilNextMs === undefined) continue;
        if (all.unit && existsSync(flagFile)) {
          rmSync(flagFile);
          node.restart();
        }
        clock.advance(untilNextMs);
      }
    },
  };
  return all;
}

const serving = (serial: string) => ({ ...hookEvent(`${serial}.pem`, 'serving'), after: KUBELET_SERVING_AFTER });
const client = () => ({ ...hookEvent(), after: KUBELET_CLIENT_AFTER, kubeletVersion: undefined });

async function rotate(bench: Bench, hooks: RotationHooks, serial = '2'): Promise<void> {
  bench.node.file = serial;
  await hooks.rotated(serving(serial), bench.stop.signal);
  await bench.settle(hooks);
}

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
  t.ok(all.log.events().includes('The kubelet is not restarted: its version is not known'));
  t.same(other.problems(), []);
});
