/** What a person sees, as the page shows it. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { screensPage } from './screens.ts';

t.test('docs/screens.md shows what the commands and the demo show now', async (t) => {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/screens.md'), 'utf8');
  t.equal(page, await screensPage(), 'made anew by: node test/demo/screens.ts > docs/screens.md');
});

t.test('no line of a screen is longer than the terminal, but for what is copied', async (t) => {
  let columns = 0;
  for (const line of (await screensPage()).split('\n')) {
    columns = Number(/^## .* at (\d+) columns$/.exec(line)?.[1] ?? columns);
    if (columns > 0 && line.length > columns) t.match(line, /fix: /, line);
  }
});
