import type { Clock } from '../ports.ts';

/** Time as the approver needs it: the wall clock for what it writes, a monotonic one for what it waits for. */
export interface Times extends Pick<Clock, 'now'> {
  /** Milliseconds of a clock that only goes forward and that nobody sets. */
  ticks(): number;
  /** Resolves after so many milliseconds, or when `signal` aborts. Never rejects. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}
