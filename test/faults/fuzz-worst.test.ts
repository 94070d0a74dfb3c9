/** Inputs made to hurt, in processes with the heap limit of the shipped program: each is read or refused, in bounded time. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { NODE_FLAGS } from '../../config/tooling/bundle.ts';
import { bareEnvironment } from '../fixtures/environment.ts';
import { material } from './fixtures/fuzz-material.ts';
import { worstRows } from './fixtures/fuzz-worst-rows.ts';

const PROGRAM = fileURLToPath(new URL('fixtures/fuzz-worst-program.ts', import.meta.url));
/** Processor time of one row. */
const CPU_LIMIT_MS = 5_000;
const rows = worstRows(await material());
const kinds = [...new Set(rows.map((row) => row.target))];

interface Line {
  readonly name: string;
  readonly ms?: number;
  readonly told?: string;
}

for (const kind of kinds) {
  t.test(`as large, deep or crooked as it gets: ${kind}`, async (t) => {
    const { stdout, stderr, status, signal } = spawnSync(process.execPath, [...NODE_FLAGS, PROGRAM, kind], {
      encoding: 'utf8',
      timeout: 240_000,
      env: bareEnvironment(),
    });
    const lines = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
    const end = `status ${String(status)}, signal ${String(signal)}, ${stderr.slice(0, 400)}`;
    for (const { name } of rows.filter((row) => row.target === kind)) {
      const line = lines.find((entry) => entry.name === name && entry.ms !== undefined);
      if (line?.ms === undefined) t.fail(`${name}: not survived (${end})`);
      else t.equal(line.told ?? (line.ms > CPU_LIMIT_MS ? `took ${String(line.ms)} ms` : undefined), undefined, name);
    }
    t.equal(status, 0);
  });
}

t.teardown(() => console.log(`# figure worst inputs survived in 48 MB of heap: ${String(rows.length)}`));
