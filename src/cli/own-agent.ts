import { acquireLock } from '../adapters/lock.ts';
import type { Settings } from '../config.ts';
import { assembleAgent, openStore, systemClock } from '../assembly.ts';
import { detachedBy } from '../detached-folders.ts';
import type { CertletError } from '../errors.ts';
import type { Logger } from '../ports.ts';
import type { Agent } from '../rotation/agent.ts';
import type { AgentSnapshot } from '../rotation/snapshot.ts';
import type { StatusDocument } from '../status/document.ts';
import { openSurroundings } from '../surroundings.ts';
import type { CommandContext } from './command-context.ts';
import { refuseForeignState } from './foreign-state.ts';
import { VERSION } from './version.ts';

export interface OwnAgentOptions {
  readonly command: 'once' | 'renew';
  readonly log: Logger;
  readonly timeoutMs: number;
  /** When the next run comes; undefined where nobody knows. */
  readonly everyMs?: number | undefined;
  /** Only what ends within this time is renewed, in place of what is due. */
  readonly expiringWithinMs?: number | undefined;
  /** A proof so young is good enough; undefined: none is. */
  readonly proofGoodForMs?: number | undefined;
  /** Asked for anew whatever their dates say. */
  readonly renew: readonly string[];
  /** Looks at each round; true ends it. */
  readonly seen: (snapshot: AgentSnapshot) => boolean;
}

/**
 * Runs an agent in this process, under the lock, until `seen` says so, the time is over or the command's signal aborts; then waits for the first
 * try of what the rotation set off. Resolves to the status at that point; undefined when there was no round. Throws `ERR_LOCK_HELD`, `ERR_STORE_DETACHED`, `ERR_STORE_UNSAFE` and
 * errors of file operations; everything else the agent waits out.
 */
export async function runOwnAgent(
  context: CommandContext,
  settings: Settings,
  options: OwnAgentOptions,
): Promise<StatusDocument | undefined> {
  const { command, log, everyMs, expiringWithinMs, proofGoodForMs } = options;
  const { environment, userId } = context.edge;
  const clock = systemClock();
  await refuseForeignState(settings, context.edge);
  const lock = await acquireLock(settings.certDir, { label: `certlet ${command}` });
  const done = new AbortController();
  const ended = AbortSignal.any([context.signal, done.signal]);
  let agent: Agent | undefined;
  const common = { log, clock, version: VERSION, everyMs, expiringWithinMs, proofGoodForMs, confirmLock: lock.confirm };
  let detached: CertletError | undefined;
  const surroundings = await openSurroundings(settings, {
    ...common,
    command,
    pid: process.pid,
    carried: context.carried,
    store: openStore(settings, log),
    agent: () => agent,
  });
  try {
    agent = assembleAgent(settings, {
      ...common,
      environment,
      userId,
      after: surroundings.after,
      observer: surroundings.observer,
      hurry: true,
      onTick: (snapshot) => {
        surroundings.publish(snapshot);
        detached ??= detachedBy(snapshot);
        if (detached !== undefined || options.seen(snapshot)) done.abort();
      },
    });
    await surroundings.begin();
    if (options.renew.length > 0) await agent.renew(options.renew);
    const limit = clock.sleepUntil(new Date(clock.now().getTime() + options.timeoutMs), ended).then(() => done.abort());
    await agent.run(ended);
    await limit;
    if (detached !== undefined) throw detached;
    await orStopped(surroundings.settled(), context.signal);
    return surroundings.status();
  } finally {
    await surroundings.close();
    await lock.release();
  }
}

/** Waits for `work` unless the command is told to stop. */
async function orStopped(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const stopped = new Promise<void>((done) => {
    signal.addEventListener('abort', () => done(), { once: true });
  });
  await Promise.race([work, stopped]);
}
