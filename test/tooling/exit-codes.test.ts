import { readFileSync } from 'node:fs';
import t from 'tap';
import { COMMON_EXITS } from '../../src/cli/commands.ts';
import { EXIT } from '../../src/errors.ts';

t.test('docs/exit-codes.md tells each exit code as help and manual do', async (t) => {
  const page = readFileSync(new URL('../../docs/exit-codes.md', import.meta.url), 'utf8');
  for (const [code, meaning] of COMMON_EXITS) t.ok(page.includes(`| ${String(code)} | ${meaning} |`), meaning);
});

t.test('every exit code of the program is told', async (t) => {
  t.strictSame(
    COMMON_EXITS.map(([code]) => code),
    Object.values(EXIT).toSorted((a, b) => a - b),
  );
});
