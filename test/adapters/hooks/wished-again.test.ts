/** A wait for a restart whose wish was followed by another one. */
import { join } from 'node:path';
import t from 'tap';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { type HeldRestart, HookRecord, RESTART_HOOK } from '../../../src/adapters/hooks/hook-record.ts';

const purpose = 'cluster CA';
const held: HeldRestart = {
  pairPath: 'old',
  since: new Date('2030-01-01T00:00:00Z'),
  at: new Date('2030-01-05T03:00:00Z'),
  by: 'window',
  inUse: { notBefore: new Date('2029-01-01'), notAfter: new Date('2040-01-01'), selfSigned: false },
  run: 'run 1',
  window: 'window',
};
const owed = (pairPath: string): { readonly pairPath: string; readonly pending: readonly string[] } => ({
  pairPath,
  pending: [RESTART_HOOK],
});

async function waiting(folder: string): Promise<HookRecord> {
  const record = new HookRecord(new NodeFileSystem(), join(folder, 'state'));
  await record.set(purpose, owed('old'));
  await record.hold({ purpose, pairPath: 'old' }, held);
  return record;
}

t.test(
  'CAs that came, went and came again: the restart in between had been for others, and was taken for theirs',
  async (t) => {
    const record = await waiting(t.testdir({}));
    await record.want(purpose, owed('new'));
    await record.want(purpose, owed('old'));
    const known = record.held(purpose);
    t.not(known?.pairPath, 'old', 'the moment of the first wish is nobody’s');
    t.equal(known?.run, 'run 1', 'and what that run of the kubelet uses stays known');
    t.strictSame(known?.inUse, held.inUse);
  },
);

t.test('a restart that is owed and wanted once more goes on waiting, also for the next process', async (t) => {
  const folder = t.testdir({});
  const record = await waiting(folder);
  await record.want(purpose, owed('old'));
  t.equal(record.held(purpose)?.pairPath, 'old');
  const next = new HookRecord(new NodeFileSystem(), join(folder, 'state'));
  await next.load();
  t.equal(next.held(purpose)?.pairPath, 'old');
});
