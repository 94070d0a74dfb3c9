import { isDeepStrictEqual } from 'node:util';
import { nodeFileSystem } from './adapters/file-system.ts';
import type { Lock } from './adapters/lock.ts';
import { IdleMemory } from './adapters/idle-memory.ts';
import { openNotifier } from './adapters/systemd/notifier.ts';
import { watchdogIntervalMs } from './adapters/systemd/notify-message.ts';
import { startWatchdog } from './adapters/systemd/watchdog.ts';
import { watchFiles } from './adapters/watcher.ts';
import type { LevelledLogger } from './adapters/log/logger.ts';
import { type AgentParts, assembleAgent, openStore, systemClock } from './assembly.ts';
import { CertDirLock } from './cert-dir-lock.ts';
import type { Settings } from './config.ts';
import { DetachedFolders } from './detached-folders.ts';
import { asCertletError, type CertletError, errorFields } from './errors.ts';
import { READY_WITHIN_MS } from './name-wait.ts';
import type { Clock, ServiceNotifier } from './ports.ts';
import type { Agent } from './rotation/agent.ts';
import { RecentWarnings } from './recent-warnings.ts';
import type { AgentSnapshot } from './rotation/snapshot.ts';
import { isUsefulState, statusText } from './status/line.ts';
import { LOOP_ALIVE_MS } from './status/verdict.ts';
import { DAEMON, RuntimePlace } from './runtime-place.ts';
import type { DaemonControl } from './control-orders.ts';
import { openSurroundings, type Surroundings, type SurroundingsParts } from './surroundings.ts';

/** What the daemon needs of its process. */
export interface DaemonEdge {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly userId: number;
  readonly pid: number;
  readonly version: string;
  readonly settingsPath: string;
  readonly carried?: SurroundingsParts['carried'];
  readonly loadSettings: () => Promise<Settings>;
  readonly onReload: (listener: () => void) => () => void;
  readonly signal: AbortSignal;
  /** The real one unless told. */
  readonly clock?: Clock;
}

type GenerationParts = Pick<AgentParts, 'after' | 'observer' | 'confirmLock'>;

/** Should the watch of the settings file have missed a change. */
const SETTINGS_POLL_MS = 5 * 60_000;
/** A minute without a change: nothing more is to be expected of a start or a rotation. */
const QUIET_MS = 60_000;
/** Nothing tells when the host is named otherwise. */
const NAME_POLL_MS = 30_000;

/** `certlet run`: one agent after another, a new one at each reload, until the signal aborts. */
export class Daemon {
  readonly #edge: DaemonEdge;
  readonly #log: RecentWarnings;
  readonly #clock: Clock;
  #settings: Settings;
  #notifier: ServiceNotifier | undefined;
  #ready = false;
  #lastStatus = 'starting';
  #lastTick: Date;
  #settingsSeen: Date;
  #lastComplaint = '';
  readonly #detached = new DetachedFolders();
  /** Why systemd is to start the service anew. */
  #restart: CertletError | undefined;
  readonly #startedAt: Date;
  readonly #certDir: CertDirLock;
  #place: RuntimePlace | undefined;
  #agent: Agent | undefined;
  readonly #memory = new IdleMemory();
  #quiet: { readonly status: string; readonly since: Date; rested: boolean } | undefined;
  #reload = new AbortController();

