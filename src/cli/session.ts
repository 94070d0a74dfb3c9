import { adviceLines } from '../status/rows.ts';
import { journalLine } from '../adapters/log/format.ts';
import { forTerminal, plainLines } from '../adapters/log/printable.ts';
import { redact } from '../adapters/log/redact.ts';
import { asCertletError, CertletError, EXIT } from '../errors.ts';
import type { Logger } from '../ports.ts';
import { type Carried, type Remedy, reworded, withCarried } from '../remedy.ts';
import type { Command, ParsedLine } from './command.ts';
import {
  loadChosenSettings,
  openChosenLog,
  writesToJournal,
  type CommandContext,
  type ProcessEdge,
} from './command-context.ts';
import { exitCodeOf } from './exit-code.ts';
import { CONFIG_FLAG } from './flags.ts';
import { carriedBy } from './carried.ts';
import { lostOutput } from './lost-output.ts';
import { VERSION } from './version.ts';
import { wrongLineError } from './wrong-line.ts';

/** Runs a command and resolves to the exit code. */
export type Dispatch = (command: Command, context: CommandContext) => Promise<number>;

/** One command line, from its reading to the exit code. Never throws; every failure is told on standard error. */
export async function runLine(
  edge: ProcessEdge,
  read: () => ParsedLine | Promise<ParsedLine>,
  dispatch: Dispatch,
): Promise<number> {
  const session = new Session(edge);
  const carryOut = async (): Promise<number> => {
    const line = await read();
    if (line.kind === 'command') return dispatch(line.command, session.context(line));
    if (line.kind === 'wrong') throw await wrongLineError(line, () => loadChosenSettings(line.settings, edge));
    edge.stdout.write(line.kind === 'help' ? line.text : `certlet ${VERSION}\n`);
    return EXIT.ok;
  };
  const code = await carryOut().catch((error: unknown) =>
    session.stoppedBy(error) ? EXIT.tempFail : session.fail(asCertletError(error)),
  );
  return session.end(code);
}

/** One run of the program: its signals and where its failures are told. */
class Session {
  readonly #edge: ProcessEdge;
  readonly #stop = new AbortController();
  readonly #undo: (() => void)[] = [];
  #log: Logger | undefined;
  #carried: readonly Carried[] = [];
  #lost: CertletError | undefined;

  constructor(edge: ProcessEdge) {
    this.#edge = edge;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) this.#stopAt(signal);
    this.#undo.push(edge.onUncaught((error) => edge.exit(this.fail(asCertletError(error)))));
    // Its text is not told: a library puts into it what it warns of, such as a part of a file with a token.
    this.#undo.push(edge.onWarning(({ name }) => this.#log?.log('debug', 'Warning of a library', { name })));
    edge.stdout.on('error', (error) => this.#loses(error));
    // It has no other place to complain.
    edge.stderr.on('error', () => {});
  }

  context({ command, settings: choice }: Extract<ParsedLine, { readonly kind: 'command' }>): CommandContext {
    const edge = this.#edge;
    const carried = carriedBy(command, choice);
    this.#carried = carried;
    return {
      edge,
      carried,
      signal: this.#stop.signal,
      settingsPath: choice.settingsPath ?? CONFIG_FLAG.fallback,
      loadSettings: () => loadChosenSettings(choice, edge),
      openLog: async (settings, how) => {
        const log = await openChosenLog(settings, edge, { carried, ...how });
        this.#log = log;
        return log;
      },
      onReload: (listener) => {
        const undo = edge.onSignal('SIGHUP', listener);
        this.#undo.push(undo);
        return undo;
      },
      print: (text) => void edge.stdout.write(plainLines(text)),
      printPainted: (text) => void edge.stdout.write(forTerminal(text)),
    };
  }

  /** Whether a command ended with this because it was told to stop: nothing to explain then. */
  stoppedBy(error: unknown): boolean {
    const { aborted, reason } = this.#stop.signal as { readonly aborted: boolean; readonly reason: unknown };
    return aborted && error === reason;
  }

  /** Tells a failure where the rest of the run was told. */
  fail(error: CertletError): number {
    const { message } = error;
    const remedy = error.remedy && reworded(error.remedy, (text) => withCarried(text, this.#carried));
    const stack = error.code === 'ERR_INTERNAL' ? stackOf(error) : undefined;
    if (this.#log !== undefined) this.#log.log('error', message, { code: error.code, remedy, stack });
    else this.#edge.stderr.write(failureText({ message, remedy }, stack, writesToJournal(this.#edge)));
    return exitCodeOf(error);
  }

  /** Ends the run, which a signal ends from here on; gives the exit code. */
  async end(code: number): Promise<number> {
    for (const undo of this.#undo.splice(0)) undo();
    await this.#printed();
    if (this.#lost === undefined) return code;
    const failed = this.fail(this.#lost);
    // Neither may pass for what units and scripts take for a success; every other code says more.
    return code === EXIT.ok || code === EXIT.tempFail ? failed : code;
  }

  /** Settles when all that was printed is taken or known to be lost: a pipe takes 64 KiB, and the rest as its reader reads. */
  async #printed(): Promise<void> {
    const { stdout } = this.#edge;
    if (stdout.errored !== null) return this.#loses(stdout.errored);
    if (stdout.writableLength === 0) return;
    const { promise, resolve } = Promise.withResolvers<Error | null | undefined>();
    stdout.write('', resolve);
    const error = await promise;
    if (error) this.#loses(error);
  }

  #loses(error: Error): void {
    const words = lostOutput(error);
    const remedy: Remedy = '# Give standard output a place that takes it all; what was to be done may be done already.';
    if (words !== undefined) this.#lost ??= new CertletError('ERR_OUTPUT', words, { remedy, cause: error });
    this.#stop.abort();
  }

  /** The first signal asks to stop; a second one of its kind finds nobody listening and ends the process. */
  #stopAt(signal: 'SIGINT' | 'SIGTERM'): void {
    const undo = this.#edge.onSignal(signal, () => {
      undo();
      this.#stop.abort();
    });
    this.#undo.push(undo);
  }
}

/** For a person `certlet: <message>` with the remedy below; for the journal one line for each fact. */
function failureText(
  { message, remedy }: Pick<CertletError, 'message'> & { readonly remedy: Remedy | undefined },
  stack: string | undefined,
  journal: boolean,
): string {
  const facts = [...message.split('\n'), ...adviceLines(remedy)];
  if (journal) {
    const lines = [...facts, ...(stack === undefined ? [] : [stack])];
    return lines
      .map((event) => `${journalLine({ time: new Date(0), level: 'error', event: `certlet: ${event}`, fields: {} })}\n`)
      .join('');
  }
  const [first = '', ...rest] = facts;
  const lines = [`certlet: ${first}`, ...rest.map((fact) => `  ${fact}`), ...(stack === undefined ? [] : [stack])];
  // Nothing in them is of a colour of ours.
  return `${plainLines(redact(lines.join('\n')))}\n`;
}

/** Where a defect happened: what a report needs. */
function stackOf(error: CertletError): string | undefined {
  return error.cause instanceof Error ? error.cause.stack : error.stack;
}
