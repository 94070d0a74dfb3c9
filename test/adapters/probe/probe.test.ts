import { chmodSync, chownSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { kubeletSpecs } from '../../fixtures/specs.ts';
import type { FileSystem } from '../../../src/adapters/file-system.ts';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { lookUpName } from '../../../src/adapters/probe/name-lookup.ts';
import { readOnly } from '../../../src/adapters/probe/read-only-file-system.ts';
import { viewStore } from '../../../src/adapters/probe/store-view.ts';
import { connectOnce } from '../../../src/adapters/probe/tcp-connect.ts';
import { FileCertificateStore } from '../../../src/adapters/store/file-certificate-store.ts';
import { parsePair } from '../../../src/pki/certificate.ts';
import { Secret } from '../../../src/secret.ts';
import { snapshot } from '../../fixtures/check/host.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

const uid = process.geteuid?.() ?? 0;

t.test('lookUpName: an address, a name of this host, a name that nobody has', async (t) => {
  const options = { timeoutMs: 20_000, ticks: () => performance.now() };
  t.strictSame(await lookUpName('2001:db8::1', options), { kind: 'addresses', addresses: ['2001:db8::1'], tookMs: 0 });
  t.match(await lookUpName('localhost', options), { kind: 'addresses', addresses: [/^(127\.0\.0\.1|::1)$/] });
  t.match(await lookUpName('no-such-name.invalid', options), { kind: 'failed', code: /ENOTFOUND|EAI_AGAIN/ });
});

t.test('connectOnce: somebody listens, nobody does', async (t) => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  t.strictSame(await connectOnce('127.0.0.1', port, 5_000), { kind: 'open', address: '127.0.0.1' });
  await new Promise<void>((done) => void server.close(() => done()));
  t.strictSame(await connectOnce('127.0.0.1', port, 5_000), {
    kind: 'failed',
    address: '127.0.0.1',
    code: 'ECONNREFUSED',
  });
});

t.test('the read-only disk reads, and refuses every change with EROFS', async (t) => {
  const root = t.testdir({ a: 'text', link: t.fixture('symlink', 'a') });
  const path = join(root, 'a');
  const fs = readOnly(new NodeFileSystem());
  const before = snapshot(root);
  t.equal(Buffer.from(await fs.read(path, 10)).toString(), 'text');
  t.equal(await fs.readlink(join(root, 'link')), 'a');
  t.match(await fs.lstat(join(root, 'link')), { kind: 'link' });
  t.match(await fs.stat(join(root, 'link')), { kind: 'file' });
  t.strictSame(await fs.readdir(root), ['a', 'link']);
  t.match(await fs.realpath(join(root, 'link')), /a$/);
  const changes: readonly ((fs: FileSystem) => Promise<unknown>)[] = [
    (disk) => disk.create(`${path}2`, 0o600),
    (disk) => disk.rename(path, `${path}2`),
    (disk) => disk.symlink('a', `${path}2`),
    (disk) => disk.unlink(path),
    (disk) => disk.utimes(path, new Date()),
    (disk) => disk.mkdir(`${path}2`, 0o700),
    (disk) => disk.chmod(path, 0o777),
    (disk) => disk.syncFolder(root),
  ];
  for (const change of changes) await t.rejects(change(fs), { code: 'EROFS' });
  t.equal(snapshot(root), before);
});

t.test(
  'root does not call wrong what the user of the service owns',
  { skip: uid === 0 ? false : 'needs root' },
  async (t) => {
    const root = t.testdir({});
    const certDir = join(root, 'pki');
    const stateDir = join(certDir, '.certlet');
    const store = new FileCertificateStore({
      specs: kubeletSpecs({ certDir }),
      stateDir,
      pruneGraceMs: 0,
      fs: new NodeFileSystem(),
    });
    const { chainPem, keyPem } = createAuthority({ name: 'ca' }).issue({ commonName: 'system:node:n1' });
    const file = await store.install('client', parsePair(new Secret(chainPem + keyPem)), new Date());
    const view = viewStore({ certDir, stateDir, specs: kubeletSpecs({ certDir }) }, new NodeFileSystem(), uid);
    chownSync(file, 65_534, 65_534);
    t.match(await view.pair('client'), { reading: { kind: 'unsafe' } }, 'the service runs as root');
    chownSync(stateDir, 65_534, 65_534);
    t.match(await view.pair('client'), { reading: { kind: 'unsafe' } }, 'a state folder alone may have been planted');
    chownSync(certDir, 65_534, 65_534);
    t.match(await view.pair('client'), { reading: { kind: 'whole' } }, 'the service runs as that user');
    const other = viewStore({ certDir, stateDir, specs: kubeletSpecs({ certDir }) }, new NodeFileSystem(), 65_533);
    t.match(await other.pair('client'), { reading: { kind: 'unsafe' } });
  },
);

