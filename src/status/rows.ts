import { DIM, type Paint } from './paint.ts';
import { wrapped } from './wrapped.ts';

/** What is told under a label. A `fix:` is copied, so it is never broken. */
export type Row = readonly [label: string, value: string];

/** The label of what ends a trouble, everywhere. */
export const FIX = 'fix:';

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

/** No row where there is no value. */
export const optional = (label: string, value: string | undefined): readonly Row[] =>
  value === undefined ? [] : [[label, value]];
