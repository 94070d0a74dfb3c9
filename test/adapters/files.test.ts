import { shellWord } from '../../src/remedy.ts';
import { execFileSync } from 'node:child_process';
import * as real from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { createClusterCaFiles } from '../../src/adapters/cluster-ca-files.ts';
import { errnoOf, fileError } from '../../src/adapters/file-errors.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import {
  ensureFolder,
  madeHere,
  readIfPresent,
  replaceFile,
  replaceLink,
  sweepTemporaries,
} from '../../src/adapters/files.ts';
import { HookRecord } from '../../src/adapters/hooks/hook-record.ts';
import { createServersFile } from '../../src/adapters/store/servers-record.ts';
import { CertletError } from '../../src/errors.ts';
import { Stopped, StoppingFileSystem } from './store/stopping-file-system.ts';

const fs = new NodeFileSystem();

function errno(code: string, extra: object = {}): Error {
  return Object.assign(new Error(`${code}: it went wrong, write`), { code, ...extra });
}

t.test('replaceFile puts the bytes there with the mode asked for, whatever the umask', async (t) => {
  const dir = t.testdir();
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  for (const mode of [0o600, 0o644, 0o640]) {
    const path = join(dir, mode.toString(8));
    await replaceFile(fs, path, 'text', mode);
    t.equal(real.statSync(path).mode & 0o777, mode);
    t.equal(real.readFileSync(path, 'utf8'), 'text');
  }
  t.equal(real.readdirSync(dir).length, 3, 'nothing else is left');
});

t.test('replaceFile is private from the first byte and synced before and after it takes the name', async (t) => {
  const dir = t.testdir();
  const path = join(dir, 'file');
  const modes: number[] = [];
  const recording = new StoppingFileSystem(() => {
    for (const name of real.readdirSync(dir)) modes.push(real.statSync(join(dir, name)).mode & 0o777);
    return undefined;
  });
  await replaceFile(recording, path, Buffer.from('text'), 0o600);
  t.strictSame([...new Set(modes)], [0o600]);
  t.strictSame(
    recording.operations.map((line) => line.split(' ')[0]),
    ['create', 'write', 'fchmod', 'fsync', 'rename', 'syncFolder'],
  );
});

t.test('replaceFile replaces a planted link instead of writing through it', async (t) => {
  const dir = t.testdir({ victim: 'untouched', file: t.fixture('symlink', 'victim') });
  await replaceFile(fs, join(dir, 'file'), 'ours', 0o600);
  t.equal(real.readFileSync(join(dir, 'victim'), 'utf8'), 'untouched');
  t.ok(real.lstatSync(join(dir, 'file')).isFile());
});

for (const operation of ['create', 'write', 'fchmod', 'fsync', 'rename']) {
  t.test(`a failing ${operation} leaves the old file and nothing else`, async (t) => {
    const dir = t.testdir({ file: 'old' });
    const failing = new StoppingFileSystem((line) => (line.startsWith(`${operation} `) ? errno('ENOSPC') : undefined));
    await t.rejects(replaceFile(failing, join(dir, 'file'), 'new', 0o600), { code: 'ERR_STORE_FULL' });
    t.strictSame(real.readdirSync(dir), ['file']);
    t.equal(real.readFileSync(join(dir, 'file'), 'utf8'), 'old');
  });
}

t.test('a folder that cannot be synced after the rename is told by its path', async (t) => {
  const dir = t.testdir();
  const failing = new StoppingFileSystem((line) => (line.startsWith('syncFolder') ? errno('EIO') : undefined));
  await t.rejects(replaceFile(failing, join(dir, 'file'), 'new', 0o600), { code: 'ERR_STORE_IO', message: dir });
});

