/** Coverage of `src/` by a run of tests: a table in a file, and the limits of `.taprc`. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = resolve(import.meta.dirname, '../..');
const folder = join(root, '.tap/coverage');
const report = join(root, '.tap/report');

/** Where the table stands. */
export const COVERAGE_TABLE = '.tap/report/coverage.txt';

interface V8Coverage {
  readonly result: readonly { readonly url: string }[];
}

/** Empties the folder that V8 writes its figures to, and names it for `NODE_V8_COVERAGE`. */
export function startCoverage(): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Leaves in V8's figures only certlet's own source. */
function keepSource(): void {
  const source = pathToFileURL(join(root, 'src/')).href;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const coverage = JSON.parse(readFileSync(path, 'utf8')) as V8Coverage;
    writeFileSync(
      path,
      JSON.stringify({ ...coverage, result: coverage.result.filter(({ url }) => url.startsWith(source)) }),
    );
  }
}

interface Summary {
  readonly total: Readonly<Record<string, { readonly pct: number }>>;
}

/** Writes the table. `enough` says whether every limit of `.taprc` is kept; `figures` are the totals in one line. */
export function coverageReport(): { readonly enough: boolean; readonly figures: string; readonly table: string } {
  keepSource();
  const tap = join(root, 'node_modules/.bin/tap');
  const { status, stdout, stderr } = spawnSync(tap, ['report', 'text', 'json-summary'], {
    cwd: root,
    encoding: 'utf8',
  });
  const path = join(report, 'coverage-summary.json');
  mkdirSync(report, { recursive: true });
  writeFileSync(join(root, COVERAGE_TABLE), stdout + stderr);
  const { total } = JSON.parse(readFileSync(path, 'utf8')) as Summary;
  const figure = (name: string): string => `${String(total[name]?.pct ?? 0)} % of ${name}`;
  return {
    enough: status === 0,
    figures: ['lines', 'statements', 'functions', 'branches'].map(figure).join(', '),
    table: stdout,
  };
}
