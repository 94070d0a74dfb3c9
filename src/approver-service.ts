import { isDeepStrictEqual } from 'node:util';
import type { OpenServer } from './adapters/control/http-server.ts';
import type { LevelledLogger } from './adapters/log/logger.ts';
import { openMetricsEndpoint } from './adapters/metrics-endpoint.ts';
import { monotonicMs, systemTimes, SystemChance } from './adapters/system-clock.ts';
import { watchdogIntervalMs } from './adapters/systemd/notify-message.ts';
import { openNotifier } from './adapters/systemd/notifier.ts';
import { startWatchdog } from './adapters/systemd/watchdog.ts';
import { Approver } from './approve/approver.ts';
import { Cluster } from './approve/cluster.ts';
import { ApprovalCounts } from './approve/counts.ts';
import { RULES } from './approve/decide.ts';
import { Election } from './approve/election.ts';
import { ApproverFigures } from './approve/figures.ts';
import type { Inventory } from './approve/inventory.ts';
import { LeaseObject } from './approve/lease.ts';
import { NodeIndex } from './approve/nodes.ts';
import type { ClusterApi } from './approve/ports.ts';
import { ReservedNames } from './approve/reserved.ts';
import { serveTerms } from './approve/terms.ts';
import { NodeTeller } from './approver-events.ts';
import type { ApproverSettings } from './config.ts';
import { asCertletError, errorFields } from './errors.ts';
import type { ServiceNotifier } from './ports.ts';
import { Troubles } from './trouble.ts';
import { approverMetrics } from './status/approver-metrics.ts';

/** Everything that a reload reads anew. */
export interface ApproverFiles {
  readonly settings: ApproverSettings;
  readonly inventory: Inventory | undefined;
}

export interface ApproverEdge {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly version: string;
  /** Who this is among several approvers. */
  readonly identity: string;
  readonly api: ClusterApi;
  readonly load: () => Promise<ApproverFiles>;
  readonly lookUp: (name: string) => Promise<readonly string[] | undefined>;
  readonly onReload: (listener: () => void) => () => void;
  readonly signal: AbortSignal;
}

/** A loop that has not come round for so long hangs. It comes round every half minute. */
const ALIVE_MS = 120_000;
/** Settings and inventory are looked at so often, for those who forget to reload. */
const POLL_MS = 60_000;

/** `certlet approve --watch`: one set of settings after another, until the signal aborts. */
export class ApproverService {
  readonly #edge: ApproverEdge;
  readonly #log: LevelledLogger;
  readonly #times = systemTimes();
  readonly #troubles = new Troubles();
  readonly #figures = new ApproverFigures(RULES.map(({ name }) => name));
  #files: ApproverFiles;
  #aliveMs = monotonicMs();
  #reload = new AbortController();
  #complaint = '';
  #notifier: ServiceNotifier | undefined;
  #served: { readonly address: object; readonly server: OpenServer } | undefined;

  constructor(edge: ApproverEdge, files: ApproverFiles, log: LevelledLogger) {
    this.#edge = edge;
    this.#files = files;
    this.#log = log;
  }

