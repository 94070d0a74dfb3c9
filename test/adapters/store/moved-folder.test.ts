/** A kubelet's absolute link after its folder has moved or is reached by another way. */
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { kubeletSpecs } from '../../fixtures/specs.ts';
import { listMadeFiles } from '../../../src/adapters/made-files.ts';
import { FileCertificateStore } from '../../../src/adapters/store/file-certificate-store.ts';
import { parsePair } from '../../../src/pki/certificate.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

const NOW = new Date('2030-06-01T00:00:00Z');
const { chainPem, keyPem } = createAuthority({
  name: 'ca',
  notBefore: new Date('2029-01-01'),
  notAfter: new Date('2040-01-01'),
}).issue({
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  usages: ['client auth'],
  notBefore: new Date('2030-05-01'),
  notAfter: new Date('2031-05-01'),
});
const pair = parsePair(new Secret(`${chainPem}\n${keyPem}`));
const LINK = 'kubelet-client-current.pem';

const open = (certDir: string, warnings: string[] = []): FileCertificateStore =>
  new FileCertificateStore({
    specs: kubeletSpecs({ certDir }),
    stateDir: join(certDir, '.certlet'),
    pruneGraceMs: 0,
    fs: new NodeFileSystem(),
    onWarning: (event, { path = '', reason = '' }) => warnings.push(`${event}: ${path}: ${reason}`),
  });

/** A folder that certlet has taken over from a kubelet, whose link names the pair by its absolute path. */
async function takenOver(t: Test): Promise<{ readonly folder: string; readonly file: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-moved-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const certDir = join(folder, 'pki');
  const path = await open(certDir).install('client', pair, NOW);
  const file = path.slice(certDir.length + 1);
  unlinkSync(join(certDir, LINK));
  symlinkSync(path, join(certDir, LINK));
  await open(certDir).acceptAll('client');
  t.strictSame(await open(certDir).foreign('client'), []);
  return { folder, file };
}

t.test('the folder moved: the link into nowhere counts as another writer', async (t) => {
  const { folder, file } = await takenOver(t);
  const moved = join(folder, 'data');
  renameSync(join(folder, 'pki'), moved);
  const store = open(moved);
  t.strictSame(await store.foreign('client'), []);
  const pairs = await store.inspect('client');
  t.match(pairs, [{ origin: 'timestamped', path: join(moved, file) }]);
  if (pairs[0] !== undefined) await store.relink('client', pairs[0]);
  t.equal(readlinkSync(join(moved, LINK)), file, 'mended');
});

t.test('the folder is reached by a link: its own pair by the real path counts as another writer', async (t) => {
  const { folder, file } = await takenOver(t);
  renameSync(join(folder, 'pki'), join(folder, 'real'));
  symlinkSync('real', join(folder, 'pki'));
  unlinkSync(join(folder, 'real', LINK));
  symlinkSync(join(folder, 'real', file), join(folder, 'real', LINK));
  const store = open(join(folder, 'pki'));
  t.strictSame(await store.foreign('client'), []);
  t.match(await store.inspect('client'), [{ origin: 'current' }]);
  t.strictSame(await store.foreign('client'), []);
  const made = await listMadeFiles({
    fs: new NodeFileSystem(),
    certDir: join(folder, 'pki'),
    stateDir: join(folder, 'pki/.certlet'),
    specs: kubeletSpecs({ certDir: join(folder, 'pki'), kubeconfigPath: join(folder, 'kubelet.conf') }),
    bootstrapKubeconfig: undefined,
    uid: process.geteuid?.() ?? 0,
  });
  t.match(
    made.remove.find(({ path }) => path.endsWith(LINK)),
    { remark: 'link of the client pair' },
    'and reset knows the link for its own',
  );
});

for (const row of [
  { name: 'a link to another link to the pair', target: 'hop.pem', foreign: false },
  { name: 'a hard link elsewhere to the pair', target: 'elsewhere/other.pem', foreign: false },
  { name: 'a loop', target: LINK, foreign: false },
  { name: 'a path through a file', target: 'FILE/x.pem', foreign: false },
  { name: 'a file of another program', target: 'elsewhere/theirs.pem', foreign: true },
]) {
  t.test(`${row.name} ${row.foreign ? 'is' : 'is no'} other writer`, async (t) => {
    const { folder, file } = await takenOver(t);
    const certDir = join(folder, 'pki');
    mkdirSync(join(folder, 'elsewhere'));
    symlinkSync(join(certDir, file), join(certDir, 'hop.pem'));
    linkSync(join(certDir, file), join(folder, 'elsewhere/other.pem'));
    writeFileSync(join(folder, 'elsewhere/theirs.pem'), chainPem + keyPem, { mode: 0o600 });
    unlinkSync(join(certDir, LINK));
    const target = row.target.startsWith('elsewhere') ? join(folder, row.target) : row.target.replace('FILE', file);
    symlinkSync(target, join(certDir, LINK));
    t.equal((await open(certDir).foreign('client')).length, row.foreign ? 1 : 0);
  });
}

t.test('the same warning at every look at the disk, for years', async (t) => {
  const { folder, file } = await takenOver(t);
  const certDir = join(folder, 'pki');
  const warnings: string[] = [];
  const store = open(certDir, warnings);
  const fs = new NodeFileSystem();
  const looked = async (mode: number): Promise<number> => {
    await fs.chmod(join(certDir, file), mode);
    const before = warnings.length;
    for (let looks = 0; looks < 5; looks += 1) await store.inspect('client');
    return warnings.length - before;
  };
  const said = [await looked(0o664), await looked(0o666), await looked(0o600), await looked(0o664)];
  // The link and the file behind it are two paths.
  t.strictSame(said, [2, 2, 0, 2], warnings.join('\n'));
});
