/** For how long the folders of a store are taken for what they were found to be. */
import { chmodSync, rmSync } from 'node:fs';
import t from 'tap';
import { Bench } from './bench.ts';
import { StoppingFileSystem } from './stopping-file-system.ts';

const HOLDS_MS = 1000;
const HISTORY = { lastIssuedAt: new Date('2030-06-01T00:00:00Z') };

t.test('every operation of one round looks at every folder up to the root', async (t) => {
  const bench = new Bench(t.testdir());
  await bench.store().inspect('client');
  let nowMs = 0;
  const fs = new StoppingFileSystem();
  const looks = (): number => fs.operations.filter((each) => each === `stat ${bench.certDir}`).length;
  const store = bench.store({ fs, judgement: { holdsMs: HOLDS_MS, monotonicMs: () => nowMs } });
  await store.readPending('client');
  const first = looks();
  t.ok(first > 0);
  nowMs = HOLDS_MS - 1;
  await store.readPending('client');
  await store.readPending('serving');
  t.equal(looks(), first);
  nowMs = HOLDS_MS;
  await store.readPending('client');
  t.equal(looks(), 2 * first);
});

t.test('a folder that others can write is refused as soon as the judgement before has run out', async (t) => {
  const bench = new Bench(t.testdir());
  let nowMs = 0;
  const store = bench.store({ judgement: { holdsMs: HOLDS_MS, monotonicMs: () => nowMs } });
  await store.inspect('client');
  chmodSync(bench.certDir, 0o777);
  nowMs = HOLDS_MS;
  const unsafe = { code: 'ERR_STORE_UNSAFE' };
  await t.rejects(store.inspect('client'), unsafe);
  await t.rejects(store.inspect('client'), unsafe, 'and one that was refused is judged each time');
  chmodSync(bench.certDir, 0o755);
  await store.inspect('client');
});

t.test('a folder that went away is made again by the operation after the one that failed for it', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store({ judgement: { holdsMs: HOLDS_MS, monotonicMs: () => 0 } });
  await store.inspect('client');
  rmSync(bench.certDir, { recursive: true });
  await t.rejects(store.writeHistory('client', HISTORY), { code: 'ERR_STORE_IO' });
  await store.writeHistory('client', HISTORY);
  t.strictSame(await store.readHistory('client'), HISTORY);
});
