/** Hundreds of nodes in one process: real agents over real folders and real connections, told what to do by the parent. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { loadSettings, type Settings } from '../../../src/config.ts';
import { assembleAgent, systemClock } from '../../../src/assembly.ts';
import type { LogFields, Logger, LogLevel } from '../../../src/ports.ts';
import type { AgentSnapshot } from '../../../src/rotation/snapshot.ts';
import type { WorkerCommand, WorkerPlan, WorkerReport } from './messages.ts';

const plan = JSON.parse(process.argv[2] ?? '{}') as WorkerPlan;
const clock = systemClock();
const emptyRssBytes = process.memoryUsage.rss();
const delay = monitorEventLoopDelay({ resolution: 20 });
delay.enable();

class CountingLogger implements Logger {
  readonly problems: Record<string, number> = {};

  log(level: LogLevel, event: string, fields: LogFields = {}): void {
    if (level !== 'warn' && level !== 'error') return;
    const { code } = fields;
    const key = typeof code === 'string' ? code : event;
    this.problems[key] = (this.problems[key] ?? 0) + 1;
  }
}

const log = new CountingLogger();

/** One node: its folder outlives its agent. */
class SoakNode {
  readonly #name: string;
  readonly #folder: string;
  #stop = new AbortController();
  #run: Promise<void> = Promise.resolve();
  #begunAtMs: number | undefined;
  #doneAtMs: number | undefined;

  constructor(index: number) {
    this.#name = `soak-${String(index)}`;
    this.#folder = join(plan.folder, this.#name);
    mkdirSync(this.#folder);
    writeFileSync(join(this.#folder, 'bootstrap.conf'), plan.bootstrapKubeconfig, { mode: 0o600 });
  }

  start(spreadSeconds: number): void {
    this.#stop = new AbortController();
    this.#begunAtMs = undefined;
    this.#doneAtMs = undefined;
    const agent = assembleAgent(this.#settings(spreadSeconds), {
      log,
      clock,
      environment: {},
      version: '0.0.0',
      userId: process.getuid?.() ?? 0,
      after: { rotated: () => Promise.resolve(), announce: () => Promise.resolve() },
      observer: { observe: () => undefined },
      onTick: (snapshot) => this.#seen(snapshot),
      hurry: spreadSeconds === 0,
    });
    this.#run = agent.run(this.#stop.signal);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }

  get doneAtMs(): number | undefined {
    return this.#doneAtMs;
  }

  get begunAtMs(): number | undefined {
    return this.#begunAtMs;
  }

  #settings(spreadSeconds: number): Settings {
    const at = (name: string): string => join(this.#folder, name);
    const fileText = JSON.stringify({
      bootstrapKubeconfig: at('bootstrap.conf'),
      kubeconfig: at('kubelet.conf'),
      certDir: at('pki'),
      runtimeDir: at('run'),
      hostnameOverride: this.#name,
      nodeIP: ['192.0.2.1'],
      rotateServerCertificates: plan.serving,
      rotation: { startSpread: `${String(spreadSeconds)}s` },
    });
    return loadSettings({ flags: {}, fileText, filePath: at('config.yaml'), osHostname: this.#name });
  }

  #seen(snapshot: AgentSnapshot): void {
    if (snapshot.managers.every(({ phase }) => phase !== 'starting')) this.#begunAtMs ??= Date.now();
    if (snapshot.upToDate) this.#doneAtMs ??= Date.now();
  }
}

const nodes = Array.from({ length: plan.count }, (_, index) => new SoakNode(plan.first + index));

function latest(moments: readonly (number | undefined)[]): number | undefined {
  const known = moments.filter((moment) => moment !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function report(): WorkerReport {
  const stallMs = delay.max / 1e6;
  delay.reset();
  return {
    nodes: nodes.length,
    upToDate: nodes.filter(({ doneAtMs }) => doneAtMs !== undefined).length,
    lastAtMs: latest(nodes.map(({ doneAtMs }) => doneAtMs)),
    begunAtMs: latest(nodes.map(({ begunAtMs }) => begunAtMs)),
    rssBytes: process.memoryUsage.rss(),
    emptyRssBytes,
    openFiles: readdirSync('/proc/self/fd').length,
    stallMs,
    problems: log.problems,
  };
}

async function obey(command: WorkerCommand): Promise<void> {
  if (command.kind === 'start') for (const node of nodes) node.start(command.spreadSeconds);
  if (command.kind === 'report' && command.collect === true) globalThis.gc?.();
  if (command.kind === 'stop') await Promise.all(nodes.map((node) => node.stop()));
  process.send?.(report());
}

process.on('message', (command: WorkerCommand) => void obey(command));
process.on('disconnect', () => process.exit(1));
process.send?.(report());
