/** The .deb in real trees of Debian: what a node goes through from the installation to the purge. */
import { basename } from 'node:path';
import t, { type Test } from 'tap';
import {
  attempt,
  exists,
  KUBECONFIG,
  messages,
  PKI,
  put,
  read,
  run,
  shell,
  show,
  subjectOf,
  until,
} from '../systemd/fixtures/lab.ts';
import { joinWords } from '../systemd/fixtures/join-words.ts';
import { LabCluster } from '../systemd/fixtures/lab-cluster.ts';
import { boot, debianTree, INSIDE, packageNamed, packagesFolder } from './fixtures/booted.ts';
import { packageOf010 } from './fixtures/repacked.ts';

const earlierFolder = t.testdir({});
const EARLIER = '/opt/earlier';
/** Programs start twice within it, on a machine that does other things as well. */
const LIMIT_MS = 120_000;

/** As an operator: apt, from a file. Gives what it printed. */
function apt(action: string, ...words: readonly string[]): string {
  const noise = ['-o', 'Dpkg::Use-Pty=0', '-q'];
  return run('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', action, '--yes', ...noise, ...words);
}

const enabled = (unit: string): string => attempt('systemctl', 'is-enabled', unit).stdout;
const client = (): string => run('readlink', `${PKI}/kubelet-client-current.pem`);

// The same for both trees.
const earlier = process.getuid?.() === 0 ? await packageOf010(earlierFolder) : { skip: 'needs root' };

for (const release of ['bookworm', 'trixie']) {
  t.test(`from installation to purge on ${release}`, async (t) => {
    const tree = debianTree(release);
    if ('skip' in tree) {
      t.pass('apt install', { skip: tree.skip });
      return;
    }
    if (!(await boot(t, tree.folder, { [INSIDE]: packagesFolder(), [EARLIER]: earlierFolder }))) return;
    const current = `${INSIDE}/${basename(packageNamed(/^certlet_.*_amd64\.deb$/))}`;
    await installs(t, current);
    const cluster = await joins(t);
    if ('skip' in earlier) t.pass('downgrade to 0.1.0', { skip: earlier.skip });
    else await changesVersions(t, cluster, { current, earlier: `${EARLIER}/${earlier.name}` });
    await goes(t);
  });
}

async function installs(t: Test, current: string): Promise<void> {
  const said = apt('install', current);
  t.match(said, /Nothing was started/);
  for (const words of ['certlet join', 'certlet adopt', 'systemctl enable --now certlet']) t.match(said, words);
  t.equal(show('certlet', 'ActiveState'), 'inactive', 'not started');
  t.equal(enabled('certlet'), 'disabled', 'not enabled');
  t.equal(run('dpkg', '--verify', 'certlet'), '');
  t.notOk(exists('/etc/certlet/config.yaml'), "settings are their owner's");
  t.ok(exists('/usr/share/certlet/config.example.yaml'));
  t.match(run('certlet', '--version'), /^certlet \d/);
  run('systemctl', 'preset', 'certlet');
  t.equal(enabled('certlet'), 'disabled', 'nor by presets, as at the first boot of an image');
}

/** A client certificate, and a serving request that waits for somebody. */
async function joins(t: Test): Promise<LabCluster> {
  const cluster = await LabCluster.start(t, { approveServing: false }, '/run/of-the-cluster');
  const { token, words } = joinWords(read('/run/of-the-cluster'));
  put('/run/token', token, '600');
  run('certlet', 'join', ...words);
  shell('rm /run/token /run/of-the-cluster; systemctl enable --now certlet');
  await until('the kubeconfig of the node', () => exists(KUBECONFIG), LIMIT_MS);
  await until('two requests', () => exists(`${PKI}/.certlet`) && pending(), LIMIT_MS);
  t.equal(subjectOf(`${PKI}/kubelet-client-current.pem`), 'CN=system:node:sdlab,O=system:nodes');
  return cluster;
}

/** The daemon waits for the approval of a serving request. */
const pending = (): boolean => /serving.*(?:pending|approv|wait)/i.test(show('certlet', 'StatusText'));

interface Packages {
  readonly current: string;
  readonly earlier: string;
}

async function changesVersions(t: Test, cluster: LabCluster, { current, earlier }: Packages): Promise<void> {
  const before = { pair: client(), csrs: (await cluster.tell()).csrs };
  t.equal(before.csrs.length, 2, 'one request for each certificate');
  for (const [name, path, version] of [
    ['downgrade', earlier, /certlet 0\.1\.0/],
    ['upgrade', current, /certlet \d/],
  ] as const) {
    const process = show('certlet', 'MainPID');
    apt('install', '--allow-downgrades', path);
    t.equal(show('certlet', 'ActiveState'), 'active', `${name}: the daemon runs`);
    t.not(show('certlet', 'MainPID'), process, `${name}: it is the new program`);
    t.match(run('certlet', '--version'), version);
    await until(`${name}: a daemon that waits`, pending, LIMIT_MS);
    t.equal(client(), before.pair, `${name}: the same client certificate`);
    t.strictSame((await cluster.tell()).csrs, before.csrs, `${name}: the same requests, and no other`);
  }
  await cluster.tell({ approveAll: true });
  await until(
    'both certificates',
    () => /^client until .*; serving until /.test(show('certlet', 'StatusText')),
    LIMIT_MS,
  ).catch((error: unknown) =>
    t.fail(`${String(error)}\n${show('certlet', 'StatusText')}\n${messages('certlet').slice(-20).join('\n')}`),
  );
  t.strictSame((await cluster.tell()).csrs, before.csrs, 'the request of before all that was the one that counts');
}

/** Removed and purged: what the kubelet reads stays. */
async function goes(t: Test): Promise<void> {
  put('/etc/certlet/config.yaml', 'log: {level: debug}\n');
  const kept = (): string => shell(`sha256sum ${PKI}/*.pem ${KUBECONFIG}; find ${PKI} | sort`);
  const said = messages('certlet').length;
  t.ok(said > 0);
  const removed = apt('remove', 'certlet');
  t.match(removed, 'certlet reset');
  t.equal(attempt('systemctl', 'is-active', 'certlet').stdout, 'inactive', 'stopped');
  const before = kept();
  t.match(before, 'kubelet-client-current.pem');
  t.ok(exists('/etc/certlet/config.yaml'), 'settings stay until the purge');
  apt('purge', 'certlet');
  t.equal(kept(), before, 'certificates, kubeconfig and state are as they were');
  for (const path of ['/etc/certlet', '/var/cache/certlet', '/usr/lib/certlet', '/usr/share/certlet'])
    t.notOk(exists(path), path);
  t.equal(shell("find /etc/systemd -name '*certlet*'"), '', 'no link to a unit that is gone');
  t.equal(attempt('systemctl', 'is-system-running').stdout, 'running');
}
