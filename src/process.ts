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
  // Not process.exit at once: standard error may still hold what was told.
  process.exitCode = code;
  setTimeout(() => process.exit(), GRACE_MS).unref();
}
