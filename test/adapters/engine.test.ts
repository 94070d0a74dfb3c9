/** In a process of its own: its flags are for all of a process. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const PROGRAM = join(import.meta.dirname, '../fixtures/busy.ts');

/** Whether V8 optimizes a function that is called millions of times. */
async function optimizes(...args: readonly string[]): Promise<boolean> {
  const flags = ['--disable-warning=ExperimentalWarning', '--trace-opt'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, PROGRAM, ...args], { maxBuffer: 2 ** 26 });
  return /completed (optimizing|compiling) .*JSFunction add /.test(stdout);
}

t.test('stopOptimizing: a function that is busy for long stays as it was compiled first', async (t) => {
  t.equal(await optimizes(), true, 'as V8 does by itself');
  t.equal(await optimizes('stop'), false);
});