  constructor(edge: DaemonEdge, settings: Settings, log: LevelledLogger) {
    this.#edge = edge;
    this.#clock = edge.clock ?? systemClock();
    this.#settings = settings;
    this.#log = new RecentWarnings(log, () => this.#clock.now());
    this.#startedAt = this.#clock.now();
    this.#lastTick = this.#startedAt;
    this.#settingsSeen = this.#lastTick;
    this.#certDir = new CertDirLock({
      log: this.#log,
      clock: this.#clock,
      userId: edge.userId,
      startedAt: this.#startedAt,
      isService: edge.environment['NOTIFY_SOCKET'] !== undefined,
      alive: (at) => {
        this.#lastTick = at;
      },
    });
  }

  /** Resolves when the signal aborts. Throws `ERR_LOCK_HELD` at the start where no service manager started it, and `ERR_STORE_DETACHED` for systemd to start the service anew. */
  async run(): Promise<void> {
    const { environment, signal, pid } = this.#edge;
    this.#notifier = await openNotifier(environment);
    const undoReload = this.#edge.onReload(() => void this.#reloadSettings());
    const watchdog = startWatchdog(this.#notifier, watchdogIntervalMs(environment, pid), () => this.#alive());
    const firstWord = setTimeout(() => this.#tellReady(this.#lastStatus), READY_WITHIN_MS).unref();
    try {
      while (!signal.aborted) {
        await this.#generation();
        if (this.#restart !== undefined) throw this.#restart;
      }
    } finally {
      clearTimeout(firstWord);
      this.#notifier.stopping();
      undoReload();
      await this.#place?.close();
      await this.#certDir.release();
      watchdog();
    }
  }

  /** One agent with one set of settings. */
  async #generation(): Promise<void> {
    this.#reload = new AbortController();
    const ended = AbortSignal.any([this.#edge.signal, this.#reload.signal]);
    const settings = this.#settings;
    let lock: Lock | undefined;
    let goesOn = false;
    const surroundings = await this.#openSurroundings(settings, ended, async () => lock?.confirm());
    try {
      lock = await this.#certDir.take(settings, ended, (snapshot, error) => {
        surroundings.publish(snapshot);
        this.#tellReady(error.message);
      });
      if (lock !== undefined) await this.#work(settings, { lock, surroundings, ended });
      goesOn = this.#goesOn && this.#settings.runtimeDir === settings.runtimeDir;
    } finally {
      await surroundings.close({ goesOn });
      if (!goesOn) this.#place = undefined;
    }
  }

  /** A reload has ended the generation, and nothing else has. */
  get #goesOn(): boolean {
    return !this.#edge.signal.aborted && this.#restart === undefined;
  }

  async #work(
    settings: Settings,
    {
      lock,
      surroundings,
      ended,
    }: { readonly lock: Lock; readonly surroundings: Surroundings; readonly ended: AbortSignal },
  ): Promise<void> {
    const watcher = watchFiles(
      this.#log,
      (paths) => this.#filesChanged(paths),
      () => this.#agent?.filesChanged(),
    );
    try {
      await surroundings.begin();
      const { after, observer } = surroundings;
      const parts = { after, observer, confirmLock: lock.confirm };
      const agent = this.#assemble(settings, parts, (snapshot) => {
        watcher.update([this.#edge.settingsPath, ...(this.#agent?.watchedFiles ?? [])]);
        this.#tick(snapshot, surroundings);
      });
      this.#agent = agent;
      await agent.run(ended);
    } finally {
      this.#agent = undefined;
      await watcher.close();
    }
  }

  #openSurroundings(settings: Settings, ended: AbortSignal, confirmLock: () => Promise<void>): Promise<Surroundings> {
    const { pid, version } = this.#edge;
    const log = this.#log;
    const { runtimeDir } = settings;
    this.#place ??= new RuntimePlace({ fs: nodeFileSystem, log, runtimeDir, label: DAEMON });
    return openSurroundings(settings, {
      command: 'run',
      log,
      clock: this.#clock,
      pid,
      version,
      processStartedAt: this.#startedAt,
      store: openStore(settings, log),
      confirmLock,
      agent: () => this.#agent,
      carried: this.#edge.carried,
      warnings: () => log.last,
      trouble: () => this.#certDir.trouble,
      place: this.#place,
      ended,
      control: this.#control(),
    });
  }

  #control(): DaemonControl {
    const log = this.#log;
    return {
      reload: async () => {
        const error = await this.#reloadSettings();
        if (error !== undefined) throw error;
      },
      logLevel: () => log.level(),
      setLogLevel: (level) => log.setLevel(level),
    };
  }

  #assemble(settings: Settings, parts: GenerationParts, onTick: (snapshot: AgentSnapshot) => void): Agent {
    return assembleAgent(settings, {
      ...this.#edge,
      log: this.#log,
      clock: this.#clock,
      ...parts,
      onTick,
      // After a reload an administrator is watching.
      hurry: this.#ready,
    });
  }

  #tick(snapshot: AgentSnapshot, surroundings: Surroundings): void {
    this.#lastTick = snapshot.lastTick;
    const status = statusText(snapshot);
    if (!this.#ready && isUsefulState(snapshot)) this.#tellReady(status);
    else if (status !== this.#lastStatus) this.#notifier?.status(status);
    this.#lastStatus = status;
    surroundings.publish(snapshot);
    this.#rest(snapshot.at, status);
    this.#restart ??= this.#detached.reasonToRestart(snapshot);
    if (this.#restart !== undefined) this.#reload.abort();
    const pollMs = this.#settings.namedByHost === true ? NAME_POLL_MS : SETTINGS_POLL_MS;
    if (Math.abs(snapshot.at.getTime() - this.#settingsSeen.getTime()) >= pollMs)
      void this.#reloadSettings('if changed');
  }

  /** At the beginning of a time of quiet, which may last for months, and whenever there is as much again to give back. */
  #rest(at: Date, status: string): void {
    if (status !== this.#quiet?.status) this.#quiet = { status, since: at, rested: false };
    else if (!this.#quiet.rested && Math.abs(at.getTime() - this.#quiet.since.getTime()) >= QUIET_MS) {
      this.#quiet.rested = true;
      void this.#memory.release();
    } else if (this.#quiet.rested) void this.#memory.trim();
  }

  #tellReady(status: string): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#notifier?.ready(status);
  }

  #alive(): boolean {
    return Math.abs(this.#clock.now().getTime() - this.#lastTick.getTime()) <= LOOP_ALIVE_MS;
  }

  #filesChanged(paths: readonly string[]): void {
    if (paths.includes(this.#edge.settingsPath)) void this.#reloadSettings('if changed');
    const others = paths.filter((path) => path !== this.#edge.settingsPath);
    if (others.length > 0) this.#agent?.filesChanged(others);
  }

  /** SIGHUP, the control socket or a changed settings file. Bad new settings keep the old ones and say so, the same complaint once. */
  async #reloadSettings(mode: 'always' | 'if changed' = 'always'): Promise<CertletError | undefined> {
    this.#settingsSeen = this.#clock.now();
    let announced = false;
    try {
      const settings = await this.#edge.loadSettings();
      this.#lastComplaint = '';
      // A file that was only touched is no reason to begin anew.
      if (mode === 'if changed' && isDeepStrictEqual(settings, this.#settings)) return undefined;
      // The service manager must not take the end of a reload for the end of the start.
      announced = this.#ready;
      if (announced) this.#notifier?.reloading();
      this.#settings = settings;
      this.#log.setLevel(this.#settings.log.level);
      this.#log.log('info', 'Settings reloaded', { file: this.#edge.settingsPath });
      this.#reload.abort();
      return undefined;
    } catch (thrown) {
      const error = asCertletError(thrown);
      if (mode === 'always' || error.message !== this.#lastComplaint)
        this.#log.log('error', 'The new settings cannot be used; keeping the old ones', errorFields(error));
      this.#lastComplaint = error.message;
      return error;
    } finally {
      if (announced) this.#notifier?.ready(this.#lastStatus);
    }
  }
}
