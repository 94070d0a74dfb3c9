import { setTimeout as delay } from 'node:timers/promises';
import { performance } from 'node:perf_hooks';
import type { Times } from '../approve/time.ts';
import type { Chance, Clock } from '../ports.ts';

/** Far deadlines are slept in slices: timers stop in suspend, overflow past 24.8 days and do not see a clock that is set. */
export const SLICE_MS = 60_000;

/** A timer may fire a moment before the wall clock shows its end: within this the wall clock alone decides. */
const EARLY_MS = 1000;

/** What the clock stands on; tests put their own in its place. */
export interface TimeSource {
  nowMs(): number;
  /** Resolves after `ms` or when `signal` aborts; may reject when it aborts. */
  pause(ms: number, signal: AbortSignal): Promise<unknown>;
}

const REAL_TIME: TimeSource = {
  nowMs: () => Date.now(),
  pause: (ms, signal) => delay(ms, undefined, { signal }),
};

/** The wall clock of this host. */
export class SystemClock implements Clock {
  readonly #source: TimeSource;

  constructor(source: TimeSource = REAL_TIME) {
    this.#source = source;
  }

  now(): Date {
    return new Date(this.#source.nowMs());
  }

  /**
   * Wakes at least once a minute, so a step of the clock or a resume is noticed within that, and never before the deadline while the
   * clock runs evenly. A clock that is set back makes no sleep more than a second longer than it was meant to be. Never rejects.
   */
  async sleepUntil(deadline: Date, signal: AbortSignal): Promise<void> {
    let meantMs = deadline.getTime() - this.#source.nowMs();
    while (!signal.aborted) {
      const byClockMs = deadline.getTime() - this.#source.nowMs();
      const leftMs = byClockMs < EARLY_MS ? byClockMs : Math.min(meantMs, byClockMs);
      // An invalid date counts as reached: sleeping for ever on a defect would be worse.
      if (!(leftMs > 0)) return;
      try {
        const sliceMs = Math.min(leftMs, SLICE_MS);
        await this.#source.pause(sliceMs, signal);
        meantMs -= sliceMs;
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
    }
  }
}

/** Chance for delays and spreads; nothing secret is drawn from it. */
export class SystemChance implements Chance {
  roll(): number {
    return Math.random();
  }
}

/** Milliseconds since some fixed moment, unmoved by a clock that is set. For measuring how long something took. */
export function monotonicMs(): number {
  return performance.now();
}

/** The clocks of this host, as the cluster's side wants them. */
export function systemTimes(): Times {
  return {
    now: () => new Date(),
    ticks: monotonicMs,
    async pause(ms, signal) {
      // Aborting is no error here: whoever waits looks at the signal.
      await delay(ms, undefined, { signal }).catch(() => undefined);
    },
  };
}
