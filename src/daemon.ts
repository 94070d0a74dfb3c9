import { isDeepStrictEqual } from 'node:util';
import { acquireLock, type Lock } from './adapters/lock.ts';
import { releaseMemory } from './adapters/idle-memory.ts';
import { openNotifier } from './adapters/systemd/notifier.ts';
import { watchdogIntervalMs } from './adapters/systemd/notify-message.ts';
import { startWatchdog } from './adapters/systemd/watchdog.ts';
import { watchFiles } from './adapters/watcher.ts';
import type { LevelledLogger } from './adapters/log/logger.ts';
import { type AgentParts, assembleAgent, openStore, systemClock } from './assembly.ts';
import type { Settings } from './config.ts';
import { DetachedFolders } from './detached-folders.ts';
import { asCertletError, type CertletError, errorFields } from './errors.ts';
import { READY_WITHIN_MS } from './name-wait.ts';
import type { Clock, ServiceNotifier } from './ports.ts';
import type { Agent } from './rotation/agent.ts';
import { RecentWarnings } from './recent-warnings.ts';
import { Backoff } from './rotation/rules/retry.ts';
import type { AgentSnapshot } from './rotation/snapshot.ts';
import { troubledSnapshot } from './status/disk.ts';
import { isUsefulState, statusText } from './status/line.ts';
import { LOOP_ALIVE_MS } from './status/verdict.ts';
import { Troubles } from './trouble.ts';
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

/** The cert-dir cannot be used: why, since when, and how often it was tried. */
interface Trouble {
  readonly error: CertletError;
  readonly since: Date;
  readonly tries: number;
}

type GenerationParts = Pick<AgentParts, 'after' | 'observer' | 'confirmLock'>;

/** Nobody knows here what is left of the certificates, and a look at the disk costs the cluster nothing. */
const LONGEST_DISK_WAIT_MS = 3 * 60_000;

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
  #hadLock = false;
  #lastStatus = 'starting';
  #lastTick: Date;
  #settingsSeen: Date;
  #lastComplaint = '';
  readonly #troubles = new Troubles();
  readonly #detached = new DetachedFolders();
  /** Why systemd is to start the service anew. */
  #restart: CertletError | undefined;
  /** Why the cert-dir cannot be used. */
  #trouble: Trouble | undefined;
  readonly #startedAt: Date;
  #agent: Agent | undefined;
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
      watchdog();
    }
  }

  /** One agent with one set of settings. */
  async #generation(): Promise<void> {
    this.#reload = new AbortController();
    const ended = AbortSignal.any([this.#edge.signal, this.#reload.signal]);
    const settings = this.#settings;
    let lock: Lock | undefined;
    const surroundings = await this.#openSurroundings(settings, async () => lock?.confirm());
    try {
      lock = await this.#lock(settings, { ended, surroundings });
      if (lock !== undefined) await this.#work(settings, { lock, surroundings, ended });
    } finally {
      await surroundings.close();
      await lock?.release();
    }
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

  #openSurroundings(settings: Settings, confirmLock: () => Promise<void>): Promise<Surroundings> {
    const { pid, version } = this.#edge;
    const log = this.#log;
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
      trouble: () => this.#trouble?.error,
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

  /** The lock, tried again while the disk or another certlet refuses it; undefined when stopped or reloaded meanwhile. Throws `ERR_LOCK_HELD` at a start by hand. */
  async #lock(
    settings: Settings,
    { ended, surroundings }: { readonly ended: AbortSignal; readonly surroundings: Surroundings },
  ): Promise<Lock | undefined> {
    const since = this.#clock.now();
    const backoff = new Backoff();
    while (!ended.aborted) {
      try {
        const lock = await acquireLock(settings.certDir, { label: 'certlet run' });
        this.#hadLock = true;
        this.#trouble = undefined;
        const ended = this.#troubles.over('cert-dir', this.#clock.now());
        if (ended !== undefined) this.#log.log('info', 'The cert-dir can be used again', { ...ended });
        return lock;
      } catch (thrown) {
        const error = asCertletError(thrown);
        if (error.code === 'ERR_INTERNAL' || (error.code === 'ERR_LOCK_HELD' && !this.#waitsForOthers)) throw error;
        this.#trouble = { error, since, tries: backoff.failures + 1 };
        await this.#waitForDisk(settings, this.#trouble, { ended, surroundings, backoff });
      }
    }
    return undefined;
  }

  /**
   * After a reload the lock may be with a `certlet once` that came in between. A service that ended over it would be started again every ten
   * seconds, with half a dozen lines each time; at a terminal somebody waits for the answer.
   */
  get #waitsForOthers(): boolean {
    return this.#hadLock || this.#edge.environment['NOTIFY_SOCKET'] !== undefined;
  }

  async #waitForDisk(
    settings: Settings,
    trouble: Trouble,
    {
      ended,
      surroundings,
      backoff,
    }: { readonly ended: AbortSignal; readonly surroundings: Surroundings; readonly backoff: Backoff },
  ): Promise<void> {
    const now = this.#clock.now();
    const { error } = trouble;
    const { refusedBackoffMs } = settings.rotation;
    const longestMs = LONGEST_DISK_WAIT_MS;
    const retry = backoff.failed(now, { error, roll: 0.5, msToExpiry: undefined, refusedBackoffMs, longestMs });
    surroundings.publish(await this.#troubled(settings, trouble, retry));
    const level = this.#troubles.levelOf('cert-dir', error, { at: now, loud: 'error' });
    this.#log.log(level, 'Cannot use the cert-dir', { ...errorFields(error), retry });
    this.#tellReady(error.message);
    // In slices that keep the watchdog fed; the pause is the one that was told, unless the clock is set back.
    for (let at = now; !ended.aborted && backoff.until(at) !== undefined; at = this.#clock.now()) {
      this.#lastTick = at;
      await this.#clock.sleepUntil(new Date(Math.min(retry.getTime(), at.getTime() + LOOP_ALIVE_MS / 2)), ended);
    }
  }

  /** What can be told without the cert-dir, and what can be read of it. */
  async #troubled(settings: Settings, { error, since, tries }: Trouble, retry: Date): Promise<AgentSnapshot> {
    const { certificatesOnDisk } = await import('./disk-pairs.ts');
    const { code, message, remedy } = error;
    const now = this.#clock.now();
    const store = openStore(settings, this.#log);
    const found = await certificatesOnDisk(settings, this.#edge.userId, (name) => store.currentPath(name));
    return troubledSnapshot(found, {
      nodeName: settings.nodeName,
      startedAt: this.#startedAt,
      now,
      trouble: { code, message, remedy, at: now },
      failing: { since, tries },
      retry,
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

  /** Once in each time of quiet: it may last for months. */
  #rest(at: Date, status: string): void {
    if (status !== this.#quiet?.status) this.#quiet = { status, since: at, rested: false };
    else if (!this.#quiet.rested && Math.abs(at.getTime() - this.#quiet.since.getTime()) >= QUIET_MS) {
      this.#quiet.rested = true;
      void releaseMemory();
    }
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
