import { spawnSync } from 'node:child_process';
import t from 'tap';
import { isProcessAlive } from '../../src/adapters/process-alive.ts';

for (const [pid, alive] of [
  [process.pid, true],
  [1, true],
  [0, false],
  [-1, false],
  [-process.pid, false],
  [process.pid + 0.5, false],
  [Number.NaN, false],
  [Number.POSITIVE_INFINITY, false],
  [2 ** 31 - 1, false],
  [2 ** 32 + process.pid, false],
  [2 ** 53, false],
] as const) {
  t.test(
    `a process of the id ${pid === process.pid ? 'of this one' : String(pid)} is ${alive ? '' : 'not '}alive`,
    async (t) => {
      t.equal(isProcessAlive(pid), alive);
    },
  );
}

t.test('a process that has ended is not alive', async (t) => {
  t.equal(isProcessAlive(spawnSync(process.execPath, ['--version']).pid), false);
});
