import t from 'tap';
import { paintFor } from '../../src/status/paint.ts';
import { type Column, tableLines } from '../../src/status/table.ts';

const table: readonly Column[] = [
  { title: 'NAME', cells: [{ text: 'one' }, { text: 'second' }] },
  { title: 'DATE', cells: [{ text: '2030-01-01' }, { text: '-' }], dispensable: 1 },
  { title: 'WHY', cells: [{ text: 'some words that are long' }, { text: '-' }] },
];

for (const { columns, lines } of [
  {
    columns: undefined,
    lines: ['NAME    DATE        WHY', 'one     2030-01-01  some words that are long', 'second  -           -'],
  },
  {
    columns: 34,
    lines: [
      'NAME    DATE        WHY',
      'one     2030-01-01  some words',
      '                    that are long',
      'second  -           -',
    ],
  },
  { columns: 24, lines: ['NAME    WHY', 'one     some words that', '        are long', 'second  -'] },
  {
    columns: 5,
    lines: ['NAME    WHY', 'one     some', '        words', '        that are', '        long', 'second  -'],
  },
]) {
  t.test(`a table at ${String(columns)} columns`, async (t) => {
    t.strictSame(tableLines(table, { paint: paintFor(false), columns }), lines);
  });
}

t.test('colour does not count in the width', async (t) => {
  const coloured = [
    { title: 'A', cells: [{ text: 'x', colour: 31 }] },
    { title: 'B', cells: [{ text: 'y' }] },
  ];
  t.strictSame(tableLines(coloured, { paint: paintFor(true), columns: 80 }), ['A  B', '\u001b[31mx\u001b[0m  y']);
});

for (const { name, given, columns, lines } of [
  { name: 'no column', given: [], columns: 80, lines: [''] },
  { name: 'no column, of no terminal', given: [], columns: undefined, lines: [''] },
  { name: 'no rows', given: [{ title: 'A', cells: [] }], columns: 80, lines: ['A'] },
  {
    name: 'a column with fewer cells than the first has blanks there',
    given: [
      { title: 'A', cells: [{ text: '1' }, { text: '2' }] },
      { title: 'B', cells: [{ text: 'x', colour: 31 }] },
      { title: 'C', cells: [{ text: 'last' }] },
    ],
    columns: 80,
    lines: ['A  B  C', '1  x  last', '2'],
  },
  {
    name: 'the highest number goes first, and columns of one number go together',
    given: [
      { title: 'NAME', cells: [{ text: 'n' }] },
      { title: 'SECOND', cells: [{ text: '-' }], dispensable: 2 },
      { title: 'FIRST', cells: [{ text: '-' }], dispensable: 1 },
      { title: 'OTHER', cells: [{ text: '-' }], dispensable: 2 },
      { title: 'LAST', cells: [{ text: 'x' }] },
    ],
    columns: 16,
    lines: ['NAME  FIRST  LAST', 'n     -      x'],
  },
  {
    name: 'what must stay stays on a terminal without width',
    given: [
      { title: 'NAME', cells: [{ text: 'n' }] },
      { title: 'LAST', cells: [{ text: 'x' }] },
    ],
    columns: 0,
    lines: ['NAME  LAST', 'n     x'],
  },
] as const) {
  t.test(`a table with ${name}`, async (t) => {
    t.strictSame(tableLines(given, { paint: paintFor(false), columns }), lines);
  });
}
