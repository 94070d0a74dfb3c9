import { CertletError, type ErrorCode, EXIT } from '../../errors.ts';
import type { AgentSnapshot } from '../../rotation/snapshot.ts';
import { intervalProblems, verdictOf } from '../../status/verdict.ts';
import { encodeAnswer } from '../answer.ts';
import type { OnceArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { runOwnAgent } from '../own-agent.ts';

/** Runs come every hour, and each reads the Node by the same certificate: a proof a day tells soon enough of one that is refused. */
const PROOF_GOOD_FOR_MS = 24 * 3_600_000;

/**
 * `certlet once`: brings both certificates up to date, then ends. 0 when they are; 75 when the timeout came first (the next run resumes);
 * `ERR_KUBECONFIG_INVALID`, `ERR_KUBECONFIG_UNSAFE` and `ERR_NODE_NAME` at once, since no waiting mends them. As a document it answers with the status at its end.
 */
export async function runOnce(context: CommandContext, args: OnceArguments): Promise<number> {
  const settings = await context.loadSettings();
  // Only a timer says when it comes again.
  const log = await context.openLog(settings.log, { byTimer: args.everyMs !== undefined });
  let last: AgentSnapshot | undefined;
  const document = await runOwnAgent(context, settings, {
    command: 'once',
    log,
    timeoutMs: args.timeoutMs,
    everyMs: args.everyMs,
    expiringWithinMs: args.ifExpiringMs,
    proofGoodForMs: PROOF_GOOD_FOR_MS,
    renew: [],
    seen: (snapshot) => {
      last = snapshot;
      return snapshot.upToDate || hopeless(snapshot) !== undefined;
    },
  });
  for (const problem of document === undefined ? [] : intervalProblems(document)) {
    log.log('warn', 'The runs are too far apart', {
      problem,
      remedy: 'systemctl disable --now certlet-once.timer && systemctl enable --now certlet',
    });
  }
  if (args.output !== 'text' && document !== undefined) {
    const { state, reasons } = verdictOf(document, context.edge.now(), 'running');
    context.print(encodeAnswer({ ...document, state, reasons }, args.output));
  }
  return verdict(last, context.signal, args.timeoutMs);
}

function verdict(last: AgentSnapshot | undefined, signal: AbortSignal, timeoutMs: number): number {
  const error = last && hopeless(last);
  if (error !== undefined) throw error;
  if (last?.upToDate === true) return EXIT.ok;
  if (signal.aborted) return EXIT.tempFail;
  const waits = last?.managers.filter(({ phase }) => phase !== 'valid') ?? [];
  const why =
    waits.length === 0
      ? 'the API server has not accepted the client certificate yet'
      : waits.map(({ purpose, phase, reason }) => `${purpose}: ${phase} (${reason})`).join('; ');
  const command = waits.find((manager) => manager.command !== undefined)?.command;
  throw new CertletError(
    'ERR_TIMEOUT',
    `not up to date after ${String(Math.round(timeoutMs / 1000))} s: ${why}`,
    command === undefined ? {} : { remedy: command },
  );
}

const HOPELESS: readonly ErrorCode[] = ['ERR_KUBECONFIG_INVALID', 'ERR_KUBECONFIG_UNSAFE', 'ERR_NODE_NAME'];

/** An error that no waiting mends. */
function hopeless(snapshot: AgentSnapshot): CertletError | undefined {
  for (const { lastError } of snapshot.managers) {
    if (lastError === undefined || !HOPELESS.includes(lastError.code)) continue;
    const { code, message, remedy } = lastError;
    return new CertletError(code, message, remedy === undefined ? {} : { remedy });
  }
  return undefined;
}
