import { acquireLock } from '../../adapters/lock.ts';
import { assembleAgent, openStore, systemClock } from '../../daemon.ts';
import { CertletError, EXIT } from '../../errors.ts';
import type { Agent } from '../../rotation/agent.ts';
import type { AgentSnapshot } from '../../rotation/snapshot.ts';
import { openSurroundings } from '../../surroundings.ts';
import type { OnceArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { VERSION } from '../version.ts';

/**
 * `certlet once`: brings both certificates up to date, then ends. 0 when they are; 75 when the timeout came first (the next run resumes);
 * `ERR_KUBECONFIG_INVALID` at once, since no waiting mends it.
 */
export async function runOnce(context: CommandContext, args: OnceArguments): Promise<number> {
  const settings = await context.loadSettings();
  const log = await context.openLog(settings.log);
  const clock = systemClock();
  const lock = await acquireLock(settings.certDir, { label: 'certlet once' });
  const done = new AbortController();
  const ended = AbortSignal.any([context.signal, done.signal]);
  let last: AgentSnapshot | undefined;
  let agent: Agent | undefined;
  const surroundings = await openSurroundings(settings, {
    command: 'once',
    log,
    clock,
    pid: process.pid,
    version: VERSION,
    store: openStore(settings, log),
    agent: () => agent,
  });
  try {
    agent = assembleAgent(settings, {
      log,
      clock,
      environment: context.edge.environment,
      userId: context.edge.userId,
      version: VERSION,
      after: surroundings.after,
      observer: surroundings.observer,
      hurry: true,
      onTick: (snapshot) => {
        last = snapshot;
        surroundings.publish(snapshot);
        if (snapshot.upToDate || hopeless(snapshot) !== undefined) done.abort();
      },
    });
    const limit = clock.sleepUntil(new Date(clock.now().getTime() + args.timeoutMs), ended).then(() => done.abort());
    await agent.run(ended);
    await limit;
    if (!context.signal.aborted) await surroundings.settled();
  } finally {
    await surroundings.close();
    await lock.release();
  }
  return verdict(last, context.signal, args.timeoutMs);
}

function verdict(last: AgentSnapshot | undefined, signal: AbortSignal, timeoutMs: number): number {
  const error = last && hopeless(last);
  if (error !== undefined) throw error;
  if (last?.upToDate === true) return EXIT.ok;
  if (signal.aborted) return EXIT.tempFail;
  const waits = last?.managers.filter(({ phase }) => phase !== 'valid') ?? [];
  const why = waits.map(({ purpose, phase, reason }) => `${purpose}: ${phase} (${reason})`).join('; ');
  const command = waits.find((manager) => manager.command !== undefined)?.command;
  throw new CertletError(
    'ERR_TIMEOUT',
    `not up to date after ${String(Math.round(timeoutMs / 1000))} s: ${why}`,
    command === undefined ? {} : { remedy: command },
  );
}

/** An error that no waiting mends. */
function hopeless(snapshot: AgentSnapshot): CertletError | undefined {
  for (const { lastError } of snapshot.managers) {
    if (lastError?.code !== 'ERR_KUBECONFIG_INVALID' && lastError?.code !== 'ERR_KUBECONFIG_UNSAFE') continue;
    const { code, message, remedy } = lastError;
    return new CertletError(code, message, remedy === undefined ? {} : { remedy });
  }
  return undefined;
}
