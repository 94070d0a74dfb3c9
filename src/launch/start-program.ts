import { join } from 'node:path';
import { readCache } from './code-cache.ts';
import { readProgram, runProgram } from './compile.ts';
import { prepareEngine } from './engine.ts';
import { cacheFolder, launchFor } from './places.ts';

/** Starts the program in `folder` that reads this command line. Throws what its top level throws. */
export function startProgram(folder: string, argv: readonly string[]): void {
  const launch = launchFor(argv);
  prepareEngine(launch);
  const program = readProgram(join(folder, launch.program), launch.flags);
  // Root's alone: the program may run as root, whoever staged it.
  runProgram(program, readCache(cacheFolder(folder), program.cacheName, 0));
}
