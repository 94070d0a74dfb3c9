import { realProcess, type ProcessEdge } from './cli/command-context.ts';

/** What is still open a second after the end was decided does not hold the process. */
const GRACE_MS = 1000;

/** Takes this process over for one command line, and gives its edge. */
export function startProcess(): ProcessEdge {
  // Node opens its debugger on a TCP port at this signal, unless somebody listens. Until here `--disable-sigusr1` of the launcher prevents it.
  process.on('SIGUSR1', () => undefined);
  // Node prints warnings of libraries as they are, and no journal knows what they are.
  process.removeAllListeners('warning');
  return realProcess();
}

/** Ends this process with that code. */
export function endProcess(code: number): void {
  process.exitCode = code;
  // At once where all that was told has gone out: to let go of the heap page by page takes longer than many a command.
  if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit();
  setTimeout(() => process.exit(), GRACE_MS).unref();
}
