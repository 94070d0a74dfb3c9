import { join } from 'node:path';

/** What V8 is made ready for. */
export interface Launch {
  readonly program: 'certlet-run.cjs' | 'certlet.cjs';
  /** V8's flags beside those of the command line. */
  readonly flags: readonly string[];
}

/**
 * The daemon runs for months and works for seconds: what V8's optimizing compilers would make of its program never pays, and they themselves are
 * megabytes of Node's program that are in memory once they have run.
 */
const DAEMON: Launch = {
  program: 'certlet-run.cjs',
  flags: ['--no-opt', '--no-maglev', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering'],
};
/** The same program, for a run of a fifth of a second. */
const ONCE: Launch = { program: 'certlet-run.cjs', flags: [] };
/** With every command. */
const WHOLE: Launch = { program: 'certlet.cjs', flags: [] };

/** Each way that a program is started; those with flags of their own come last, since flags stay. */
export const LAUNCHES: readonly Launch[] = [WHOLE, ONCE, DAEMON];

/** `/var/cache/certlet` for a program in `/usr/lib/certlet`, and the same place in a tree that lies elsewhere. */
export function cacheFolder(programFolder: string): string {
  return join(programFolder, '../../../var/cache/certlet');
}

/** What reads this command line first. */
export function launchFor([command]: readonly string[]): Launch {
  if (command === 'run') return DAEMON;
  return command === 'once' ? ONCE : WHOLE;
}
