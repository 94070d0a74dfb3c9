import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { FileSystem } from '../../src/adapters/file-system.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { createKubeconfigFiles, readKubeconfig } from '../../src/adapters/kubeconfig-files.ts';
import type { KubeconfigFilesOptions } from '../../src/adapters/kubeconfig-files.ts';
import { CertletError } from '../../src/errors.ts';
import { encodeNodeKubeconfig } from '../../src/kubeconfig/client-config.ts';
import type { ClusterAccess } from '../../src/kubeconfig/client-config.ts';
import type { KubeconfigFiles, KubeconfigReading } from '../../src/ports.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

const authority = createAuthority({ name: 'kubernetes' });
const pair = authority.issue({ commonName: 'system:node:n1' });
const cluster: ClusterAccess = { server: 'https://api:6443', caPem: authority.pem, insecureSkipTlsVerify: false };
const uid = process.getuid?.() ?? 0;

const kubeconfig = (user: object): string =>
  JSON.stringify({
    clusters: [{ name: 'c', cluster: { server: 'https://api:6443' } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
const EXEC = { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', interactiveMode: 'Never' } };
const TOKEN = { token: 'abcdef.0123456789abcdef' };

/** A folder of its own, with the modes of an ordinary host. */
async function folderOf(t: Test, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = t.testdir({});
  await chmod(folder, 0o755);
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 });
  return folder;
}

function filesIn(folder: string, more: Partial<KubeconfigFilesOptions> = {}): KubeconfigFiles {
  return createKubeconfigFiles({
    fs: new NodeFileSystem(),
    uid,
    searchPath: folder,
    bootstrapPath: join(folder, 'bootstrap.conf'),
    nodePath: join(folder, 'kubelet.conf'),
    ...more,
  });
}

function configOf(reading: KubeconfigReading) {
  if (reading.kind === 'usable') return reading.config;
  throw reading.kind === 'unusable' ? reading.error : new Error('absent');
}

function errorOf(reading: KubeconfigReading): CertletError {
  if (reading.kind === 'unusable' && reading.error instanceof CertletError) return reading.error;
  throw new Error(`expected an unusable file, got ${reading.kind}`);
}

t.test('files that are not there are absent, and so is a bootstrap kubeconfig that is not configured', async (t) => {
  const files = filesIn(await folderOf(t));
  t.match(await files.readBootstrap(), { kind: 'absent', path: /bootstrap\.conf$/ });
  t.match(await files.readNode(), { kind: 'absent' });
  const folder = await folderOf(t);
  await symlink('../run/opened.conf', join(folder, 'bootstrap.conf'));
  const linksTo = join(folder, '../run/opened.conf');
  t.match(await filesIn(folder).readBootstrap(), { kind: 'absent', linksTo }, 'what was sealed and not opened');
  const without = filesIn(await folderOf(t), { bootstrapPath: undefined });
  t.match(await without.readBootstrap(), { kind: 'absent' });
  await without.removeBootstrap();
});

t.test('a bootstrap kubeconfig is read with the files that it names', async (t) => {
  const folder = await folderOf(t, { 'bootstrap.conf': kubeconfig({ tokenFile: 'token' }), token: 'secret' });
  t.match(configOf(await filesIn(folder).readBootstrap()), {
    source: join(folder, 'bootstrap.conf'),
    credential: { kind: 'tokenFile', path: join(folder, 'token') },
    files: [join(folder, 'token')],
    warnings: [],
  });
});

t.test('what cannot be read or understood is unusable, with the reason', async (t) => {
  const folder = await folderOf(t, { 'bootstrap.conf': 'a: [', 'kubelet.conf': kubeconfig({ tokenFile: 'gone' }) });
  t.match(errorOf(await filesIn(folder).readBootstrap()), {
    code: 'ERR_KUBECONFIG_INVALID',
    message: /bootstrap\.conf:1:/,
  });
  t.match(errorOf(await filesIn(folder).readNode()), { code: 'ERR_CREDENTIAL_INVALID', message: /ENOENT/ });
  await mkdir(join(folder, 'folder'));
  const reading = await readKubeconfig(join(folder, 'folder'), { fs: new NodeFileSystem(), uid, searchPath: '' });
  t.match(errorOf(reading), { code: 'ERR_KUBECONFIG_INVALID', message: /cannot be read \(EINVAL/, remedy: /namei -l/ });
});

t.test('a kubeconfig that the sandbox hides: namei -l of a path that is healthy outside of it', async (t) => {
  const refused = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
  const fs: FileSystem = Object.assign(new NodeFileSystem(), {
    lstat: () => Promise.resolve(undefined),
    stat: () => Promise.resolve(undefined),
    realpath: (path: string) => Promise.resolve(path),
    read: () => Promise.reject(refused),
  });
  for (const [path, remedy] of [
    ['/root/boot.conf', /^mv .* {3}# the service sees nothing below /],
    ['/etc/kubernetes/pki/boot.conf', /^install .*kubernetes-pki\.conf && systemctl daemon-reload/],
  ] as const) {
    const reading = await readKubeconfig(path, { fs, uid, searchPath: '' });
    t.match(errorOf(reading), { code: 'ERR_KUBECONFIG_INVALID', remedy });
  }
});

for (const name of ['token', 'tokenFile'] as const) {
  t.test(`a ${name} that every user can read is told`, async (t) => {
    const user = name === 'token' ? TOKEN : { tokenFile: 'token' };
    const folder = await folderOf(t, { 'bootstrap.conf': kubeconfig(user), token: 'x' });
    const lax = join(folder, name === 'token' ? 'bootstrap.conf' : 'token');
    t.same(configOf(await filesIn(folder).readBootstrap()).warnings, []);
    await chmod(lax, 0o644);
    const told = `${lax} holds a token and every user can read it (mode 644)`;
    t.match(configOf(await filesIn(folder).readBootstrap()), {
      warnings: [told],
      modeWarning: told,
      modeRemedy: `chmod 600 ${lax}`,
    });
  });
}

t.test('a kubeconfig that others can write', async (t) => {
  const make = async (t: Test): Promise<string> => {
    const folder = await folderOf(t, {
      'bootstrap.conf': kubeconfig(TOKEN).replace(
        '"cluster":{"server"',
        '"cluster":{"certificate-authority":"ca.crt","server"',
      ),
      'ca.crt': authority.pem,
    });
    t.match(await filesIn(folder).readBootstrap(), { kind: 'usable' });
    return folder;
  };
  for (const row of [
    { name: 'user nobody sends the node to another server', path: 'bootstrap.conf', mode: 0o666 },
    { name: 'its group sends the node to another server', path: 'bootstrap.conf', mode: 0o660 },
    { name: 'user nobody puts a CA in', path: 'ca.crt', mode: 0o646 },
    { name: 'user nobody puts another file in its place', path: '.', mode: 0o777 },
  ]) {
    t.test(`${row.name}: refused`, async (t) => {
      const folder = await make(t);
      const path = join(folder, row.path);
      await chmod(path, row.mode);
      t.match(errorOf(await filesIn(folder).readBootstrap()), {
        code: 'ERR_KUBECONFIG_UNSAFE',
        message: `${path} can be written by others (mode ${row.mode.toString(8)}), so others could make this node trust another server`,
        remedy: `chown root ${path} && chmod go-w ${path}`,
      });
    });
  }
  t.test('our own is put back to 0600', async (t) => {
    const folder = await folderOf(t);
    const [nodePath, link] = [join(folder, 'kubelet.conf'), join(folder, 'current.pem')];
    await writeFile(link, pair.chainPem + pair.keyPem);
    const files = filesIn(folder);
    await files.writeNode(cluster, link);
    await chmod(nodePath, 0o666);
    t.match(errorOf(await files.readNode()), { code: 'ERR_KUBECONFIG_UNSAFE' });
    t.equal(await files.writeNode(cluster, link), true);
    t.equal((await stat(nodePath)).mode & 0o777, 0o600);
    t.match(await files.readNode(), { kind: 'usable' });
    t.equal(await files.writeNode(cluster, link), false);
  });
});

t.test('a kubeconfig with an exec plugin', async (t) => {
  const make = async (t: Test): Promise<string> => {
    const folder = await folderOf(t, { 'bootstrap.conf': kubeconfig(EXEC), plugin: '#!/bin/sh\n' });
    await chmod(join(folder, 'plugin'), 0o755);
    return folder;
  };
  t.test('that only we can write is used', async (t) => {
    const folder = await make(t);
    t.match(configOf(await filesIn(folder).readBootstrap()), {
      credential: { kind: 'exec' },
      files: [join(folder, 'plugin')],
    });
  });
  for (const row of [
    { name: 'that its group can write', path: 'bootstrap.conf', mode: 0o620 },
    { name: 'that others can write', path: 'bootstrap.conf', mode: 0o602 },
    { name: 'whose plugin others can write', path: 'plugin', mode: 0o757 },
    { name: 'in a folder that others can write', path: '.', mode: 0o777 },
  ]) {
    t.test(`${row.name} is refused`, async (t) => {
      const folder = await make(t);
      const path = join(folder, row.path);
      await chmod(path, row.mode);
      t.match(errorOf(await filesIn(folder).readBootstrap()), {
        code: 'ERR_KUBECONFIG_UNSAFE',
        message: new RegExp(`can be written by others \\(mode ${row.mode.toString(8)}\\)`),
        remedy: `chown root ${path} && chmod go-w ${path}`,
      });
    });
  }
  t.test('in a sticky folder is used: only the owner can replace a file there', async (t) => {
    const folder = await make(t);
    await chmod(folder, 0o1777);
    t.match(await filesIn(folder).readBootstrap(), { kind: 'usable' });
  });
  t.test('of another user is refused', async (t) => {
    const folder = await make(t);
    const real = new NodeFileSystem();
    const fs: FileSystem = Object.assign(Object.create(real) as FileSystem, {
      stat: async (path: string) => {
        const facts = await real.stat(path);
        return facts === undefined || !path.endsWith('bootstrap.conf') ? facts : { ...facts, uid: uid + 4242 };
      },
    });
    t.match(errorOf(await filesIn(folder, { fs }).readBootstrap()), {
      code: 'ERR_KUBECONFIG_UNSAFE',
      message: new RegExp(`belongs to user ${String(uid + 4242)}`),
    });
  });
  t.test('behind a link in a folder that others can write is refused', async (t) => {
    const folder = await make(t);
    const open = join(folder, 'open');
    await mkdir(open);
    await chmod(open, 0o777);
    await symlink(join(folder, 'bootstrap.conf'), join(open, 'bootstrap.conf'));
    t.match(errorOf(await filesIn(folder, { bootstrapPath: join(open, 'bootstrap.conf') }).readBootstrap()), {
      code: 'ERR_KUBECONFIG_UNSAFE',
    });
  });
  t.test('found over PATH is checked where it is', async (t) => {
    const folder = await make(t);
    await writeFile(join(folder, 'bootstrap.conf'), kubeconfig({ exec: { ...EXEC.exec, command: 'plugin' } }));
    await chmod(join(folder, 'plugin'), 0o757);
    const searchPath = `relative:/nowhere:${folder}`;
    t.match(errorOf(await filesIn(folder, { searchPath }).readBootstrap()), {
      code: 'ERR_KUBECONFIG_UNSAFE',
      message: /plugin/,
    });
    await chmod(join(folder, 'plugin'), 0o755);
    t.match(
      configOf(await filesIn(folder, { searchPath }).readBootstrap()),
      { credential: { plugin: { command: join(folder, 'plugin') } }, files: [join(folder, 'plugin')] },
      'and the path that was judged is the one that runs',
    );
    await chmod(join(folder, 'plugin'), 0o644);
    t.match(
      configOf(await filesIn(folder, { searchPath }).readBootstrap()),
      { credential: { plugin: { command: 'plugin' } } },
      'what nobody may run is passed by',
    );
    t.match(
      await filesIn(folder, { searchPath: '/nowhere' }).readBootstrap(),
      { kind: 'usable' },
      'one that is not there cannot be run either',
    );
  });
});

/** The real disk, where some paths belong to another user. */
function othersOwn(owned: (path: string) => boolean): FileSystem {
  const real = new NodeFileSystem();
  const told = async (facts: ReturnType<FileSystem['stat']>, path: string): ReturnType<FileSystem['stat']> => {
    const found = await facts;
    return found === undefined || !owned(path) ? found : { ...found, uid: uid + 4242 };
  };
  return Object.assign(Object.create(real) as FileSystem, {
    stat: (path: string) => told(real.stat(path), path),
    lstat: (path: string) => told(real.lstat(path), path),
  });
}

t.test(
  'a user who may rename a folder further up puts a program in the place of the exec plugin that was judged',
  async (t) => {
    const folder = await folderOf(t);
    const [home, bin] = [join(folder, 'home'), join(folder, 'home', 'bin')];
    await mkdir(bin, { recursive: true });
    const plugin = join(bin, 'plugin');
    await writeFile(plugin, '#!/bin/sh\n');
    await chmod(plugin, 0o755);
    await writeFile(join(folder, 'bootstrap.conf'), kubeconfig({ exec: { ...EXEC.exec, command: plugin } }));
    t.match(await filesIn(folder).readBootstrap(), { kind: 'usable' });
    t.test('the folder is theirs', async (t) => {
      const fs = othersOwn((path) => path === home);
      t.match(errorOf(await filesIn(folder, { fs }).readBootstrap()), {
        code: 'ERR_KUBECONFIG_UNSAFE',
        message: `${plugin}: ${home} belongs to user ${String(uid + 4242)}, so others could make certlet run programs`,
        remedy: `namei -l ${plugin}`,
      });
    });
    t.test('everybody can write it', async (t) => {
      await chmod(home, 0o777);
      t.match(errorOf(await filesIn(folder).readBootstrap()), {
        code: 'ERR_KUBECONFIG_UNSAFE',
        message: `${home} can be`,
      });
      await chmod(home, 0o1777);
      t.match(await filesIn(folder).readBootstrap(), { kind: 'usable' }, 'unless it is sticky');
      await chmod(home, 0o755);
    });
    t.test('a link in between is theirs', async (t) => {
      const [tmp, first, second] = [
        join(folder, 'tmp'),
        join(folder, 'first.conf'),
        join(folder, 'tmp', 'second.conf'),
      ];
      await mkdir(tmp);
      await chmod(tmp, 0o1777);
      await symlink('../bootstrap.conf', second);
      await symlink('tmp/second.conf', first);
      t.match(await filesIn(folder, { bootstrapPath: first }).readBootstrap(), { kind: 'usable' });
      const fs = othersOwn((path) => path === second);
      t.match(errorOf(await filesIn(folder, { bootstrapPath: first, fs }).readBootstrap()), {
        code: 'ERR_KUBECONFIG_UNSAFE',
        message: `${second} is a link of user`,
      });
      await chmod(tmp, 0o755);
      t.match(await filesIn(folder, { bootstrapPath: first, fs }).readBootstrap(), { kind: 'usable' });
    });
  },
);

t.test('writeNode makes the folder, writes 0600 once, and leaves equal text alone', async (t) => {
  const folder = await folderOf(t);
  const nodePath = join(folder, 'new', 'deep', 'kubelet.conf');
  const link = join(folder, 'kubelet-client-current.pem');
  await writeFile(link, pair.chainPem + pair.keyPem);
  const files = filesIn(folder, { nodePath });
  t.equal(await files.writeNode(cluster, link), true);
  t.equal(await readFile(nodePath, 'utf8'), encodeNodeKubeconfig(cluster, link).reveal());
  const first = await stat(nodePath);
  t.equal(first.mode & 0o777, 0o600);
  t.equal(await files.writeNode(cluster, link), false);
  t.equal((await stat(nodePath)).ino, first.ino, 'not even touched');
  t.equal(await files.writeNode({ ...cluster, server: 'https://other:6443' }, link), true);
  t.not((await stat(nodePath)).ino, first.ino, 'replaced, not rewritten');
  t.match(configOf(await files.readNode()), {
    cluster: { server: 'https://other:6443' },
    credential: { kind: 'certificate' },
  });
});

for (const row of [
  { errno: 'EROFS', code: 'ERR_STORE_READ_ONLY', remedy: /certlet allow \// },
  { errno: 'ENOSPC', code: 'ERR_STORE_FULL', remedy: /df -h/ },
  { errno: 'EDQUOT', code: 'ERR_STORE_FULL', remedy: /quota/ },
]) {
  t.test(`writeNode: ${row.errno} is ${row.code} and leaves the old file`, async (t) => {
    const folder = await folderOf(t, { 'kubelet.conf': 'old' });
    const fail = (): Promise<never> =>
      Promise.reject(Object.assign(new Error(`${row.errno}: failed`), { code: row.errno, syscall: 'open' }));
    const fs: FileSystem = Object.assign(Object.create(new NodeFileSystem()) as FileSystem, { create: fail });
    await t.rejects(filesIn(folder, { fs }).writeNode(cluster, '/p.pem'), { code: row.code, remedy: row.remedy });
    t.equal(await readFile(join(folder, 'kubelet.conf'), 'utf8'), 'old');
  });
}

t.test(
  'a kubeconfig whose mode cannot be looked at is an error of the store, not the end of the service',
  async (t) => {
    const folder = await folderOf(t);
    const link = join(folder, 'current.pem');
    await filesIn(folder).writeNode(cluster, link);
    const fail = (): Promise<never> =>
      Promise.reject(Object.assign(new Error('EIO: failed'), { code: 'EIO', syscall: 'stat' }));
    const fs: FileSystem = Object.assign(Object.create(new NodeFileSystem()) as FileSystem, { stat: fail });
    await t.rejects(filesIn(folder, { fs }).writeNode(cluster, link), { code: 'ERR_STORE_IO' });
  },
);

t.test('removeBootstrap removes it, also twice; a failure names the path', async (t) => {
  const folder = await folderOf(t, { 'bootstrap.conf': kubeconfig(TOKEN) });
  const files = filesIn(folder);
  await files.removeBootstrap();
  await files.removeBootstrap();
  t.match(await files.readBootstrap(), { kind: 'absent' });
  const fail = (): Promise<never> =>
    Promise.reject(Object.assign(new Error('EROFS: read-only'), { code: 'EROFS', syscall: 'unlink' }));
  const fs: FileSystem = Object.assign(Object.create(new NodeFileSystem()) as FileSystem, { unlink: fail });
  await t.rejects(filesIn(folder, { fs }).removeBootstrap(), {
    code: 'ERR_STORE_READ_ONLY',
    message: /bootstrap\.conf/,
  });
});

t.test('a join that was killed left its token in a temporary file for ever', async (t) => {
  const folder = await folderOf(t, {
    '.bootstrap.conf.0123456789abcdef.certlet-tmp': 'token',
    '.kubelet.conf.0123456789abcdef.certlet-tmp': 'x',
    '.other.conf.0123456789abcdef.certlet-tmp': 'x',
    '.bootstrap.conf.swp': 'x',
  });
  const files = filesIn(folder);
  const written = (await stat(join(folder, '.bootstrap.conf.0123456789abcdef.certlet-tmp'))).mtimeMs;
  await files.sweep(new Date(written + 60_000));
  t.equal((await readdir(folder)).length, 4, 'a join under way is not disturbed');
  await files.sweep(new Date(written + 2 * 3_600_000));
  t.strictSame((await readdir(folder)).sort(), ['.bootstrap.conf.swp', '.other.conf.0123456789abcdef.certlet-tmp']);
  const fail = (): Promise<never> =>
    Promise.reject(Object.assign(new Error('EROFS: read-only'), { code: 'EROFS', syscall: 'unlink' }));
  const fs: FileSystem = Object.assign(Object.create(new NodeFileSystem()) as FileSystem, { readdir: fail });
  await filesIn(folder, { fs, bootstrapPath: undefined }).sweep(new Date());
});

t.test('a defect is thrown, not taken for a bad file', async (t) => {
  const fs: FileSystem = Object.assign(Object.create(new NodeFileSystem()) as FileSystem, {
    read: () => Promise.reject(new TypeError('defect')),
  });
  await t.rejects(filesIn(await folderOf(t), { fs }).readNode(), TypeError);
});

t.test(
  'a kubeconfig whose CA file is missing still tells which files to watch, so that the mended one is noticed',
  async (t) => {
    const folder = t.testdir({
      'a.conf': `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443", certificate-authority: ca.crt}}]
users: [{name: u, user: {token: abc}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
    });
    const reading = await readKubeconfig(`${folder}/a.conf`, {
      fs: new NodeFileSystem(),
      uid: process.getuid?.() ?? 0,
      searchPath: '',
    });
    t.match(reading, { kind: 'unusable', files: [`${folder}/ca.crt`] });
  },
);

t.test(
  'a CA in the file beside the pairs: written before the kubeconfig that names it, readable, and again when it changes',
  async (t) => {
    const folder = await folderOf(t);
    const caPath = join(folder, 'cluster-ca.crt');
    const files = filesIn(folder, { ownCaPath: caPath });
    const named = { ...cluster, caPath };
    t.equal(await files.writeNode(named, '/pki/pair.pem'), true);
    t.equal(await readFile(caPath, 'utf8'), authority.pem);
    t.equal((await stat(caPath)).mode & 0o777, 0o644);
    t.equal(await files.writeNode(named, '/pki/pair.pem'), false);
    const both = authority.pem + createAuthority({ name: 'kubernetes' }).pem;
    t.equal(
      await files.writeNode({ ...named, caPem: both }, '/pki/pair.pem'),
      true,
      'the kubeconfig is the same, its CA is not',
    );
    t.equal(await readFile(caPath, 'utf8'), both);
  },
);

t.test('a CA file that certlet did not make is named, and never written', async (t) => {
  const folder = await folderOf(t, { 'ca.crt': authority.pem });
  const caPath = join(folder, 'ca.crt');
  const files = filesIn(folder, { ownCaPath: join(folder, 'cluster-ca.crt') });
  await files.writeNode({ ...cluster, caPath, caPem: createAuthority({ name: 'other' }).pem }, '/pki/pair.pem');
  t.equal(await readFile(caPath, 'utf8'), authority.pem);
});
