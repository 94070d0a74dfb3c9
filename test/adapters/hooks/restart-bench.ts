/** A kubelet of any release behind the hook that restarts it, on a clock and a disk of the test. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { hookRetryMs } from '../../../src/host-hooks.ts';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { HookRecord } from '../../../src/adapters/hooks/hook-record.ts';
import { RestartHold } from '../../../src/adapters/hooks/restart-hold.ts';
import { restartKubeletHook } from '../../../src/adapters/hooks/restart-kubelet.ts';
import { RotationHooks } from '../../../src/adapters/hooks/rotation-hooks.ts';
import { restartFlag } from '../../../src/adapters/systemd/flag-hook.ts';
import { KUBELET_CLIENT_AFTER, KUBELET_SERVING_AFTER } from '../../../src/csr/spec.ts';
import { kubeletPlan, type RestartSetting } from '../../../src/kubelet/restart.ts';
import type { PairInUse } from '../../../src/kubelet/restart-window.ts';
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
  /** Of the pair that it started with. */
  dates = { notBefore: new Date('2029-06-01'), notAfter: new Date('2030-06-01'), selfSigned: false };
  /** What the restart service writes of its run; undefined where it is of a package that writes nothing. */
  result: Readonly<Record<string, string>> | undefined;
  /** Of its control group, as systemd makes it. */
  run: string | undefined = 'run 1';
  readonly observed: AgentEvent[] = [];

  restart(): void {
    this.restarts += 1;
    if (this.run !== undefined) this.run = `run ${String(this.restarts + 1)}`;
    this.started = this.ownFile ?? this.file;
  }

  look(names: readonly string[]): readonly Look[] {
    this.looks += 1;
    if (!this.listens) return [{ kind: 'absent' }];
    const byName = this.release === '1.20' ? this.started : this.file;
    const byAddress = this.release === '1.36' ? this.file : this.started;
    const { dates } = this;
    const shown = (serial: string): Look => ({ kind: 'served', serial, fingerprint: `of ${serial}`, dates });
    return [shown(byAddress), ...names.map((name) => ({ ...shown(byName), name }))];
  }
}

interface WindowParts {
  readonly setting?: RestartSetting;
  readonly patienceMs?: number;
}

export interface Bench {
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
  /** Aborts when the version will not become known any more. */
  readonly allKnown: AbortController;
  /** Fields of crontab: Saturdays (the next one is 2030-01-05), 02:00 UTC, for two hours; this node's moment is in the middle. */
  windowStart: string;
  /** Of the files of earlier pairs. */
  datesOf: ((pairPath: string) => Promise<PairInUse | undefined>) | undefined;
  /** The same, with restarts in the window. */
  startWithWindow(parts?: WindowParts): { readonly hooks: RotationHooks; readonly hold: RestartHold };
  /** Time passes, and systemd takes the flag, until nothing runs any more. */
  /** Something is being written: the clock stands still until then. */
  readonly isDiskBusy: () => boolean;
  settle(hooks: RotationHooks): Promise<void>;
  readonly stop: AbortController;
}

