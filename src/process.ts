import { realProcess, type ProcessEdge } from './cli/command-context.ts';

/** A reader that takes nothing for so long will not take what is left. */
const PATIENCE_MS = 60_000;

/** Takes this process over for one command line, and gives its edge. */
export function startProcess(): ProcessEdge {
  // Node opens its debugger on a TCP port at this signal, unless somebody listens. Until here `--disable-sigusr1` of the launcher prevents it.
  process.on('SIGUSR1', () => undefined);
  // Node prints warnings of libraries as they are, and no journal knows what they are.
  process.removeAllListeners('warning');
  return realProcess();
}

/** Ends this process with that code: at once, whatever is still open, where all that was told has gone out, and else as soon as it has. */
export function endProcess(code: number): void {
  process.exitCode = code;
  const pending = [process.stdout, process.stderr].filter(({ writableLength }) => writableLength > 0);
  // To let go of the heap page by page, as Node does at the end of its loop, takes longer than many a command.
  if (pending.length === 0) process.exit();
  setTimeout(() => process.exit(), PATIENCE_MS).unref();
  void Promise.all(pending.map((stream) => new Promise<void>((gone) => stream.write('', () => gone())))).then(() =>
    process.exit(),
  );
}
