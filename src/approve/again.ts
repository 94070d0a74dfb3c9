import { asCertletError, type CertletError } from '../errors.ts';
import type { Chance } from '../ports.ts';
import type { Times } from './time.ts';

const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;

/** What trying again takes. */
export interface AgainParts {
  readonly times: Times;
  readonly chance: Chance;
  /** Tells of a failure; false where trying again does not help. */
  readonly failed: (error: CertletError) => boolean;
}

/**
 * Runs `work` until it resolves to `done`, until a failure is told to be final, or until `signal` aborts. Between failures in a row, which `work`
 * ends with `began`, it waits each time longer, or as long as the server said. Throws `ERR_INTERNAL` alone.
 */
export async function again(
  { times, chance, failed }: AgainParts,
  work: (began: () => void) => Promise<'done' | 'once more'>,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      if ((await work(() => (failures = 0))) === 'done') return;
    } catch (thrown) {
      if (signal.aborted) return;
      const error = asCertletError(thrown);
      if (error.code === 'ERR_INTERNAL') throw error;
      failures += 1;
      if (!failed(error)) return;
      await times.pause(error.retryAfterMs ?? delayMs(failures, chance.roll()), signal);
    }
  }
}

/** A uniform part of a span that doubles, so that several approvers do not come back at once. */
function delayMs(failures: number, roll: number): number {
  const longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(failures - 1, 10));
  return longest / 2 + (roll * longest) / 2;
}