/** The kubelet holds pair 1. */
export function bench(t: Test, parts: Partial<Node> = {}): Bench {
  const node = Object.assign(new Node(), parts);
  const folder = t.testdir({ run: {} });
  const [clock, log, stop] = [new ManualClock(), new RecordingLogger(), new AbortController()];
  t.teardown(() => stop.abort());
  const [stateDir, runtimeDir] = [join(folder, 'state'), join(folder, 'run')];
  mkdirSync(stateDir);
  const flagFile = join(runtimeDir, 'restart-kubelet');
  const disk = watched(new NodeFileSystem());
  const fs = disk.fs;
  const make = (
    setting: RestartSetting,
    patienceMs: number | undefined,
    holdWith: (record: HookRecord) => RestartHold | undefined,
  ): { readonly hooks: RotationHooks; readonly hold: RestartHold | undefined } => {
    const record = new HookRecord(fs, stateDir);
    const hold = holdWith(record);
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
      allKnown: all.allKnown.signal,
      hold,
    });
    const { datesOf } = all;
    return {
      hooks: new RotationHooks({ hooks: [hook], clock, log, record, retryAfterMs: hookRetryMs, datesOf }),
      hold,
    };
  };
  const holdOf = (record: HookRecord, waits: boolean): RestartHold =>
    new RestartHold({
      clock,
      log,
      record,
      waits,
      observer: { observe: (event) => void node.observed.push(event) },
      window: { start: all.windowStart, lengthMs: 2 * HOUR, timeZone: 'UTC' },
      roll: 0.5,
      kubeletRun: async () => node.run,
    });
  const all: Bench = {
    node,
    log,
    clock,
    stateDir,
    flagFile,
    stop,
    allKnown: new AbortController(),
    unit: true,
    version: 'v1.20.2',
    start: (setting = 'auto', patienceMs) => make(setting, patienceMs, () => undefined).hooks,
    windowStart: '0 2 * * 6',
    datesOf: undefined,
    startWithWindow: ({ setting = 'auto', patienceMs } = {}) => {
      const { hooks, hold } = make(setting, patienceMs, (record) => holdOf(record, patienceMs === undefined));
      if (hold === undefined) throw new Error('there is a hold');
      return { hooks, hold };
    },
    isDiskBusy: disk.isBusy,
    settle: async (hooks) => {
      // What a passed sleep has woken begins first.
      await new Promise(setImmediate);
      let settled = false;
      void hooks.settled().then(() => void (settled = true));
      for (; ; await new Promise(setImmediate)) {
        if (settled) return;
        const { untilNextMs } = clock;
        // A sync takes real time, in which none of the clock's passes.
        if (untilNextMs === undefined || disk.isBusy()) continue;
        if (all.unit && existsSync(flagFile)) {
          rmSync(flagFile);
          if (takeFlag(node, runtimeDir)) node.restart();
        }
        clock.advance(untilNextMs);
      }
    },
  };
  return all;
}

/** A file system that tells whether any of its calls has not come back, those of files that it opened included. */
function watched<T extends object>(real: T): { readonly fs: T; readonly isBusy: () => boolean } {
  let calls = 0;
  const through = <O extends object>(object: O): O =>
    new Proxy(object, {
      get: (target, key) => {
        const method: unknown = Reflect.get(target, key);
        if (typeof method !== 'function') return method;
        return async (...given: unknown[]) => {
          calls += 1;
          try {
            const answer: unknown = await Reflect.apply(method, target, given);
            return typeof answer === 'object' && answer !== null && 'sync' in answer ? through(answer) : answer;
          } finally {
            calls -= 1;
          }
        };
      },
    });
  return { fs: through(real), isBusy: () => calls > 0 };
}

/** As certlet-kubelet-restart.service does; gives whether the kubelet is restarted. */
function takeFlag({ result }: Node, runtimeDir: string): boolean {
  if (result === undefined) return true;
  mkdirSync(join(runtimeDir, 'results'), { recursive: true });
  const fields = {
    Phase: 'ended',
    Run: `run ${String(takes++)}`,
    Unit: 'kubelet.service',
    Service: 'success',
    ...result,
  };
  const text = Object.entries(fields).map(([key, value]) => `${key}=${value}\n`);
  writeFileSync(join(runtimeDir, 'results/restart-kubelet'), text.join(''));
  return fields.Service === 'success' && !['masked', 'not-found'].includes(result['LoadState'] ?? '');
}
let takes = 0;

const HOUR = 3_600_000;

export const serving = (serial: string) => ({ ...hookEvent(`${serial}.pem`, 'serving'), after: KUBELET_SERVING_AFTER });
export const client = () => ({ ...hookEvent(), after: KUBELET_CLIENT_AFTER, kubeletVersion: undefined });

/** A rotation, and what comes of it. */
export async function rotate(bench: Bench, hooks: RotationHooks, serial = '2'): Promise<void> {
  bench.node.file = serial;
  await hooks.rotated(serving(serial), bench.stop.signal);
  await bench.settle(hooks);
}
