/** A kubeconfig, a plain file or a status file that is a mount point of its own (`-v /host/kubelet.conf:/etc/kubernetes/kubelet.conf`). */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { mountPointsOf } from '../../src/adapters/file-system.ts';
import { createKubeconfigFiles } from '../../src/adapters/kubeconfig-files.ts';
import { placeFile } from '../../src/adapters/mounted-file.ts';
import { PublishedFile } from '../../src/adapters/status-file.ts';
import { encodeNodeKubeconfig } from '../../src/kubeconfig/client-config.ts';
import { Secret } from '../../src/secret.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { MountedFileSystem } from '../fixtures/mounted-file-system.ts';

const isRoot = process.geteuid?.() === 0;
const CLUSTER = { server: 'https://api.test:6443', insecureSkipTlsVerify: false } as const;
const WITH_PASSWORD = { ...CLUSTER, proxyUrl: new Secret('http://user:secret@proxy.test:3128') };
const WHOLE = encodeNodeKubeconfig(CLUSTER, '/pki/current.pem').reveal();
const WARNING = 'The kubeconfig is a mount point of its own: written in place, which is not atomic';

function nodeFiles(t: Test, mode: number) {
  const folder = t.testdir({ 'kubelet.conf': 'x'.repeat(5000), state: {} });
  const path = join(folder, 'kubelet.conf');
  chmodSync(path, mode);
  const recordPath = join(folder, 'state/kubeconfig-write.json');
  const warnings: string[] = [];
  const files = createKubeconfigFiles({
    fs: new MountedFileSystem([path]),
    bootstrapPath: undefined,
    nodePath: path,
    uid: process.geteuid?.() ?? 0,
    searchPath: '',
    recordPath,
    onWarning: (event) => warnings.push(event),
  });
  return { files, path, recordPath, warnings };
}

t.test('a bind-mounted kubeconfig is never written: EBUSY for ever', async (t) => {
  const { files, path, recordPath, warnings } = nodeFiles(t, 0o600);
  const { ino } = statSync(path);
  t.equal(await files.writeNode(CLUSTER, '/pki/current.pem'), true);
  t.equal(readFileSync(path, 'utf8'), WHOLE, 'nothing of the longer text before it');
  t.equal(statSync(path).ino, ino, 'the same file');
  t.equal(existsSync(recordPath), false);
  t.equal(await files.writeNode(CLUSTER, '/pki/current.pem'), false);
  t.equal(await files.writeNode({ ...CLUSTER, server: 'https://other.test' }, '/pki/current.pem'), true);
  t.strictSame(warnings, [WARNING], 'said once that it is not atomic');
  t.equal(await files.finishWrite(), false);
});

t.test('without a password in it others may read it, as with client-go', async (t) => {
  const { files, path } = nodeFiles(t, 0o644);
  t.equal(await files.writeNode(CLUSTER, '/pki/current.pem'), true);
  t.equal(statSync(path).mode & 0o777, 0o644);
});

for (const row of [
  {
    name: 'others can read it, and a password is to go into it',
    mode: 0o644,
    cluster: WITH_PASSWORD,
    reason: /others can read it/,
  },
  {
    name: 'its group can read it, and a password is to go into it',
    mode: 0o640,
    cluster: WITH_PASSWORD,
    reason: /others can read it/,
  },
  { name: 'others can write it', mode: 0o666, cluster: CLUSTER, reason: /others can write it/ },
  { name: 'its group can write it', mode: 0o660, cluster: CLUSTER, reason: /others can write it/ },
  { name: 'it belongs to another user', mode: 0o600, cluster: CLUSTER, owner: 65_534, reason: /belongs to user 65534/ },
]) {
  const skip = row.owner !== undefined && !isRoot && 'only root can give files away';
  t.test(`a mounted file gets no byte where ${row.name}`, { skip }, async (t) => {
    const { files, path, recordPath, warnings } = nodeFiles(t, row.mode);
    if (row.owner !== undefined) chownSync(path, row.owner, row.owner);
    const before = readFileSync(path, 'utf8');
    await t.rejects(files.writeNode(row.cluster, '/pki/current.pem'), {
      code: 'ERR_STORE_UNSAFE',
      message: row.reason,
      remedy: /chmod 600 .*mount its folder in its place/,
    });
    t.equal(readFileSync(path, 'utf8'), before);
    t.equal(existsSync(recordPath), false);
    t.strictSame(warnings, []);
  });
}