t.test('viewStore looks at a store that needs repair, and repairs nothing', async (t) => {
  const root = t.testdir({});
  chmodSync(root, 0o755);
  const certDir = join(root, 'pki');
  const stateDir = join(certDir, '.certlet');
  const store = new FileCertificateStore({
    specs: kubeletSpecs({ certDir }),
    stateDir,
    pruneGraceMs: 0,
    fs: new NodeFileSystem(),
  });
  const { chainPem, keyPem } = createAuthority({ name: 'ca' }).issue({ commonName: 'system:node:n1' });
  await store.install('client', parsePair(new Secret(chainPem + keyPem)), new Date());
  await store.acceptAll('client');
  writeFileSync(join(certDir, 'kubelet-client-2020-01-01-00-00-00.pem'), 'foreign', { mode: 0o600 });
  writeFileSync(join(stateDir, 'client-pending.json'), '{', { mode: 0o600 });
  writeFileSync(join(stateDir, 'client-history.json'), '{"version":1}', { mode: 0o600 });
  writeFileSync(join(stateDir, 'serving-ledger.json'), 'no ledger', { mode: 0o600 });
  symlinkSync('gone.pem', join(certDir, 'kubelet-server-current.pem'));
  mkdirSync(join(stateDir, 'serving-history.json'));
  const before = snapshot(root);
  const view = viewStore({ certDir, stateDir, specs: kubeletSpecs({ certDir }) }, new NodeFileSystem(), uid);

  t.match(await view.pair('client'), { linkKind: 'link', reading: { kind: 'whole' }, file: /kubelet-client-\d/ });
  t.match(await view.pair('serving'), { linkKind: 'link', reading: { kind: 'absent' }, file: /gone\.pem$/ });
  t.match(await view.pending('client'), { kind: 'broken', path: /client-pending\.json$/ });
  t.strictSame(await view.pending('serving'), { kind: 'absent' });
  t.match(await view.history('client'), { kind: 'read' });
  t.match(await view.history('serving'), { kind: 'unreadable' });
  t.match(await view.foreign('client'), [/2020-01-01/]);
  t.strictSame(await view.foreign('serving'), [], 'a broken ledger is left where it is');
  t.equal(snapshot(root), before);
});

t.test(
  'viewStore tells plain files that are not those of the current pair, and of those that cannot be read nothing',
  async (t) => {
    const root = t.testdir({});
    chmodSync(root, 0o755);
    const certDir = join(root, 'pki');
    const stateDir = join(certDir, '.certlet');
    const plain = { certFile: join(root, 'tls.crt'), keyFile: join(root, 'tls.key') };
    const specs = kubeletSpecs({ certDir, plainFiles: { client: plain } });
    const fs = new NodeFileSystem();
    const store = new FileCertificateStore({ specs, stateDir, pruneGraceMs: 0, fs });
    const { chainPem, keyPem } = createAuthority({ name: 'ca' }).issue({ commonName: 'system:node:n1' });
    await store.install('client', parsePair(new Secret(chainPem + keyPem)), new Date());
    const behind = async () => (await viewStore({ certDir, stateDir, specs }, fs, uid).pair('client')).plainBehind;
    t.equal(await behind(), undefined, 'right after the swap');
    const older = createAuthority({ name: 'ca' }).issue({ commonName: 'system:node:n1' });
    writeFileSync(plain.certFile, older.certPem);
    t.strictSame(await behind(), plain, 'another certificate');
    rmSync(plain.certFile);
    t.strictSame(await behind(), plain, 'one of the two is gone');
    mkdirSync(plain.certFile);
    t.equal(await behind(), undefined, 'what cannot be read');
  },
);
