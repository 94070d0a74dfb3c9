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

for (const between of [[], ['new']])
  t.test(
    `CAs wanted again${between.length > 0 ? ' after others' : ''}: a restart since was taken for theirs`,
    async (t) => {
      const record = await waiting(t.testdir({}));
      for (const id of [...between, 'old']) await record.want(purpose, owed(id));
      const { run, ...known } = record.held(purpose) ?? {};
      t.equal(run, undefined, 'another run of the kubelet ends no wait');
      t.strictSame({ ...known, run: held.run }, held, 'the moment that was told stays, and what the kubelet used');
    },
  );

t.test('a restart that is owed goes on waiting in the next process, for the run that was noted', async (t) => {
  const folder = t.testdir({});
  await waiting(folder);
  const next = new HookRecord(new NodeFileSystem(), join(folder, 'state'));
  await next.load();
  t.strictSame(next.held(purpose), held);
});

t.test('what is known of the kubeconfig went when something was noted for another pair', async (t) => {
  for (const note of [
    (record: HookRecord) => record.hold({ purpose, pairPath: 'new' }, { ...held, pairPath: 'new' }),
    (record: HookRecord) => record.noteAsked({ purpose, pairPath: 'new' }),
    (record: HookRecord) => record.add(purpose, 'new', 'reload x'),
  ]) {
    const record = new HookRecord(new NodeFileSystem(), join(t.testdir({}), 'state'));
    await record.set(purpose, { ...owed('old'), kubeconfig: 'known', replaced: held.inUse });
    await note(record);
    t.has(record.get(purpose), { pairPath: 'new', kubeconfig: 'known' });
    t.equal(record.get(purpose)?.replaced, undefined, 'and what the pair before had replaced is not kept for this one');
  }
});
