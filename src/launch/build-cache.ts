/**
 * `/usr/lib/certlet/certlet-cache`: compiles the programs beside it for this host's Node. Run by root where certlet is installed, never by the service.
 * Nothing is lost without it but a part of a second at each start.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { readCache, removeOtherCaches, writeCache } from './code-cache.ts';
import { compileWhole, readProgram } from './compile.ts';
import { cacheFolder, PROGRAMS } from './places.ts';

const folder = cacheFolder(import.meta.dirname);

function buildCaches(): void {
  process.umask(0o022);
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const programs = PROGRAMS.map((name) => readProgram(join(import.meta.dirname, name)));
  const owner = process.geteuid?.() ?? 0;
  // First: it may be what fills the disk.
  removeOtherCaches(
    folder,
    programs.map(({ cacheName }) => cacheName),
  );
  const missing = programs.filter(({ cacheName }) => !('data' in readCache(folder, cacheName, owner)));
  for (const program of missing) writeCache(folder, program.cacheName, compileWhole(program));
  const left = programs.map(({ cacheName }) => readCache(folder, cacheName, 0)).find((reading) => 'verdict' in reading);
  if (left !== undefined)
    throw new Error(`no start will use what was written: ${'verdict' in left ? left.verdict : ''}`);
}

try {
  buildCaches();
} catch (error) {
  const words = error instanceof Error ? error.message : String(error);
  const hint =
    'certlet starts without it, more slowly. Mend what is named (only root may write the folder and those above it), then as root: /usr/lib/certlet/certlet-cache';
  process.stderr.write(`certlet-cache: ${folder}: ${words}\n  ${hint}\n`);
  process.exitCode = 1;
}
