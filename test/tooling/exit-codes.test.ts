import { readFileSync } from 'node:fs';
import t from 'tap';
import { COMMANDS, COMMON_EXITS } from '../../src/cli/commands.ts';
import { EXIT } from '../../src/errors.ts';

const page = readFileSync(new URL('../../docs/exit-codes.md', import.meta.url), 'utf8');

t.test('docs/exit-codes.md tells each exit code as help and manual do', async (t) => {
  for (const [code, meaning] of COMMON_EXITS) t.ok(page.includes(`| ${String(code)} | ${meaning} |`), meaning);
});

t.test('every exit code of the program is in the help of some command', async (t) => {
  const told = new Set([...COMMON_EXITS, ...COMMANDS.flatMap(({ exits }) => exits)].map(([code]) => code));
  t.strictSame(
    Object.values(EXIT).filter((code) => !told.has(code)),
    [],
  );
});

t.test('docs/exit-codes.md tells what commands add', async (t) => {
  const own = COMMANDS.flatMap(({ exits }) => exits).filter(([code]) =>
    COMMON_EXITS.every(([common]) => common !== code),
  );
  for (const [code, meaning] of own) t.match(page, new RegExp(`\\| ${String(code)} \\|`), meaning);
});
