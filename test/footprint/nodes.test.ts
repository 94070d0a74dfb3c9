/** What an approver keeps of a large cluster's Nodes. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';

const LIMIT_BYTES = 20 * 1024 * 1024;

t.test('of 5,000 Nodes no more is kept than names and addresses', async (t) => {
  const node = join(import.meta.dirname, '../../node_modules/.bin/node');
  const flags = ['--expose-gc', '--disable-warning=ExperimentalWarning'];
  const { stdout, stderr } = spawnSync(node, [...flags, join(import.meta.dirname, 'nodes-heap.ts')], {
    encoding: 'utf8',
  });
  t.equal(stderr, '');
  const told = JSON.parse(stdout) as { readonly nodes: number; readonly bytes: number; readonly canCollect: boolean };
  t.match(told, { nodes: 5_000, canCollect: true });
  t.comment(`figure ${(told.bytes / 1024 / 1024).toFixed(1)} MiB of heap for 5,000 Nodes`);
  t.ok(told.bytes < LIMIT_BYTES, `${String(told.bytes)} bytes`);
});