t.test('replaceLink swaps a link in one rename and cleans up after itself', async (t) => {
  const dir = t.testdir({ one: '1', two: '2' });
  const link = join(dir, 'link');
  await replaceLink(fs, link, 'one');
  await replaceLink(fs, link, 'two');
  t.equal(real.readlinkSync(link), 'two');
  const failing = new StoppingFileSystem((line) => (line.startsWith('rename') ? errno('EROFS') : undefined));
  await t.rejects(replaceLink(failing, link, 'one'), { code: 'ERR_STORE_READ_ONLY' });
  t.equal(real.readlinkSync(link), 'two');
  t.strictSame(real.readdirSync(dir), ['link', 'one', 'two']);
});

t.test('what a kill leaves of a replacement is swept, and only that', async (t) => {
  const dir = t.testdir({ '.other.tmp': '', file: 'old' });
  const killed = new StoppingFileSystem((line) => (line.startsWith('rename') ? new Stopped() : undefined));
  await t.rejects(replaceFile(killed, join(dir, 'file'), 'new', 0o600), Stopped);
  await t.rejects(replaceLink(killed, join(dir, 'link'), 'file'), Stopped);
  t.equal(real.readdirSync(dir).length, 3);
  t.equal((await sweepTemporaries(fs, dir)).length, 1);
  t.strictSame(real.readdirSync(dir), ['.other.tmp', 'file']);
});

/** Sweeps the folder of each rename right before it, as a store does at its first look while a record is being written there. */
class Sweeping extends NodeFileSystem {
  readonly swept: string[] = [];

  override async rename(from: string, to: string): Promise<void> {
    this.swept.push(...(await sweepTemporaries(fs, dirname(from))));
    return super.rename(from, to);
  }
}

for (const { name, write } of [
  {
    name: 'hooks.json',
    write: (disk: NodeFileSystem, folder: string) =>
      new HookRecord(disk, folder).set('client', { pairPath: '/x/1.pem', pending: [] }),
  },
  {
    name: 'servers.json',
    write: (disk: NodeFileSystem, folder: string) => createServersFile(disk, folder).write({ found: [] }),
  },
  {
    name: 'cluster-ca.json',
    write: (disk: NodeFileSystem, folder: string) =>
      createClusterCaFiles({ fs: disk, stateDir: folder, unit: 'kubelet.service' }).writeRecord({}),
  },
  { name: 'link', write: (disk: NodeFileSystem, folder: string) => replaceLink(disk, join(folder, 'link'), 'file') },
]) {
  t.test(`a sweep at a start took ${name} away that was being written`, async (t) => {
    const leftover = `.${name}.0123456789abcdef.certlet-tmp`;
    const dir = t.testdir({ file: '', [leftover]: '' });
    const disk = new Sweeping();
    await write(disk, dir);
    t.strictSame(real.readdirSync(dir), ['file', name].sort());
    t.strictSame(disk.swept, [join(dir, leftover)], 'what an earlier process has left, and nothing else');
  });
}

t.test('ensureFolder makes what is missing, with its mode, and leaves what is there', async (t) => {
  const dir = t.testdir();
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  t.equal(await ensureFolder(fs, join(dir, 'a/b'), 0o700), true);
  t.equal(real.statSync(join(dir, 'a')).mode & 0o777, 0o755);
  t.equal(real.statSync(join(dir, 'a/b')).mode & 0o777, 0o700);
  real.chmodSync(join(dir, 'a'), 0o711);
  t.equal(await ensureFolder(fs, join(dir, 'a'), 0o755), false);
  t.equal(real.statSync(join(dir, 'a')).mode & 0o777, 0o711);
  real.symlinkSync('nowhere', join(dir, 'dangling'));
  t.equal(await ensureFolder(fs, join(dir, 'dangling'), 0o755), false, 'somebody else was first');
  real.writeFileSync(join(dir, 'file'), '');
  await t.rejects(ensureFolder(fs, join(dir, 'file/x'), 0o755), {
    code: 'ERR_STORE_IO',
    message: `${join(dir, 'file')} is no folder`,
    remedy: `mv ${join(dir, 'file')} ${join(dir, 'file')}.old   # moves it away`,
  });
});

