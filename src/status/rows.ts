import { endsInCommand, type Advice, adviceOf, DO, FIX, WHY } from '../remedy.ts';
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
  const advice = adviceOf(remedy);
  return [labelled(advice), ...optional(WHY, advice.why)];
}

/** A command stands under its own word: what is to be done by hand is copied into no shell. */
const labelled = (advice: Advice): Row => (advice.kind === 'command' ? [FIX, advice.fix] : [DO, advice.todo]);

/** The same as lines, for under an error or a finding. Sentences are broken at `width`, a command never. */
export function adviceLines(remedy: string | undefined, width?: number): readonly string[] {
  if (remedy === undefined) return [];
  return adviceRows(remedy).flatMap(([label, value]) => {
    const whole = label === FIX || (label === DO && endsInCommand(value));
    const space = width === undefined || whole ? undefined : Math.max(LEAST_VALUE, width - label.length - 1);
    const [first, ...rest] = wrapped(value, space);
    return [`${label} ${first}`, ...rest.map((line) => ' '.repeat(label.length + 1) + line)];
  });
}

/** No row where there is no value. */
export const optional = (label: string, value: string | undefined): readonly Row[] =>
  value === undefined ? [] : [[label, value]];
