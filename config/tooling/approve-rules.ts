/** Writes the table of rules into `docs/approve.md` from the code. `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { RULES } from '../../src/approve/decide.ts';
import { NEVER } from '../../src/approve/rules/never.ts';

const BEGIN = '<!-- made by config/tooling/approve-rules.ts -->';
const END = '<!-- end of what is made -->';

const KINDS = {
  serving: 'serving',
  clientRenewal: 'renewal',
  clientBootstrap: 'first',
  certificate: 'entry',
} as const;

/** The table, Markdown. */
export function rulesTable(): string {
  const rows = RULES.map(
    ({ name, demands, stops, settings, kinds }) =>
      `| \`${name}\` | ${kinds.map((kind) => KINDS[kind]).join(', ')} | ${demands} | ${stops} | ${settings.map((setting) => `\`${setting}\``).join(', ')} |`,
  );
  return [
    '| rule | for | what it demands | what it stops | settings |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    `No node may ever have: ${NEVER.map((entry) => `\`${entry}\``).join(', ')}.`,
  ].join('\n');
}

/** The page with this table in it. Throws `RangeError` where the page has no place for it. */
export function withTable(page: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new RangeError('docs/approve.md has no place for the table');
  return `${before}${BEGIN}\n${rulesTable()}\n${END}${after}`;
}

if (import.meta.main) {
  const path = resolve(import.meta.dirname, '../../docs/approve.md');
  writeFileSync(path, withTable(readFileSync(path, 'utf8')));
}
