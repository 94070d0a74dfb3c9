/** In a process of its own: the garbage of others is none of this test's. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const PROGRAM = join(import.meta.dirname, '../fixtures/idle-memory.ts');

t.test('what has grown by some megabytes is given back again, and less is not worth its time', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--disable-warning=ExperimentalWarning', PROGRAM]);
  const { garbageFreed, ...seen } = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
  t.strictSame(seen, { unreleased: false, released: false, grown: true, again: false });
  t.ok(Number(garbageFreed) > 6e6, `${String(garbageFreed)} bytes`);
});
