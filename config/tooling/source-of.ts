/**
 * `node config/tooling/source-of.ts LINE:COLUMN ...`: where a place in a stack trace of the daemon (`certlet-run.cjs:LINE:COLUMN`) is in the sources, in a
 * checkout of the release that printed it.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from './bundle.ts';

/** `src/FILE.ts:LINE` for each place (`LINE:COLUMN`, from 1), or what is wrong with it. */
export async function sourcesOf(places: readonly string[]): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-map-'));
  try {
    const program = join(folder, 'certlet-run.cjs');
    await bundle('src/main-run.ts', program, { names: false, map: true });
    const map = new SourceMap(JSON.parse(readFileSync(`${program}.map`, 'utf8')) as SourceMapPayload);
    return places.map((place) => sourceOf(map, place));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function sourceOf(map: SourceMap, place: string): string {
  const [, line, column] = /^(\d+):(\d+)$/.exec(place) ?? [];
  if (line === undefined || column === undefined) return `${place}: no LINE:COLUMN`;
  const found = map.findOrigin(Number(line), Number(column));
  if (!('fileName' in found)) return `${place}: not in the program`;
  return `${found.fileName.replace(/^.*?(?=(?:src|node_modules)\/)/, '')}:${String(found.lineNumber)}`;
}

if (import.meta.main) console.log((await sourcesOf(process.argv.slice(2))).join('\n'));
