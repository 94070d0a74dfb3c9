import type { PairInUse } from '../../kubelet/restart-window.ts';
import type { HookEvent } from './hook.ts';
import type { HoldEnd, PlannedRestart, RestartHold } from './restart-hold.ts';

/** Restarts that wait for the window of the settings. What plans them is loaded when the first one is wanted: most runs of certlet see none. */
export class WindowHold {
  readonly #load: () => Promise<RestartHold>;
  #hold: RestartHold | undefined;

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
    this.#hold ??= await this.#load();
    return await this.#hold.until(event, shown, signal);
  }
}
