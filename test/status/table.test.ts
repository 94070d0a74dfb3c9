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
