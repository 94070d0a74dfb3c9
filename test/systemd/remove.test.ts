/** The removal as docs/install.md tells it, typed after each variant: nothing of certlet's is active then, and no key is left. */
import t, { type Test } from 'tap';
import { typedBy } from '../fixtures/typed-pages.ts';
import {
  attempt,
  exists,
  installDropIn,
  installKubelet,
  noLab,
  PKI,
  reset,
  run,
  shell,
  show,
  until,
} from './fixtures/lab.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';

const page = typedBy('test/systemd/remove.test.ts', 'docs/install.md');
/** At a terminal, with a yes for whatever asks. */
const typed = (command: string): ReturnType<typeof attempt> =>
  attempt('sh', '-c', 'printf "y\\n" | script -qec "$1" /dev/null', 'sh', command);

function typeRemoval(t: Test): void {
  for (const command of page('Remove')) {
    const first = typed(command);
    const asUser = /fix: (runuser -u .*)$|^ *(runuser -u .*)$/m.exec(first.stdout.replaceAll('\r', ''));
    const { status, stdout } = asUser === null ? first : typed(asUser[1] ?? asUser[2] ?? '');
    t.equal(status, 0, command, { printed: status === 0 ? '' : `${first.stdout}\n${stdout}` });
  }
  t.equal(run('systemctl', 'list-units', '--no-legend', 'certlet*'), '', 'nothing is active');
  t.equal(shell("find /etc/systemd/system -name '*certlet*'"), '', 'nothing is enabled');
  t.equal(
    attempt('sh', '-c', "grep -rls 'PRIVATE KEY' /var/lib/kubelet /var/lib/certlet").stdout,
    '',
    'no key is left',
  );
  t.notOk(exists('/usr/bin/certlet') || exists('/usr/lib/certlet'));
}

const settled = (): boolean => /^client until .*; serving until /.test(show('certlet', 'StatusText'));

t.test('the daemon, with a unit that is reloaded', { skip: noLab, timeout: 120_000 }, async (t) => {
  await reset();
  installKubelet();
  await LabCluster.start(t);
  run('systemctl', 'enable', '--now', 'certlet.service', 'certlet-kubelet-restart.path');
  run('certlet', 'allow', '--reload', 'kubelet=kubelet.service');
  run('systemctl', 'enable', '--now', 'certlet-reload@kubelet.path');
  await until('both certificates', settled);
  typeRemoval(t);
});

t.test('the timer, whose first run was 90 minutes away', { skip: noLab, timeout: 120_000 }, async (t) => {
  await reset();
  await LabCluster.start(t);
  run('systemctl', 'enable', '--now', 'certlet-once.timer');
  await until('both certificates', () => exists(`${PKI}/kubelet-client-current.pem`), 60_000);
  await until('the end of the run', () => show('certlet-once', 'ActiveState') === 'inactive', 60_000);
  t.match(run('systemctl', 'list-timers', 'certlet-once.timer'), /certlet-once\.service/);
  typeRemoval(t);
});

t.test('a user of its own', { skip: noLab, timeout: 120_000 }, async (t) => {
  await reset();
  installDropIn('own-user.conf');
  shell('systemd-sysusers; cp /usr/share/certlet/drop-ins/certlet.service.d/own-user.yaml /etc/certlet/config.yaml');
  await LabCluster.start(t, {}, '/etc/certlet/bootstrap-kubelet.conf');
  shell('chgrp certlet /etc/certlet/bootstrap-kubelet.conf; chmod 640 /etc/certlet/bootstrap-kubelet.conf');
  run('systemctl', 'enable', '--now', 'certlet.service');
  await until('both certificates', settled);
  typeRemoval(t);
});
