/** The systemd-sysext image, merged into a system that lacks the libraries which Node needs. */
import { basename } from 'node:path';
import t, { type Test } from 'tap';
import { attempt, exists, KUBECONFIG, PKI, run, shell, show, until } from '../systemd/fixtures/lab.ts';
import { LabCluster } from '../systemd/fixtures/lab-cluster.ts';
import { boot, debianTree, INSIDE, packageNamed, packagesFolder } from './fixtures/booted.ts';

const EXTENSION = '/var/lib/extensions/certlet.raw';
const pair = (): string => shell(`sha256sum ${PKI}/*-current.pem ${KUBECONFIG}`);

t.test('merged, bootstrapped, refreshed and unmerged on a host without libatomic and libstdc++', async (t) => {
  const tree = debianTree('trixie');
  if ('skip' in tree) {
    t.pass('systemd-sysext merge', { skip: tree.skip });
    return;
  }
  if (!(await boot(t, tree.folder, { [INSIDE]: packagesFolder() }))) return;
  const cluster = await LabCluster.start(t);
  // From here on the only ones are the image's own. The cluster has loaded its already.
  shell('mkdir /opt/hidden; mv /usr/lib/*-linux-gnu/libatomic.so* /usr/lib/*-linux-gnu/libstdc++.so* /opt/hidden/');
  t.not(attempt(process.execPath, '--version').status, 0, 'another Node does not start here');
  // There is no udev in the lab, which makes these on a host.
  shell('mknod /dev/loop-control c 10 237; for n in $(seq 0 63); do mknod /dev/loop$n b 7 $n; done');
  await merges(t);
  run('systemctl', 'enable', '--now', 'certlet');
  await until('both certificates', () => /^client until .*; serving until /.test(show('certlet', 'StatusText')));
  t.equal((await cluster.tell()).csrs.length, 2);
  await refreshes(t);
});

async function merges(t: Test): Promise<void> {
  const image = basename(packageNamed(/x86-64\.sysext\.raw$/));
  shell(`mkdir -p /var/lib/extensions; cp ${INSIDE}/${image} ${EXTENSION}`);
  run('systemd-sysext', 'merge');
  run('systemctl', 'daemon-reload');
  t.match(attempt('systemd-sysext', 'status').stdout, /\/usr\s+certlet/);
  t.match(run('certlet', '--version'), /^certlet \d/);
  t.equal(show('certlet', 'ActiveState'), 'inactive', 'not started by the merge');
  t.equal(attempt('systemctl', 'is-enabled', 'certlet').stdout, 'disabled');
  t.not(attempt('touch', '/usr/bin/x').status, 0, '/usr is read-only');
}

/** A newer image in place of the old one, while the daemon runs; then none. */
async function refreshes(t: Test): Promise<void> {
  const before = pair();
  const image = basename(packageNamed(/x86-64\.sysext\.raw$/));
  shell(`cp ${INSIDE}/${image} ${EXTENSION}.new; mv ${EXTENSION}.new ${EXTENSION}`);
  run('systemd-sysext', 'refresh');
  run('systemctl', 'daemon-reload');
  t.equal(show('certlet', 'ActiveState'), 'active', 'a refresh ends nothing');
  run('systemctl', 'restart', 'certlet');
  t.equal(show('certlet', 'ActiveState'), 'active');
  t.equal(pair(), before, 'the same certificates');
  run('systemctl', 'disable', '--now', 'certlet');
  run('systemd-sysext', 'unmerge');
  t.notOk(exists('/usr/bin/certlet'));
  t.equal(pair(), before, 'certificates and kubeconfig stay');
}
