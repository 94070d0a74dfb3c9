import { adviceOf, FIX } from '../remedy.ts';
import { DIM, type Paint } from './paint.ts';
import { wrapped } from './wrapped.ts';

/** What is told under a label. A `fix:` is copied, so it is never broken. */
export type Row = readonly [label: string, value: string];

/** One column for labels, wide enough for the usual ones; a longer label pushes its value. */
const LABEL_WIDTH = 14;
const INDENT = 2;
/** A column that is narrower is no column. */
const LEAST_VALUE = 20;

/** Lines of rows under their heading, values broken at `columns`; undefined never breaks them. */
export function rowLines(
  rows: readonly Row[],
  { paint, columns }: { readonly paint: Paint; readonly columns: number | undefined },
): readonly string[] {
  const start = INDENT + LABEL_WIDTH + 2;
  const width = columns === undefined ? undefined : Math.max(LEAST_VALUE, columns - start);
  return rows.flatMap(([label, value]) => {
    const [first, ...rest] = wrapped(value, label === FIX ? undefined : width);
    return [
      `${' '.repeat(INDENT)}${paint(DIM, label.padEnd(LABEL_WIDTH))}  ${first}`,
      ...rest.map((line) => ' '.repeat(start) + line),
    ];
  });
}

/** What ends a trouble, and below it what is to be known of that; no rows where nothing does. */
export function adviceRows(remedy: string | undefined): readonly Row[] {
  if (remedy === undefined) return [];
  const { fix, why } = adviceOf(remedy);
  return [[FIX, fix], ...optional(WHY, why)];
}

const WHY = 'why:';
/** A line of the settings file, which no shell takes. */
const SETTING = /^[a-z][A-Za-z]*: /;

/** The same as lines, for under an error or a finding. The explanation is broken at `width`, a command never. */
export function adviceLines(remedy: string | undefined, width?: number): readonly string[] {
  if (remedy === undefined) return [];
  const { fix, why } = adviceOf(remedy);
  const label = SETTING.test(fix) ? 'settings:' : FIX;
  if (why === undefined) return [`${label} ${fix}`];
  const space = width === undefined ? undefined : Math.max(LEAST_VALUE, width - WHY.length - 1);
  const [first, ...rest] = wrapped(why, space);
  return [`${label} ${fix}`, `${WHY} ${first}`, ...rest.map((line) => ' '.repeat(WHY.length + 1) + line)];
}

/** No row where there is no value. */
export const optional = (label: string, value: string | undefined): readonly Row[] =>
  value === undefined ? [] : [[label, value]];
