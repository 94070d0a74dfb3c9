/** In a process of its own: the garbage of others is none of this test's. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const PROGRAM = join(import.meta.dirname, '../fixtures/idle-memory.ts');
const MEGABYTE = 1e6;

t.test('what a start has made is given back, and what has come since as soon as it is worth the time', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM]);
  const bytes = JSON.parse(stdout) as Readonly<Record<string, number>>;
  const taken = (from: string, to: string): number => (bytes[from] ?? Number.NaN) - (bytes[to] ?? Number.NaN);
  t.comment(stdout);
  t.ok(taken('grown', 'trimmed before the first release') < MEGABYTE, 'nobody is idle yet');
  t.ok(taken('grown', 'released') > 6 * MEGABYTE);
  t.ok(taken('grown again', 'trimmed') > 6 * MEGABYTE);
  t.ok(taken('grown a little', 'trimmed for a little') < MEGABYTE / 10, 'which stays');
});