  /** Resolves when the signal aborts. Throws `ERR_CONTROL` where metrics cannot be served, and `ERR_INTERNAL`. */
  async run(): Promise<void> {
    const { environment, pid, signal, onReload, identity, version } = this.#edge;
    const notifier = await openNotifier(environment);
    this.#notifier = notifier;
    const stopWatchdog = startWatchdog(notifier, watchdogIntervalMs(environment, pid), () => this.#isAlive());
    const undoReload = onReload(() => void this.#readAnew('always'));
    this.#log.log('info', 'Starting the approver', { version, identity, as: this.#edge.api.identity.label });
    try {
      while (!signal.aborted) await this.#generation(notifier);
    } finally {
      notifier.stopping();
      undoReload();
      await this.#served?.server.close();
      stopWatchdog();
    }
  }

  async #generation(notifier: ServiceNotifier): Promise<void> {
    this.#reload = new AbortController();
    const ended = AbortSignal.any([this.#edge.signal, this.#reload.signal]);
    const { approve } = this.#files.settings;
    await this.#serveMetrics();
    notifier.ready('waiting for the Lease');
    void this.#poll(ended);
    const { leaseNamespace } = approve;
    const { api, identity } = this.#edge;
    const log = this.#log;
    const times = this.#times;
    const election =
      leaseNamespace === undefined
        ? undefined
        : new Election({ lease: new LeaseObject(api, leaseNamespace), identity, times, log });
    await serveTerms(
      {
        election,
        times,
        chance: new SystemChance(),
        log,
        troubles: this.#troubles,
        serve: (mayAct, signal, began) => this.#serve(mayAct, signal, began),
        becameLeader: (isLeader) => this.#becameLeader(isLeader, election === undefined ? 'API server' : 'Lease'),
        failed: (code) => this.#figures.failed(code),
      },
      ended,
    );
  }

  #becameLeader(isLeader: boolean, awaited: 'Lease' | 'API server'): void {
    if (isLeader) this.#figures.isLeader = true;
    else this.#figures.actsNoMore();
    // It has not come round while it waited.
    this.#aliveMs = monotonicMs();
    this.#notifier?.status(isLeader ? 'approving' : `waiting for the ${awaited}`);
  }

  async #serve(mayAct: () => boolean, signal: AbortSignal, began: () => void): Promise<void> {
    const { api, lookUp } = this.#edge;
    const { settings, inventory } = this.#files;
    const log = this.#log;
    const cluster = new Cluster(api, await api.discover(signal));
    began();
    const teller = new NodeTeller(api, settings.approve.events, log);
    const approver = new Approver({
      cluster,
      settings: settings.approve,
      nodes: new NodeIndex(),
      reserved: new ReservedNames(),
      counts: new ApprovalCounts(settings.approve.maxPerNodeAndHour + 1),
      inventory: () => inventory,
      lookUp,
      now: () => this.#times.now(),
      times: this.#times,
      chance: new SystemChance(),
      log,
      troubles: this.#troubles,
      figures: this.#figures,
      mayAct,
      tellNode: (judgement, text) => teller.tell(judgement, text, this.#times.now()),
      alive: () => (this.#aliveMs = monotonicMs()),
    });
    await approver.run(signal);
  }

  /** A server stays over reloads that leave its address: whoever asks for `/healthz` within one found nobody. */
  async #serveMetrics(): Promise<void> {
    const address = this.#files.settings.approve.metricsAddress;
    if (isDeepStrictEqual(address, this.#served?.address)) return;
    await this.#served?.server.close();
    this.#served = undefined;
    if (address === undefined) return;
    const text = (): string => approverMetrics(this.#figures, this.#edge.version);
    const server = await openMetricsEndpoint({ ...address, setting: 'approve.metricsAddress' }, text, () =>
      this.#isAlive(),
    );
    this.#served = { address, server };
    this.#log.log('info', 'Metrics are served', { port: server.port });
  }

  /** One that waits for the Lease has nothing to come round for. */
  #isAlive(): boolean {
    return !this.#figures.isLeader || monotonicMs() - this.#aliveMs < ALIVE_MS;
  }

  async #poll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#times.pause(POLL_MS, signal);
      if (!signal.aborted) await this.#readAnew('if changed');
    }
  }

  /** Bad new settings keep the old ones and say so, the same complaint once. */
  async #readAnew(mode: 'always' | 'if changed'): Promise<void> {
    try {
      const files = await this.#edge.load();
      this.#complaint = '';
      if (mode === 'if changed' && isSame(files, this.#files)) return;
      this.#notifier?.reloading();
      this.#files = files;
      this.#log.setLevel(files.settings.log.level);
      this.#log.log('info', 'Settings of the approver reloaded', {});
      this.#reload.abort();
    } catch (thrown) {
      const error = asCertletError(thrown);
      if (mode === 'always' || error.message !== this.#complaint)
        this.#log.log(
          'error',
          'The new settings of the approver cannot be used; keeping the old ones',
          errorFields(error),
        );
      this.#complaint = error.message;
    }
  }
}

function isSame(one: ApproverFiles, other: ApproverFiles): boolean {
  return isDeepStrictEqual(one.settings, other.settings) && one.inventory?.text === other.inventory?.text;
}
