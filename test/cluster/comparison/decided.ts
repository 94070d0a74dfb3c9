import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Compared } from './compare.ts';
import { titleOf } from './row.ts';

/** Where certlet and kubectl differ on purpose: a title of a row, or its beginning and a star, with the reason. */
export interface Decided {
  readonly pattern: string;
  readonly reason: string;
}

const FOLDER = join(import.meta.dirname, '../../../docs/decisions');
/** A table of ours, whatever other tables a decision has. */
const TABLE = /^\| input +\| why +\|\n\|[-| ]+\|\n((?:\|.*\n)*)/gm;
/** A row of two cells, the first of them code. */
const LINE = /^\| `([^`]+)` +\| (.+?) +\|$/;

/** What the tables of a decision list. */
export function parseDecided(markdown: string): readonly Decided[] {
  return [...markdown.matchAll(TABLE)]
    .flatMap(([, rows = '']) => rows.split('\n'))
    .map((line) => LINE.exec(line))
    .filter((match) => match !== null)
    .map(([, pattern = '', reason = '']) => ({ pattern, reason }));
}

/** What `docs/decisions` list. */
export function allDecided(): readonly Decided[] {
  return readdirSync(FOLDER).flatMap((name) => parseDecided(readFileSync(join(FOLDER, name), 'utf8')));
}

function matches({ pattern }: Decided, title: string): boolean {
  return pattern.endsWith('*') ? title.startsWith(pattern.slice(0, -1)) : title === pattern;
}

/** Splits disagreements into those that nothing explains, and names decisions that no disagreement needs any more. */
export function judge(
  differing: readonly Compared[],
  decisions: readonly Decided[],
): { readonly unexplained: readonly Compared[]; readonly stale: readonly string[] } {
  const titles = differing.map(({ row }) => titleOf(row));
  return {
    unexplained: differing.filter(
      (_one, index) => !decisions.some((decision) => matches(decision, titles[index] ?? '')),
    ),
    stale: decisions
      .filter((decision) => !titles.some((title) => matches(decision, title)))
      .map(({ pattern }) => pattern),
  };
}