t.test('reading tells absence from failure and never blocks or fills memory', async (t) => {
  const dir = t.testdir({ file: 'text', folder: {} });
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  t.equal(await readIfPresent(fs, join(dir, 'file'), 4), 'text');
  t.equal(await readIfPresent(fs, join(dir, 'none'), 4), undefined);
  for (const [name, code] of [
    ['fifo', 'EINVAL'],
    ['folder', 'EINVAL'],
    ['file', 'EFBIG'],
  ] as const)
    await t.rejects(readIfPresent(fs, join(dir, name), 3), {
      code: 'ERR_STORE_IO',
      message: new RegExp(`${name}.*${code}`),
    });
});

t.test('a file without a size, as those of the kernel, filled the memory whatever the limit', async (t) => {
  const path = `/proc/${String(process.pid)}/maps`;
  await t.rejects(readIfPresent(fs, path, 200), { code: 'ERR_STORE_IO', message: /EFBIG/ });
  t.match(await readIfPresent(fs, path, 10_000_000), /^[0-9a-f]+-[0-9a-f]+ .*\n$/s);
});

t.test('the facts of what is on disk', async (t) => {
  const dir = t.testdir({
    file: 'text',
    folder: {},
    link: t.fixture('symlink', 'file'),
    dangling: t.fixture('symlink', 'x'),
  });
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  real.chmodSync(join(dir, 'folder'), 0o1777);
  for (const [name, kind] of Object.entries({
    file: 'file',
    folder: 'folder',
    link: 'link',
    dangling: 'link',
    fifo: 'other',
  }))
    t.equal((await fs.lstat(join(dir, name)))?.kind, kind);
  t.match(await fs.lstat(join(dir, 'file')), { size: 4, uid: process.geteuid!() });
  t.equal((await fs.lstat(join(dir, 'folder')))?.mode, 0o1777);
  t.equal((await fs.stat(join(dir, 'link')))?.kind, 'file');
  t.equal(await fs.stat(join(dir, 'dangling')), undefined);
  t.equal(await fs.lstat(join(dir, 'none')), undefined);
  t.equal(await fs.readlink(join(dir, 'none')), undefined);
  const below = join(dir, 'file', 'below');
  t.strictSame(
    await Promise.all([fs.stat(below), fs.lstat(below), fs.readlink(below)]),
    [undefined, undefined, undefined],
    'below a file there is nothing',
  );
  t.strictSame(await fs.readdir(join(dir, 'none')), []);
  await fs.unlink(join(dir, 'none'));
  await t.rejects(fs.create(join(dir, 'dangling'), 0o600), { code: 'EEXIST' });
  await t.rejects(fs.readdir(join(dir, 'file')), { code: 'ENOTDIR' });
  await t.rejects(fs.syncFolder(join(dir, 'file')), { code: 'ENOTDIR' });
});

for (const row of [
  { errno: 'ENOSPC', code: 'ERR_STORE_FULL', remedy: 'df -h /d/e' },
  { errno: 'EDQUOT', code: 'ERR_STORE_FULL', remedy: 'quota' },
  {
    errno: 'EROFS',
    code: 'ERR_STORE_READ_ONLY',
    remedy: 'certlet allow /d/e && systemctl daemon-reload && systemctl restart certlet',
  },
  { errno: 'EACCES', code: 'ERR_STORE_IO', remedy: 'namei -l /d/e/f' },
  { errno: 'EPERM', code: 'ERR_STORE_IO', remedy: 'lsattr -d /d/e/f' },
  { errno: 'EIO', code: 'ERR_STORE_IO', remedy: 'dmesg' },
  { errno: 'EMFILE', code: 'ERR_STORE_IO', remedy: 'LimitNOFILE' },
  { errno: 'ENOENT', code: 'ERR_STORE_IO', remedy: 'ls -ld /d/e/f' },
]) {
  t.test(`${row.errno} becomes ${row.code} that names path, operation, reason and what to do`, async (t) => {
    const error = fileError(errno(row.errno, { path: '/d/e/f', syscall: 'open' }), '/other') as CertletError;
    t.equal(error.code, row.code);
    t.equal(error.message, `open /d/e/f: it went wrong (${row.errno})`);
    t.ok(error.remedy?.includes(row.remedy), `remedy: ${String(error.remedy)}`);
    t.equal(errnoOf(error), row.errno);
  });
}

