import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';
import { errnoOf } from '../file-errors.ts';
import { signalGroup } from '../process-group.ts';

/** Between the request to end and the kill, unless the caller says otherwise. */
const GRACE_MS = 2000;
/** A child left behind may hold the output open; it is not waited for longer. */
const DRAIN_MS = 500;
/** A chatty command must not fill the journal. */
const MAX_LINES = 200;
const MAX_LINE_CHARACTERS = 1000;

export interface CommandRequest {
  /** Program (absolute path) and arguments; no shell reads them. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** How long the process group has between the request to end (SIGTERM) and the kill. */
  readonly graceMs?: number;
  /** Gets each line of output, cut to a sane length; at most some hundred of them. */
  readonly onLine: (stream: 'stdout' | 'stderr', line: string) => void;
}

/** How a command ended. */
export type CommandEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: string }
  | { readonly kind: 'timedOut' }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'notStarted'; readonly reason: string };

/** Runs a command in a process group of its own; at the time limit or when `signal` aborts the whole group is ended. Never rejects. */
export async function runCommand(request: CommandRequest, signal: AbortSignal): Promise<CommandEnd> {
  if (signal.aborted) return { kind: 'aborted' };
  const { timeoutMs, onLine } = request;
  const child = start(request);
  if ('kind' in child) return child;
  const limit = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([signal, limit]);
  const onStop = (): void => endGroup(child, request.graceMs ?? GRACE_MS);
  stop.addEventListener('abort', onStop, { once: true });
  const output = [readLines(child.stdout, 'stdout', onLine), readLines(child.stderr, 'stderr', onLine)];
  const end = await childEnd(child);
  stop.removeEventListener('abort', onStop);
  await Promise.race([Promise.all(output), pause(DRAIN_MS)]);
  child.stdout.destroy();
  child.stderr.destroy();
  if (end.kind === 'notStarted') return end;
  if (signal.aborted) return { kind: 'aborted' };
  return limit.aborted ? { kind: 'timedOut' } : end;
}

/** Node throws where the system takes no such arguments and variables, with words that quote them, and tells all else by an event. */
function start({ command, env }: CommandRequest): ChildProcessByStdio<null, Readable, Readable> | CommandEnd {
  try {
    return spawn(command[0] ?? '', command.slice(1), {
      env: { ...env },
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const code = errnoOf(error);
    if (code === undefined) throw error;
    return { kind: 'notStarted', reason: `its arguments and variables cannot be used (${code})` };
  }
}

function childEnd(child: ChildProcess): Promise<CommandEnd> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ kind: 'notStarted', reason: error.message }));
    child.once('exit', (code, killedBy) =>
      resolve(code === null ? { kind: 'killed', signal: killedBy ?? 'unknown' } : { kind: 'exited', code }),
    );
  });
}

/** Asks the process group to end, then kills it. */
function endGroup(child: ChildProcess, graceMs: number): void {
  signalGroup(child, 'SIGTERM');
  const kill = setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs);
  kill.unref();
  child.once('exit', () => {
    clearTimeout(kill);
    // What ignored the request goes with its parent.
    signalGroup(child, 'SIGKILL');
  });
}

/** Line by line, and never more than a line's beginning in memory: a command may print for ever without a line break. */
async function readLines(stream: Readable, name: 'stdout' | 'stderr', onLine: CommandRequest['onLine']): Promise<void> {
  let count = 0;
  let line = '';
  const tell = (): void => {
    count += 1;
    if (count === MAX_LINES + 1) onLine(name, 'more output is left out');
    if (count <= MAX_LINES) onLine(name, line);
    line = '';
  };
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    const [first = '', ...others] = chunk.split(/\r?\n/);
    line += first.slice(0, MAX_LINE_CHARACTERS - line.length);
    for (const other of others) {
      tell();
      line = other.slice(0, MAX_LINE_CHARACTERS);
    }
  });
  await new Promise((resolve) => stream.once('close', resolve));
  if (line !== '') tell();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
