/** How a process ends, in processes that end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';

const PROGRAM = join(import.meta.dirname, 'fixtures/ends-with-much-to-say.ts');
/** Several times what a pipe holds. */
const BYTES = 500_000;

t.test('a reader that was slow for more than a second lost the end of the log', async (t) => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM, String(BYTES)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(child, 'exit');
  const [patience] = (await once(child.stdout, 'data')) as readonly Buffer[];
  t.equal(Number(patience), 60_000, 'milliseconds until it gives up');
  t.equal((await text(child.stderr)).length, BYTES, 'to who begins to read only then');
  t.strictSame(await exit, [3, null]);
});

t.test('what is still open holds no process that has told all', async (t) => {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM, '0'], { stdio: 'ignore' });
  t.strictSame(await once(child, 'exit'), [3, null]);
});
