/** The .rpm installed into a tree of its own and erased. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { debianTree, packageNamed } from './fixtures/booted.ts';

const noRpm = spawnSync('rpm', ['--version']).error === undefined ? false : 'no rpm (apt-get install rpm)';
const rpm = (...args: readonly string[]): string =>
  execFileSync('rpm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

for (const architecture of ['x86_64', 'aarch64'])
  t.test(`what the rpm of ${architecture} asks for and carries`, { skip: noRpm }, async (t) => {
    const file = packageNamed(new RegExp(`${architecture}\\.rpm$`));
    const requires = rpm('-qp', '--requires', file);
    for (const wanted of [/^libatomic\.so\.1\(\)\(64bit\)$/m, /^libstdc\+\+\.so\.6\(GLIBCXX_/m, /^systemd >= 247$/m])
      t.match(requires, wanted);
    t.match(requires, /GLIBC_2\.28/, 'the oldest glibc that Node runs on');
    t.notMatch(rpm('-qp', '--provides', file), /\.so/, 'nobody else is promised its libraries');
    const paths = rpm('-qpl', file).trim().split('\n');
    t.ok(
      paths.every((path) => path.startsWith('/usr/')),
      'nothing of /etc or /var',
    );
    t.ok(paths.includes('/usr/share/zsh/site-functions/_certlet'));
    t.notOk(paths.some((path) => path.includes('lintian')));
    t.match(rpm('-qp', '--queryformat', '%{ARCH} %{BUILDHOST}', file), `${architecture} certlet.invalid`);
  });

t.test('rpm --root: installed, upgraded, erased, and what the kubelet reads stays', { skip: noRpm }, async (t) => {
  const tree = debianTree('trixie');
  if ('skip' in tree) {
    t.pass('rpm --root', { skip: tree.skip });
    return;
  }
  // Scriptlets write into it: a copy, without the documents that nobody needs.
  const root = mkdtempSync('/var/tmp/certlet-rpm-');
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const name of readdirSync(tree.folder).filter(
    (name) => !['dev', 'proc', 'sys', 'run', 'tmp', 'boot', 'var'].includes(name),
  ))
    cpSync(join(tree.folder, name), join(root, name), { recursive: true, verbatimSymlinks: true });
  for (const name of [
    'var/lib/rpm',
    'var/lib/kubelet/pki',
    'var/cache/certlet',
    'etc/kubernetes',
    'etc/certlet',
    'dev',
    'proc',
    'run',
    'tmp',
  ])
    mkdirSync(join(root, name), { recursive: true });
  const at = (path: string): string => join(root, path);
  const file = packageNamed(/x86_64\.rpm$/);
  const install = (...words: readonly string[]): string =>
    rpm('--root', root, '--nodeps', '-U', '--nosignature', ...words, file);
  // There is no rpm world in this tree; what the package would want of one is asked for all the same.
  const wanted = spawnSync('rpm', ['--root', root, '-U', '--nosignature', '--test', file], { encoding: 'utf8' });
  t.match(wanted.stderr, 'libatomic.so.1()(64bit) is needed');

  t.match(install(), /Nothing was started[^]*certlet adopt/);
  t.match(execFileSync('chroot', [root, '/usr/bin/certlet', '--version'], { encoding: 'utf8' }), /^certlet \d/);
  t.equal(rpm('--root', root, '-V', 'certlet', '--nodeps'), '', 'everything is as the package says');
  t.notOk(existsSync(at('etc/systemd/system/multi-user.target.wants/certlet.service')), 'not enabled');
  execFileSync('chroot', [root, 'systemctl', 'enable', 'certlet'], { stdio: 'pipe' });
  t.notMatch(install('--force'), 'Nothing was started', 'an upgrade says nothing');
  t.ok(existsSync(at('usr/lib/certlet/node')));

  writeFileSync(at('var/lib/kubelet/pki/kubelet-client-current.pem'), 'a pair');
  writeFileSync(at('etc/kubernetes/kubelet.conf'), 'a kubeconfig');
  writeFileSync(at('etc/certlet/config.yaml'), 'log: {level: debug}\n');
  t.match(rpm('--root', root, '--nodeps', '-e', 'certlet'), 'certlet reset');
  for (const path of ['usr/lib/certlet', 'usr/bin/certlet', 'usr/share/certlet', 'var/cache/certlet'])
    t.notOk(existsSync(at(path)), path);
  t.throws(
    () => execFileSync('test', ['-L', at('etc/systemd/system/multi-user.target.wants/certlet.service')]),
    'no link to a unit that is gone',
  );
  for (const path of [
    'var/lib/kubelet/pki/kubelet-client-current.pem',
    'etc/kubernetes/kubelet.conf',
    'etc/certlet/config.yaml',
  ])
    t.ok(existsSync(at(path)), `${path} stays`);
});
