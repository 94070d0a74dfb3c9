import { join } from 'node:path';

/** The daemon's program, and the one with every command. */
export const PROGRAMS = ['certlet-run.cjs', 'certlet.cjs'] as const;

/** `/var/cache/certlet` for a program in `/usr/lib/certlet`, and the same place in a tree that lies elsewhere. */
export function cacheFolder(programFolder: string): string {
  return join(programFolder, '../../../var/cache/certlet');
}

/** Which program reads this command line first. */
export function programFor(argv: readonly string[]): (typeof PROGRAMS)[number] {
  return argv[0] === 'run' || argv[0] === 'once' ? 'certlet-run.cjs' : 'certlet.cjs';
}
