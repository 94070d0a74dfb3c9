import { plainLines } from '../../adapters/log/printable.ts';
import { SystemClock } from '../../adapters/system-clock.ts';
import { isCertletError } from '../../errors.ts';
import type { HowItRuns } from '../../remedy.ts';
import { statusMark } from '../../status/document.ts';
import { adviceLines } from '../../status/rows.ts';
import { statusReport } from '../../status/text.ts';
import { type Liveness, type State, STATE_EXIT, type Verdict, verdictOf } from '../../status/verdict.ts';
import { timestamp } from '../../timestamp.ts';
import { encodeAnswer } from '../answer.ts';
import type { StatusArguments } from '../command.ts';
import { columnsOf, type CommandContext, showsColour } from '../command-context.ts';
import { managedPurposes } from '../managed-purposes.ts';
import { type FoundStatus, findStatus } from '../status-source.ts';
import { howItRuns, toldFor } from '../told-remedies.ts';

/** `--watch` looks so often; it shows something only when that has changed. */
const LOOK_MS = 1_000;
/** Cursor to the first column of the first line, and clear from there: no flicker, and what was scrolled stays. */
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

/** `certlet status`: shows the state; the exit code tells it too. Throws what `findStatus` throws, as exit code 6 where nothing is known. */
export async function runStatus(context: CommandContext, args: StatusArguments): Promise<number> {
  const settings = await context.loadSettings();
  const { certificate } = args;
  managedPurposes(settings, certificate, context.edge.argv);
  const look = async (): Promise<Told> => {
    const found = onlyOf(await findStatus(settings, context.edge), certificate);
    const host = await howItRuns(settings, found, context.carried);
    return { ...found, host, document: toldFor(found.document, host) };
  };
  return args.watch ? watch(context, args, look) : show(context, args, look);
}

/** What was found, with remedies as they work on this host. */
type Told = FoundStatus & { readonly host: HowItRuns };

/** With one certificate in mind the others count neither in the table nor in the verdict. */
function onlyOf(found: FoundStatus, certificate: string | undefined): FoundStatus {
  if (certificate === undefined) return found;
  const mine = ({ purpose }: { readonly purpose: string }): boolean => purpose === certificate;
  const { certificates, hooks, warnings } = found.document;
  return {
    ...found,
    document: {
      ...found.document,
      certificates: certificates.filter(mine),
      hooks: hooks.filter(mine),
      ...(warnings !== undefined && { warnings: warnings.filter(({ purpose }) => purpose === certificate) }),
    },
  };
}

async function show(context: CommandContext, args: StatusArguments, look: () => Promise<Told>): Promise<number> {
  const seen = await lookOnce(context, args, look);
  if (seen.kind === 'shown') context.printPainted(seen.text);
  else context.edge.stderr.write(plainLines(seen.text));
  return STATE_EXIT[seen.state];
}

/** Ends at a signal, with the last state's code. */
async function watch(context: CommandContext, args: StatusArguments, look: () => Promise<Told>): Promise<number> {
  const clock = new SystemClock();
  const terminal = context.edge.stdout.isTTY === true && args.output === 'text';
  let last: string | undefined;
  let state: State = 'unknown';
  while (!context.signal.aborted) {
    const seen = await lookOnce(context, args, look);
    state = seen.state;
    // On a terminal distances in time go on; a pipe gets what is news.
    const mark = terminal ? seen.text : seen.mark;
    if (mark !== last)
      context.printPainted(terminal ? `${HOME_AND_CLEAR}${seen.text}` : separated(seen.text, args, last));
    last = mark;
    await clock.sleepUntil(new Date(clock.now().getTime() + LOOK_MS), context.signal);
  }
  return STATE_EXIT[state];
}

/** One document after another in a pipe: an empty line, YAML's own mark; JSON documents need none. */
function separated(text: string, args: StatusArguments, last: string | undefined): string {
  if (args.output === 'yaml') return `---\n${text}`;
  return args.output === 'text' && last !== undefined ? `\n${text}` : text;
}

interface Seen {
  readonly kind: 'shown' | 'problem';
  readonly state: State;
  readonly text: string;
  /** The same for two looks that tell the same: moments and distances do not count. */
  readonly mark: string;
}

async function lookOnce(context: CommandContext, args: StatusArguments, look: () => Promise<Told>): Promise<Seen> {
  try {
    const found = await look();
    const now = context.edge.now();
    const verdict = verdictOf(found.document, now, livenessOf(found));
    const text = formed(context, args, { ...found, verdict, now });
    const mark = `${found.source.kind} ${verdict.state} ${found.trouble?.message ?? ''} ${statusMark(found.document)}`;
    return { kind: 'shown', state: verdict.state, text, mark };
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const lines = [`certlet: ${error.message}`, ...adviceLines(error.remedy).map((line) => `  ${line}`)];
    const text = `${lines.join('\n')}\n`;
    return { kind: 'problem', state: 'unknown', text, mark: text };
  }
}

function livenessOf({ source, missing, trouble }: FoundStatus): Liveness {
  if (trouble !== undefined) return { trouble: trouble.message };
  if (missing) return 'missing';
  return source.kind === 'file' && !source.running ? 'down' : 'running';
}

type Judged = Told & { readonly verdict: Verdict; readonly now: Date };

function formed(
  context: CommandContext,
  args: StatusArguments,
  { document, source, trouble, host, verdict, now, nextRun }: Judged,
): string {
  const { stdout, environment } = context.edge;
  if (args.output === 'text') {
    const colour = showsColour(stdout, environment);
    const columns = columnsOf(stdout);
    const details = args.verbose || args.certificate !== undefined;
    return statusReport(document, { source, trouble, host, verdict, now, nextRun, colour, columns, details });
  }
  const process = nextRun === undefined ? document.process : { ...document.process, nextRunAt: timestamp(nextRun) };
  const told = { ...document, process, state: verdict.state, reasons: verdict.reasons, source: source.kind };
  // A stream of documents has one on each line.
  return args.watch && args.output === 'json' ? `${JSON.stringify(told)}\n` : encodeAnswer(told, args.output);
}