t.test('a system error without a path is told with the path that the caller knows; other errors pass', async (t) => {
  t.match(fileError(errno('EIO'), '/d/f'), { message: 'file operation /d/f: it went wrong (EIO)' });
  const own = new CertletError('ERR_LOCK_HELD', 'x');
  t.equal(fileError(own, '/'), own);
  const defect = new TypeError('x');
  t.equal(fileError(defect, '/'), defect);
  t.equal(errnoOf('text'), undefined);
  t.match(fileError(Object.assign(new Error('odd'), { code: 'EIO' }), '/d'), {
    message: 'file operation /d: odd (EIO)',
  });
});

t.test('paths in remedies are one word of a shell', async (t) => {
  for (const text of ['/plain', "/it's here", '/a b;c', '$(x)'])
    t.equal(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' }), text);
});

t.test('a folder is not made through a link of another user', async (t) => {
  const dir = t.testdir({ elsewhere: {} });
  real.symlinkSync('elsewhere', join(dir, 'link'));
  /** A disk on which a link belongs to that user. */
  class OwnedLinks extends NodeFileSystem {
    readonly #uid: number;
    constructor(uid: number) {
      super();
      this.#uid = uid;
    }
    override async lstat(path: string): ReturnType<NodeFileSystem['lstat']> {
      const facts = await super.lstat(path);
      return facts?.kind === 'link' ? { ...facts, uid: this.#uid } : facts;
    }
  }
  const path = join(dir, 'link/a/b');
  await t.rejects(ensureFolder(new OwnedLinks(4711), path, 0o700), {
    code: 'ERR_STORE_UNSAFE',
    message: `${path} is not safe: ${join(dir, 'link')} is a link of user 4711`,
    remedy: `rm ${join(dir, 'link')}`,
  });
  t.strictSame(real.readdirSync(join(dir, 'elsewhere')), []);
  for (const [name, uid] of [
    ['of root', 0],
    ['of our own', process.geteuid?.() ?? 0],
  ] as const)
    t.equal(await ensureFolder(new OwnedLinks(uid), join(path, name), 0o700), true, name);
});

t.test('a folder that somebody made in the place of one of ours counted as ours, and was never synced', async (t) => {
  const path = join(t.testdir({ before: {} }), 'pki');
  t.equal(await madeHere(fs, path), false, 'nothing is there');
  await ensureFolder(fs, path, 0o700);
  t.equal(await madeHere(fs, path), true);
  real.writeFileSync(join(path, 'file'), '');
  t.equal(await madeHere(fs, path), true, 'used since');
  const { ino, birthtimeMs } = real.statSync(path);
  real.rmSync(path, { recursive: true });
  t.equal(await madeHere(fs, path), false, 'gone');
  // The inode is given again at once, and the clock of the file system has ticks.
  const isSame = (one: real.Stats): boolean => one.ino === ino && one.birthtimeMs === birthtimeMs;
  for (real.mkdirSync(path); isSame(real.statSync(path)); real.mkdirSync(path)) real.rmdirSync(path);
  t.equal(await madeHere(fs, path), false, 'made by another');
  t.equal(await ensureFolder(fs, path, 0o700), false);
  t.equal(await madeHere(fs, path), false, 'which one that finds it does not change');
});
