import type { Clock } from '../ports.ts';

/** Why a sleep ends. Without a reason each end would make one more error with a stack, which nobody reads. */
const WOKEN = 'woken';

/** Named pieces of work that run beside the loop, one of each name at most, and the loop's sleep that each of them ends. */
export class TaskSet {
  readonly #clock: Clock;
  readonly #running = new Map<string, Promise<void>>();
  #wake = new AbortController();
  #defect: { readonly thrown: unknown } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  running(name: string): boolean {
    return this.#running.has(name);
  }

  /** Starts `work` unless one of that name runs. What it throws is a defect and ends the loop. */
  launch(name: string, work: () => Promise<void>): void {
    if (this.#running.has(name)) return;
    const task = work()
      .catch((thrown: unknown) => {
        this.#defect = { thrown };
      })
      .finally(() => {
        this.#running.delete(name);
        this.wake();
      });
    this.#running.set(name, task);
  }

  /** Ends the loop's sleep, now or as soon as it begins. */
  wake(): void {
    this.#wake.abort(WOKEN);
  }

  /** Sleeps until `deadline`, a wake or a stop. Throws what a task threw. */
  async waitUntil(deadline: Date, signal: AbortSignal): Promise<void> {
    const wake = this.#wake;
    const stop = (): void => wake.abort(WOKEN);
    signal.addEventListener('abort', stop, { once: true });
    if (!signal.aborted) await this.#clock.sleepUntil(deadline, wake.signal);
    signal.removeEventListener('abort', stop);
    if (wake.signal.aborted) this.#wake = new AbortController();
    if (this.#defect !== undefined) throw this.#defect.thrown;
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }
}
