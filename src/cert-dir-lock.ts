import { acquireLock, type Lock } from './adapters/lock.ts';
import { openStore } from './assembly.ts';
import type { Settings } from './config.ts';
import { asCertletError, type CertletError, errorFields } from './errors.ts';
import type { Clock, Logger } from './ports.ts';
import { DAEMON } from './runtime-place.ts';
import { Backoff } from './rotation/rules/retry.ts';
import type { AgentSnapshot } from './rotation/snapshot.ts';
import { troubledSnapshot } from './status/disk.ts';
import { LOOP_ALIVE_MS } from './status/verdict.ts';
import { Troubles } from './trouble.ts';

/** Nobody knows here what is left of the certificates, and a look at the disk costs the cluster nothing. */
const LONGEST_DISK_WAIT_MS = 3 * 60_000;

export interface CertDirLockParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly userId: number;
  readonly startedAt: Date;
  /** Whether a lock that another certlet holds is waited for at the start, too. */
  readonly isService: boolean;
  /** Called at least so often while it waits that the watchdog is fed. */
  readonly alive: (at: Date) => void;
}

/** The cert-dir cannot be used: why, since when, and how often it was tried. */
interface Trouble {
  readonly error: CertletError;
  readonly since: Date;
  readonly tries: number;
}

/** What is waited for, as it is to be told. */
export type TellWait = (snapshot: AgentSnapshot, error: CertletError) => void;

/** The daemon's lock of its cert-dir. It outlives agents: nobody takes the folder while the settings are read anew. */
export class CertDirLock {
  readonly #parts: CertDirLockParts;
  readonly #troubles = new Troubles();
  #lock: Lock | undefined;
  #hadLock = false;
  #trouble: Trouble | undefined;

  constructor(parts: CertDirLockParts) {
    this.#parts = parts;
  }

  /** Why the cert-dir cannot be used. */
  get trouble(): CertletError | undefined {
    return this.#trouble?.error;
  }

  /**
   * The lock, which is in hand where the cert-dir is still the same; else tried again while the disk or another certlet refuses it; undefined when
   * `ended` aborts meanwhile. Throws `ERR_LOCK_HELD` at a start by hand.
   */
  async take(settings: Settings, ended: AbortSignal, tell: TellWait): Promise<Lock | undefined> {
    if (this.#lock !== undefined && (await this.#lock.isOf(settings.certDir))) return this.#lock;
    await this.release();
    const { clock, log } = this.#parts;
    const since = clock.now();
    const backoff = new Backoff();
    while (!ended.aborted) {
      try {
        this.#lock = await acquireLock(settings.certDir, { label: DAEMON });
        this.#hadLock = true;
        this.#trouble = undefined;
        const over = this.#troubles.over('cert-dir', clock.now());
        if (over !== undefined) log.log('info', 'The cert-dir can be used again', { ...over });
        return this.#lock;
      } catch (thrown) {
        const error = asCertletError(thrown);
        if (error.code === 'ERR_INTERNAL' || (error.code === 'ERR_LOCK_HELD' && !this.#waitsForOthers)) throw error;
        this.#trouble = { error, since, tries: backoff.failures + 1 };
        await this.#wait(settings, this.#trouble, { ended, tell, backoff });
      }
    }
    return undefined;
  }

  async release(): Promise<void> {
    await this.#lock?.release();
    this.#lock = undefined;
  }

  /**
   * With another cert-dir after a reload, that one may be with a `certlet once`. A service that ended over it would be started again every ten
   * seconds, with half a dozen lines each time; at a terminal somebody waits for the answer.
   */
  get #waitsForOthers(): boolean {
    return this.#hadLock || this.#parts.isService;
  }

  async #wait(
    settings: Settings,
    trouble: Trouble,
    { ended, tell, backoff }: { readonly ended: AbortSignal; readonly tell: TellWait; readonly backoff: Backoff },
  ): Promise<void> {
    const { clock, log, alive } = this.#parts;
    const now = clock.now();
    const { error } = trouble;
    const { refusedBackoffMs } = settings.rotation;
    const longestMs = LONGEST_DISK_WAIT_MS;
    const retry = backoff.failed(now, { error, roll: 0.5, msToExpiry: undefined, refusedBackoffMs, longestMs });
    tell(await this.#troubled(settings, trouble, retry), error);
    const level = this.#troubles.levelOf('cert-dir', error, { at: now, loud: 'error' });
    log.log(level, 'Cannot use the cert-dir', { ...errorFields(error), retry });
    // In slices that keep the watchdog fed; the pause is the one that was told, unless the clock is set back.
    for (let at = now; !ended.aborted && backoff.until(at) !== undefined; at = clock.now()) {
      alive(at);
      await clock.sleepUntil(new Date(Math.min(retry.getTime(), at.getTime() + LOOP_ALIVE_MS / 2)), ended);
    }
  }

  /** What can be told without the cert-dir, and what can be read of it. */
  async #troubled(settings: Settings, { error, since, tries }: Trouble, retry: Date): Promise<AgentSnapshot> {
    const { certificatesOnDisk } = await import('./disk-pairs.ts');
    const { log, clock, userId, startedAt } = this.#parts;
    const { code, message, remedy, path, errno } = error;
    const now = clock.now();
    const store = openStore(settings, log);
    const found = await certificatesOnDisk(settings, userId, (name) => store.currentPath(name));
    return troubledSnapshot(found, {
      nodeName: settings.nodeName,
      startedAt,
      now,
      trouble: { code, message, remedy, path, errno, at: now },
      failing: { since, tries },
      retry,
    });
  }
}
