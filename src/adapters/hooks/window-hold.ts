import type { PairInUse } from '../../kubelet/restart-window.ts';
import type { HookEvent } from './hook.ts';
import type { HoldEnd, PlannedRestart, RestartHold } from './restart-hold.ts';

/** Restarts that wait for the window of the settings. What plans them is loaded when the first one is wanted: most runs of certlet see none. */
export class WindowHold {
  readonly #load: () => Promise<RestartHold>;
  #hold: RestartHold | undefined;
  /** Restarts that are wanted at one moment wait in one place: else each would know nothing of the others. */
  #loading: Promise<RestartHold> | undefined;

  constructor(load: () => Promise<RestartHold>) {
    this.#load = load;
  }

  /** As those of `RestartHold`. */
  states(): readonly PlannedRestart[] {
    return this.#hold?.states() ?? [];
  }

  release(): readonly string[] {
    return this.#hold?.release() ?? [];
  }

  async until(event: HookEvent, shown: PairInUse | undefined, signal: AbortSignal): Promise<HoldEnd> {
    const hold = this.#hold ?? (await (this.#loading ??= this.#loaded()));
    return await hold.until(event, shown, signal);
  }

  /** What could not be loaded is tried again by the next one. */
  async #loaded(): Promise<RestartHold> {
    try {
      this.#hold = await this.#load();
      return this.#hold;
    } finally {
      this.#loading = undefined;
    }
  }
}