const PLACING = { mode: 0o600, secret: true, beforeInPlace: () => undefined } as const;

t.test('only where mountinfo names the file itself', async (t) => {
  const folder = t.testdir({ file: 'old', target: 'old', real: { file: 'old' } });
  chmodSync(join(folder, 'file'), 0o600);
  const busy = new MountedFileSystem([join(folder, 'file')], []);
  await t.rejects(placeFile(busy, join(folder, 'file'), 'new', PLACING), {
    code: 'ERR_STORE_IO',
    message: /EBUSY/,
    remedy: /mount its folder in its place/i,
  });
  t.equal(readFileSync(join(folder, 'file'), 'utf8'), 'old');
  symlinkSync('target', join(folder, 'link'));
  const mounted = new MountedFileSystem([join(folder, 'link')]);
  await t.rejects(placeFile(mounted, join(folder, 'link'), 'new', PLACING), { code: 'ERR_STORE_IO', message: /ELOOP/ });
  t.equal(readFileSync(join(folder, 'target'), 'utf8'), 'old', 'no link is followed');
  symlinkSync('real', join(folder, 'way'));
  chmodSync(join(folder, 'real/file'), 0o600);
  const behind = new MountedFileSystem([join(folder, 'way/file')], [join(folder, 'real/file')]);
  await placeFile(behind, join(folder, 'way/file'), 'new', PLACING);
  t.equal(readFileSync(join(folder, 'real/file'), 'utf8'), 'new', 'the way to its folder may go through a link');
});

t.test('a status or metrics file, too, and told once', async (t) => {
  const path = join(t.testdir({ 'metrics.prom': 'old' }), 'metrics.prom');
  let told = 0;
  const file = new PublishedFile({
    fs: new MountedFileSystem([path]),
    clock: new FakeClock(),
    path,
    spacingMs: 0,
    onError: (error) => t.fail(error.message),
    onInPlace: () => (told += 1),
  });
  for (const text of ['one', 'two']) {
    file.publish({ mark: text, text: () => text });
    while (readFileSync(path, 'utf8') !== text) await new Promise(setImmediate);
  }
  await file.close();
  t.equal(told, 1);
});

const source = (path: string): string => JSON.stringify(pathToFileURL(join(import.meta.dirname, '../..', path)).href);
/** Writes a kubeconfig and is killed at an operation of the mounted file. */
const KILLED = `
const { MountedFileSystem } = await import(${source('test/fixtures/mounted-file-system.ts')});
const { createKubeconfigFiles } = await import(${source('src/adapters/kubeconfig-files.ts')});
const [path, recordPath, at] = process.argv.slice(1);
class Killing extends MountedFileSystem {
  async openExisting(path) {
    const file = await super.openExisting(path);
    return { ...file, [at]: () => process.kill(process.pid, 'SIGKILL') };
  }
}
const fs = new Killing([path]);
const files = createKubeconfigFiles({ fs, bootstrapPath: undefined, nodePath: path, uid: process.geteuid(), searchPath: '', recordPath });
await files.writeNode({ server: 'https://api.test:6443', insecureSkipTlsVerify: false }, '/pki/current.pem');
`;

