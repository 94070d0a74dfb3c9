import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CA_RECORD, createClusterCaFiles } from '../../src/adapters/cluster-ca-files.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { CertletError } from '../../src/errors.ts';
import type { CaRecord } from '../../src/kubeconfig/ca-record.ts';
import type { ClusterCaFiles } from '../../src/ports.ts';

const RECORD: CaRecord = {
  kubelet: { run: '1:2', form: 'data', cas: [{ fingerprint: 'aa', subject: 'CN=kubernetes' }] },
  removal: { without: 'bb', servers: { 'https://a:6443': { since: new Date('2030-01-01T00:00:00Z'), count: 3 } } },
  passedBy: 'https://a:6443 cc dddd',
};

function filesIn(
  t: Test,
  confirmLock?: () => Promise<void>,
): { readonly files: ClusterCaFiles; readonly folder: string } {
  const folder = t.testdir({});
  const unit = 'kubelet.service';
  const cgroups = [join(folder, 'cgroup')];
  const stateDir = join(folder, 'state');
  return { folder, files: createClusterCaFiles({ fs: new NodeFileSystem(), stateDir, unit, confirmLock, cgroups }) };
}

t.test('what is noted is read again, and private', async (t) => {
  const { files, folder } = filesIn(t);
  t.strictSame(await files.readRecord(), { kubelet: undefined, removal: undefined });
  await files.writeRecord(RECORD);
  t.strictSame(await files.readRecord(), RECORD);
  t.equal(statSync(join(folder, 'state', CA_RECORD)).mode & 0o777, 0o600);
});

t.test('what says the same is not written again', async (t) => {
  const { files, folder } = filesIn(t);
  await files.writeRecord(RECORD);
  const before = statSync(join(folder, 'state', CA_RECORD)).ino;
  await files.writeRecord(RECORD);
  t.equal(statSync(join(folder, 'state', CA_RECORD)).ino, before);
});

for (const text of [
  '',
  'nonsense',
  '[]',
  'null',
  '{"kubelet":{"form":"x"}}',
  '{"removal":{"without":1}}',
  '{"removal":{"without":"a","servers":[{"server":"a","since":"never","count":1.5}]}}',
]) {
  t.test(`a damaged record counts as none: ${text}`, async (t) => {
    const { files, folder } = filesIn(t);
    mkdirSync(join(folder, 'state'));
    writeFileSync(join(folder, 'state', CA_RECORD), text);
    const { kubelet, removal } = await files.readRecord();
    t.equal(kubelet, undefined);
    t.strictSame(removal?.servers ?? {}, {});
  });
}

t.test('whoever has lost the lock writes nothing', async (t) => {
  const refused = new CertletError('ERR_LOCK_HELD', 'another');
  const { files, folder } = filesIn(t, () => Promise.reject(refused));
  await t.rejects(files.writeRecord(RECORD), refused);
  t.throws(() => readFileSync(join(folder, 'state', CA_RECORD)));
});

t.test('another start of the kubelet is another run; without its control group nobody knows', async (t) => {
  const { files, folder } = filesIn(t);
  t.equal(await files.kubeletRun(), undefined);
  const group = join(folder, 'cgroup', 'system.slice', 'kubelet.service');
  mkdirSync(group, { recursive: true });
  const first = await files.kubeletRun();
  t.type(first, 'string');
  t.equal(await files.kubeletRun(), first);
  // A number that is not free again yet: cgroupfs counts on, a disk gives it to the next folder.
  renameSync(group, join(folder, 'cgroup', 'gone'));
  mkdirSync(group);
  t.not(await files.kubeletRun(), first);
});
