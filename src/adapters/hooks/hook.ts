import type { Remedy } from '../../remedy.ts';
import type { RotationEvent } from '../../ports.ts';

/** Something to do after a rotation. */
export interface Hook {
  /** Names it in the log, in status and in the record of what is still to do: `restart-kubelet`, `command reload-nginx`. */
  readonly id: string;
  /** Takes turns with the other exclusive hooks: commands that reload the same service must not meet. */
  readonly exclusive: boolean;
  /** Why it is wanted after this rotation; empty when it is not. */
  reasons(event: HookEvent): readonly string[];
  /** What of this host is not known yet and decides whether anything is to be done, such as a version: told once, whatever it is wanted for. */
  undecided?(event: HookEvent): string | undefined;
  /**
   * One attempt. `attempt` counts from 1. Throws `ERR_HOOK` when it failed. Calls `done` once nothing needs to be done again after a
   * restart of certlet; resolving does the same, but with `later`: the next start goes on with it.
   */
  run(
    event: HookEvent,
    attempt: number,
    done: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> | Promise<void | 'later'>;
  /**
   * Why something is to be done about a pair that certlet finds in place at its start, of which nothing is owed; empty when nothing is. Rejects with
   * the signal's reason and nothing else.
   */
  atStart?(event: HookEvent, signal: AbortSignal): Promise<readonly string[]>;
  /** Goes on being tried at the slowest pace: what stands in its way is mended without certlet's doing, and only a look tells. */
  lasting?(event: HookEvent): boolean;
}

/** What a hook is told: a rotation's event. */
export type HookEvent = RotationEvent;

/** A hook that failed and was not made good yet. For status. */
export interface HookProblem {
  readonly hook: string;
  readonly purpose: string;
  readonly message: string;
  readonly remedy: Remedy | undefined;
  readonly since: Date;
  readonly attempts: number;
  /** Undefined when it is not tried again before the next rotation or start. */
  readonly nextAttempt: Date | undefined;
}
