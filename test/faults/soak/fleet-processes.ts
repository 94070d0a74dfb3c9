import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';
import type { WorkerCommand, WorkerPlan, WorkerReport } from './messages.ts';

const LOOK_MS = 500;

export interface FleetView {
  readonly upToDate: number;
  readonly lastAtMs: number | undefined;
  readonly begunAtMs: number | undefined;
  /** Added by the agents, per node. */
  readonly bytesPerNode: number;
  readonly openFiles: number;
  readonly stallMs: number;
  readonly problems: Readonly<Record<string, number>>;
}

/** The nodes, spread over a few processes, with their folders. */
export class FleetProcesses {
  readonly nodes: number;
  readonly #folder: string;
  readonly #workers: readonly Child<WorkerCommand, WorkerReport>[];
  #stallMs = 0;

  constructor(nodes: number, workers: number, shared: Pick<WorkerPlan, 'bootstrapKubeconfig' | 'serving'>) {
    this.nodes = nodes;
    this.#folder = mkdtempSync(join(tmpdir(), 'certlet-soak-'));
    const each = Math.ceil(nodes / workers);
    this.#workers = Array.from({ length: Math.ceil(nodes / each) }, (_, index) => {
      const first = index * each;
      const plan: WorkerPlan = { ...shared, first, count: Math.min(each, nodes - first), folder: this.#folder };
      return new Child(join(import.meta.dirname, 'worker.ts'), plan);
    });
  }

  async ready(): Promise<void> {
    await Promise.all(this.#workers.map(({ ready }) => ready));
  }

  async start(spreadSeconds: number): Promise<void> {
    this.#stallMs = 0;
    await this.#tell({ kind: 'start', spreadSeconds });
  }

  async stop(): Promise<void> {
    await this.#tell({ kind: 'stop' });
  }

  async view(collect = false): Promise<FleetView> {
    const reports = await this.#tell({ kind: 'report', collect });
    const sum = (value: (report: WorkerReport) => number): number =>
      reports.reduce((total, report) => total + value(report), 0);
    const latest = (moments: readonly (number | undefined)[]): number | undefined =>
      moments.includes(undefined) ? undefined : Math.max(...moments.filter((moment) => moment !== undefined));
    const problems: Record<string, number> = {};
    for (const report of reports) {
      for (const [code, count] of Object.entries(report.problems)) problems[code] = (problems[code] ?? 0) + count;
    }
    this.#stallMs = Math.max(this.#stallMs, ...reports.map(({ stallMs }) => stallMs));
    return {
      upToDate: sum(({ upToDate }) => upToDate),
      lastAtMs: latest(reports.map(({ lastAtMs }) => lastAtMs)),
      begunAtMs: latest(reports.map(({ begunAtMs }) => begunAtMs)),
      bytesPerNode: sum(({ rssBytes, emptyRssBytes }) => rssBytes - emptyRssBytes) / this.nodes,
      openFiles: Math.max(...reports.map(({ openFiles }) => openFiles)),
      stallMs: this.#stallMs,
      problems,
    };
  }

  /** From now on only later stalls count. */
  async forgetStalls(): Promise<void> {
    await this.view();
    this.#stallMs = 0;
  }

  /** Waits until every node has all that it wants, at most so long. Returns the last view either way. */
  async untilUpToDate(limitMs: number): Promise<FleetView> {
    const endMs = Date.now() + limitMs;
    for (;;) {
      const view = await this.view();
      if (view.upToDate === this.nodes || Date.now() > endMs) return this.view(true);
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  }

  close(): void {
    for (const worker of this.#workers) worker.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #tell(command: WorkerCommand): Promise<readonly WorkerReport[]> {
    return Promise.all(this.#workers.map((worker) => worker.ask(command)));
  }
}
