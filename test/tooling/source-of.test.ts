import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { bundle } from '../../config/tooling/bundle.ts';
import { sourcesOf } from '../../config/tooling/source-of.ts';

t.test('a stack trace of the daemon had places that nobody could find in the sources', async (t) => {
  const program = join(t.testdir({}), 'certlet-run.cjs');
  await bundle('src/main-run.ts', program, { names: false });
  const lines = readFileSync(program, 'latin1').split('\n');
  const line = lines.findIndex((text) => text.includes('"Starting certlet"'));
  const column = (lines[line]?.indexOf('"Starting certlet"') ?? 0) + 1;
  const source = readFileSync(join(import.meta.dirname, '../../src/cli/commands/run.ts'), 'utf8').split('\n');
  const wanted = source.findIndex((text) => text.includes("'Starting certlet'")) + 1;
  t.same(await sourcesOf([`${String(line + 1)}:${String(column)}`, 'somewhere']), [
    `src/cli/commands/run.ts:${String(wanted)}`,
    'somewhere: no LINE:COLUMN',
  ]);
});
