import { join } from 'node:path';
import { readCache } from './code-cache.ts';
import { readProgram, runProgram } from './compile.ts';
import { cacheFolder, programFor } from './places.ts';

/** Starts the program in `folder` that reads this command line. Throws what its top level throws. */
export function startProgram(folder: string, argv: readonly string[]): void {
  const program = readProgram(join(folder, programFor(argv)));
  // Root's alone: the program may run as root, whoever staged it.
  runProgram(program, readCache(cacheFolder(folder), program.cacheName, 0));
}
