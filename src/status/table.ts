import type { Paint } from './paint.ts';
import { wrapped } from './wrapped.ts';

/** One cell; a colour goes around its text and does not count in its width. */
export interface Cell {
  readonly text: string;
  readonly colour?: number;
}

export interface Column {
  readonly title: string;
  readonly cells: readonly Cell[];
  /** Where the lines get too long the columns with the highest number go first; without one a column always stays. */
  readonly dispensable?: number;
}

const GAP = '  ';
/** The last column is broken into lines; narrower than this it cannot be read. */
const LEAST_LAST = 9;

/** A heading and a line for each row, columns as wide as they must be, as kubectl has them. `columns` is the width of the terminal; undefined never breaks or leaves out. */
export function tableLines(
  table: readonly Column[],
  { paint, columns }: { readonly paint: Paint; readonly columns: number | undefined },
): readonly string[] {
  const shown = columns === undefined ? table : fitting(table, columns);
  const widths = shown.map(widthOf);
  const start = startOfLast(widths);
  const lastWidth = columns === undefined ? undefined : Math.max(LEAST_LAST, columns - start);
  const rows = shown[0]?.cells.length ?? 0;
  const lines = Array.from({ length: rows }, (_row, row) => {
    const cells = shown.map(({ cells }) => cells[row] ?? { text: '' });
    const [first, ...rest] = wrapped(cells.at(-1)?.text ?? '', lastWidth);
    const front = cells.slice(0, -1).map((cell, at) => padded(cell, widths[at] ?? 0, paint));
    return [[...front, first].join(GAP).trimEnd(), ...rest.map((line) => ' '.repeat(start) + line)];
  });
  const heading = shown.map(({ title }, at) => title.padEnd(widths[at] ?? 0)).join(GAP);
  return [heading.trimEnd(), ...lines.flat()];
}

const widthOf = ({ title, cells }: Column): number => Math.max(title.length, ...cells.map(({ text }) => text.length));

const startOfLast = (widths: readonly number[]): number =>
  widths.slice(0, -1).reduce((sum, width) => sum + width + GAP.length, 0);

function fitting(table: readonly Column[], columns: number): readonly Column[] {
  const last = table.at(-1)?.cells.map(({ text }) => text.length) ?? [];
  const need = Math.min(LEAST_LAST, Math.max(0, ...last));
  if (startOfLast(table.map(widthOf)) + need <= columns) return table;
  const ranks = table.flatMap(({ dispensable }) => (dispensable === undefined ? [] : [dispensable]));
  if (ranks.length === 0) return table;
  const first = Math.max(...ranks);
  return fitting(
    table.filter(({ dispensable }) => dispensable !== first),
    columns,
  );
}

function padded({ text, colour }: Cell, width: number, paint: Paint): string {
  const blanks = ' '.repeat(Math.max(0, width - text.length));
  return (colour === undefined ? text : paint(colour, text)) + blanks;
}
