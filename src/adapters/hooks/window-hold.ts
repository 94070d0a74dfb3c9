import { asCertletError, CertletError, errorFields } from '../../errors.ts';
import { latestRestart, type PairInUse } from '../../kubelet/restart-window.ts';
import type { Clock, Logger } from '../../ports.ts';
import type { HookEvent } from './hook.ts';
import type { HookRecord } from './hook-record.ts';
import type { HoldEnd, PlannedRestart, RestartHold } from './restart-hold.ts';

/** What plans restarts, and what to do while it cannot be loaded. */
export interface WindowHoldParts {
  readonly load: () => Promise<RestartHold>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly record: Pick<HookRecord, 'held' | 'replaced'>;
  /** A command that ends by itself waits for no window. */
  readonly waits: boolean;
  /** What `states` gives is another than before. */
  readonly onChange?: (() => void) | undefined;
}

/** An upgrade that is half done is done in minutes. */
const LOOK_EVERY_MS = 5 * 60_000;

/** Restarts that wait for the window of the settings. What plans them is loaded when the first one is wanted: most runs of certlet see none. */
export class WindowHold {
  readonly #parts: WindowHoldParts;
  readonly #blind = new Map<string, PlannedRestart>();
  #hold: RestartHold | undefined;
  /** Restarts that are wanted at one moment wait in one place: else each would know nothing of the others. */
  #loading: Promise<RestartHold> | undefined;
  #released = new AbortController();
  #told = false;

  constructor(parts: WindowHoldParts) {
    this.#parts = parts;
  }

  /** As those of `RestartHold`. */
  states(): readonly PlannedRestart[] {
    return [...(this.#hold?.states() ?? []), ...this.#blind.values()];
  }

  /** As that of `RestartHold`. */
  release(): readonly string[] {
    const names = [...this.#blind.keys()];
    this.#released.abort();
    this.#released = new AbortController();
    return [...(this.#hold?.release() ?? []), ...names];
  }

  /**
   * As that of `RestartHold`. Without the program that knows the windows the restart waits for the program, or for the last moment that the pair in use
   * allows: no restart comes at a wrong hour because an upgrade is half done, and none is lost.
   */
  async until(event: HookEvent, shown: PairInUse | undefined, signal: AbortSignal): Promise<HoldEnd> {
    const released = this.#released.signal;
    const since = this.#parts.clock.now();
    try {
      for (;;) {
        const hold = this.#hold ?? (await this.#loadedOrTold(event));
        if (hold !== undefined) {
          this.#planBlind(event.purpose, undefined);
          return await hold.until(event, shown, signal);
        }
        const at = this.#latest(event, shown);
        if (at === undefined || at <= this.#parts.clock.now()) return 'due';
        this.#planBlind(event.purpose, { purpose: event.purpose, since, at, by: 'end' });
        if (!this.#parts.waits) return 'later';
        await this.#sleep(at, AbortSignal.any([signal, released]));
        signal.throwIfAborted();
        if (released.aborted) return 'due';
      }
    } finally {
      if (this.#parts.waits) this.#planBlind(event.purpose, undefined);
    }
  }

  #planBlind(purpose: string, planned: PlannedRestart | undefined): void {
    const isNews = planned === undefined ? this.#blind.delete(purpose) : !this.#blind.has(purpose);
    if (planned !== undefined) this.#blind.set(purpose, planned);
    if (isNews) this.#parts.onChange?.();
  }

  /** The last moment that what the kubelet uses allows; undefined where nobody knows it. */
  #latest(event: HookEvent, shown: PairInUse | undefined): Date | undefined {
    const { record } = this.#parts;
    const inUse = shown ?? record.held(event.purpose)?.inUse ?? event.replaced ?? record.replaced(event);
    return event.urgent === true || inUse === undefined || inUse.selfSigned ? undefined : latestRestart(inUse);
  }

  async #sleep(at: Date, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    await clock.sleepUntil(new Date(Math.min(at.getTime(), clock.now().getTime() + LOOK_EVERY_MS)), signal);
  }

  async #loadedOrTold({ purpose }: HookEvent): Promise<RestartHold | undefined> {
    try {
      const hold = await (this.#loading ??= this.#loaded());
      this.#told = false;
      return hold;
    } catch (cause) {
      if (!this.#told) this.#tell(purpose, cause);
      this.#told = true;
      return undefined;
    }
  }

  /** What could not be loaded is tried again by the next one. */
  async #loaded(): Promise<RestartHold> {
    try {
      this.#hold = await this.#parts.load();
      return this.#hold;
    } finally {
      this.#loading = undefined;
    }
  }

  #tell(purpose: string, cause: unknown): void {
    const { message } = asCertletError(cause);
    const error = new CertletError('ERR_HOOK', `the program that knows the windows cannot be loaded: ${message}`, {
      remedy: '# Install the package of certlet again: window.cjs beside its program is missing or damaged.',
      cause,
    });
    this.#parts.log.log('error', 'The restart of the kubelet cannot be planned', { purpose, ...errorFields(error) });
  }
}