for (const at of ['truncate', 'sync']) {
  t.test(`kill -9 at the ${at} of a write in place: whole again at the next start`, async (t) => {
    const { files, path, recordPath } = nodeFiles(t, 0o600);
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', KILLED, path, recordPath, at];
    const { signal, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    t.equal(signal, 'SIGKILL', stderr);
    t.equal(statSync(recordPath).mode & 0o777, 0o600, 'what was to be written is noted');
    const torn = at === 'truncate';
    t.equal(readFileSync(path, 'utf8') !== WHOLE, torn);
    t.equal(await files.finishWrite(), torn);
    t.equal(readFileSync(path, 'utf8'), WHOLE);
    t.equal(existsSync(recordPath), false);
    t.equal(await files.writeNode(CLUSTER, '/pki/current.pem'), false, 'it is the very text');
  });
}

t.test(
  'a kubeconfig that somebody wrote after a crash was overwritten by what certlet had begun to write',
  async (t) => {
    for (const [name, now, finished] of [
      ["an administrator's", 'apiVersion: v1\nkind: Config\n# of somebody else\n', false],
      ['the one before, put back', 'x'.repeat(5000), false],
      ['half of it', WHOLE.slice(0, 50) + 'x'.repeat(4950), true],
      ['its second half first', 'x'.repeat(50) + WHOLE.slice(50), true],
      ['parts that the disk never got', `\0\0${WHOLE.slice(2)}`, true],
      ['nothing', '', true],
    ] as const) {
      const { path, files, recordPath } = nodeFiles(t, 0o600);
      const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', KILLED];
      spawnSync(process.execPath, [...args, path, recordPath, 'truncate']);
      t.equal(existsSync(recordPath), true, name);
      writeFileSync(path, now);
      t.equal(await files.finishWrite(), finished, name);
      t.equal(readFileSync(path, 'utf8'), finished ? WHOLE : now, name);
      t.equal(existsSync(recordPath), false, name);
    }
  },
);

t.test('a record that is none, or of another path, is nothing to write from', async (t) => {
  for (const text of ['', '[]', '{"path":1}', '{"path":"/elsewhere","text":"x","before":"","secret":false}']) {
    const { files, path, recordPath } = nodeFiles(t, 0o600);
    const before = readFileSync(path, 'utf8');
    writeFileSync(recordPath, text);
    t.equal(await files.finishWrite(), false);
    t.equal(readFileSync(path, 'utf8'), before);
    t.equal(existsSync(recordPath), false);
  }
});

t.test('mount points as the kernel writes them', async (t) => {
  const lines = [
    '22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
    '36 22 0:32 / /mnt/a\\040blank rw - tmpfs tmpfs rw',
    '37 22 8:1 /k /etc/kubernetes/kubelet.conf rw - ext4 /dev/sda1 rw',
    '38 22 8:1 /k /back\\134slash\\012line rw - ext4 /dev/sda1 rw',
    '',
  ];
  const found = [...mountPointsOf(lines.join('\n'))];
  t.strictSame(found, ['/', '/mnt/a blank', '/etc/kubernetes/kubelet.conf', '/back\\slash\nline']);
});

const unshare = ['unshare', '-m', '--propagation', 'private'];
const mayMount = isRoot && spawnSync(unshare[0] ?? '', [...unshare.slice(1), 'true']).status === 0;

t.test('a real bind mount', { skip: !mayMount && 'needs root and unshare(1)' }, async (t) => {
  const folder = t.testdir({ 'a blank': {}, state: {} });
  const [real, path] = [join(folder, 'k'), join(folder, 'a blank/kubelet.conf')];
  for (const file of [real, path]) writeFileSync(file, '', { mode: 0o600 });
  mkdirSync(join(folder, 'state2'));
  const script = `
const { NodeFileSystem } = await import(${source('src/adapters/file-system.ts')});
const { createKubeconfigFiles } = await import(${source('src/adapters/kubeconfig-files.ts')});
const [path, recordPath] = process.argv.slice(1);
const fs = new NodeFileSystem();
const files = createKubeconfigFiles({ fs, bootstrapPath: undefined, nodePath: path, uid: 0, searchPath: '', recordPath, onWarning: (event) => console.log(event) });
await files.writeNode({ server: 'https://api.test:6443', insecureSkipTlsVerify: false }, '/pki/current.pem');
`;
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const mounted = [
    'sh',
    '-ec',
    'mount --bind "$0" "$1"; shift; exec "$@"',
    real,
    path,
    ...node,
    path,
    join(folder, 'state/r.json'),
  ];
  const { status, stdout, stderr } = spawnSync(unshare[0] ?? '', [...unshare.slice(1), ...mounted], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
  t.equal(stdout, `${WARNING}\n`);
  t.match(readFileSync(real, 'utf8'), 'https://api.test:6443');
  t.equal(readFileSync(path, 'utf8'), '', 'nothing was put beside the mount');
});
