import { setFlagsFromString } from 'node:v8';

/**
 * The daemon runs for months and works for seconds: what V8's optimizing compilers would make of its program never pays, and they themselves are
 * megabytes of Node's program that are in memory once they have run. On Node's command line these flags would make V8 refuse the compiled form
 * that Node brings of its own modules.
 */
const FLAGS = ['--no-opt', '--no-maglev', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering'] as const;

/** No further optimizing in this process. To be called when the program and what it uses of Node have been loaded: their compiled forms are for V8's own flags. */
export function stopOptimizing(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
