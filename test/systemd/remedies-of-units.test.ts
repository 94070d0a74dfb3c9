/** Remedies for units, their users and what root has to say of them, pasted from what `certlet` prints into a shell: the trouble is gone. */
import t from 'tap';
import {
  attempt,
  exists,
  installDropIn,
  noLab,
  put,
  reset as resetLab,
  run,
  shell,
  show,
  start,
  until,
} from './fixtures/lab.ts';
import { findingsOf, fixBelow, Pastes } from './fixtures/paste.ts';

const pastes = new Pastes('remedies-of-units');

/** Nothing enabled either. */
async function reset(): Promise<void> {
  await resetLab();
  shell("find /etc/systemd/system -path '*.wants/certlet*' -delete; systemctl daemon-reload");
}

const DAEMON = 'check/rules/daemon.ts';

/** The remedy of one finding. */
const remedyOf = (id: string): string => findingsOf(id).find((found) => found.id === id)?.remedy ?? '';

t.test('the daemon: not enabled, stopped, neither', { skip: noLab }, async (t) => {
  await reset();
  pastes.paste(DAEMON, remedyOf('daemon.down'));
  t.equal(show('certlet', 'ActiveState'), 'active');
  t.strictSame(findingsOf('daemon.down'), []);
  run('systemctl', 'disable', 'certlet');
  pastes.paste(DAEMON, remedyOf('daemon.not-enabled'));
  t.strictSame(findingsOf('daemon.not-enabled'), []);
  run('systemctl', 'stop', 'certlet');
  pastes.paste(DAEMON, remedyOf('daemon.stopped'));
  t.equal(show('certlet', 'ActiveState'), 'active');
  run('systemctl', 'stop', 'certlet');
  pastes.paste('status/text.ts', fixBelow(run('sh', '-c', 'certlet status || :')));
  t.equal(show('certlet', 'ActiveState'), 'active');
  run('sh', '-c', 'systemctl stop certlet; rm -rf /run/certlet');
  pastes.paste('status/disk.ts', fixBelow(run('sh', '-c', 'certlet status || :')));
  t.equal(show('certlet', 'ActiveState'), 'active');
});

t.test('what systemd says of the units: failed, masked, changed', { skip: noLab }, async (t) => {
  await reset();
  const UNITS = 'check/rules/units.ts';
  const mended = (id: string): void => {
    pastes.paste(UNITS, remedyOf(id));
    t.strictSame(findingsOf(id), [], id);
  };
  put('/run/systemd/system/kubelet.service', '[Service]\nExecStart=/bin/sleep infinity\n');
  put('/etc/certlet/config.yaml', 'kubelet: { unit: 7 }\n');
  shell('systemctl daemon-reload; systemctl enable certlet');
  attempt('systemctl', 'start', 'certlet');
  put('/etc/certlet/config.yaml', 'log: { level: info }\n');
  t.match(findingsOf('daemon.failed')[0]?.what, /exit status 78.*kubelet\.unit/, 'with its own last error');
  mended('daemon.failed');
  run('systemctl', 'stop', 'certlet');
  run('systemctl', 'mask', 'certlet');
  mended('daemon.masked');
  t.equal(show('certlet', 'ActiveState'), 'active');
  const more = (value: string): void =>
    put('/etc/systemd/system/certlet.service.d/more.conf', `[Service]\nEnvironment=A=${value}\n`);
  more('b');
  run('systemctl', 'daemon-reload');
  more('c');
  mended('daemon.changed');
  start('kubelet');
  put('/run/systemd/system/kubelet.service', '[Service]\nExecStart=/bin/sleep 1d\n');
  mended('kubelet.changed');
  shell(
    'systemctl stop kubelet; rm /run/systemd/system/kubelet.service; systemctl daemon-reload; systemctl mask kubelet',
  );
  mended('kubelet.masked');

  shell('systemctl disable --now certlet; systemctl enable certlet-once.timer');
  mended('timer.stopped');
  t.match(run('sh', '-c', 'certlet check || :'), /certlet-once\.timer runs next at \d{4}-/);
  // It would wait for a kubeconfig.
  run('systemctl', 'stop', 'certlet-once.service');
  t.match(run('sh', '-c', 'certlet status || :'), /next run +in /);
  run('systemctl', 'disable', '--now', 'certlet-once.timer');
});

t.test('a timer where only a daemon will do', { skip: noLab }, async (t) => {
  await reset();
  run('systemctl', 'enable', 'certlet-once.timer');
  const OUTLOOK = 'short-lived.timer';
  pastes.paste('check/rules/for-short-lived.ts', remedyIn(OUTLOOK, '--for', 'short-lived'));
  t.equal(show('certlet', 'ActiveState'), 'active');
  t.equal(attempt('systemctl', 'is-enabled', 'certlet-once.timer').stdout, 'disabled');
  t.strictSame(findingsOf(OUTLOOK, '--for', 'short-lived'), []);
});

const remedyIn = (id: string, ...words: readonly string[]): string =>
  findingsOf(id, ...words).find((found) => found.id === id)?.remedy ?? '';

const ENTRY = `certificates:
  - name: proxy
    signerName: kubernetes.io/kube-apiserver-client
    commonName: system:kube-proxy
    usages: [client auth]
    certFile: /srv/proxy/tls.crt
    keyFile: /srv/proxy/tls.key
    reload: proxy
`;

t.test('what root has to say of a reload', { skip: noLab }, async (t) => {
  await reset();
  const RELOADS = 'check/rules/reloads.ts';
  put('/run/systemd/system/proxy.service', '[Service]\nExecStart=/bin/sleep infinity\n');
  shell('systemctl daemon-reload');
  put('/etc/certlet/config.yaml', ENTRY);
  pastes.paste(RELOADS, remedyOf('reload.unnamed'));
  t.equal(show('certlet-reload@proxy.path', 'ActiveState'), 'active');
  run('systemctl', 'disable', '--now', 'certlet-reload@proxy.path');
  pastes.paste(RELOADS, remedyOf('reload.not-enabled'));
  t.equal(show('certlet-reload@proxy.path', 'ActiveState'), 'active');
  shell('chmod 666 /etc/certlet/reload/proxy.env');
  pastes.paste(RELOADS, remedyOf('reload.unsafe'));
  shell('sed -i s/ACTION=.*/ACTION=reload/ /etc/certlet/reload/proxy.env');
  pastes.paste(RELOADS, remedyOf('reload.not-reloadable'));
  t.strictSame(findingsOf('reload.'), []);
  put('/etc/certlet/config.yaml', 'log: { level: info }\n');
  pastes.paste(RELOADS, remedyOf('reload.unused'));
  t.strictSame(findingsOf('reload.'), []);
});

t.test('certlet allow says what is next, and each line works', { skip: noLab }, async (t) => {
  await reset();
  installDropIn('own-user.conf');
  run('systemd-sysusers');
  const ALLOW = 'cli/allow.ts';
  for (const line of nextOf(run('certlet', 'allow', '/srv/certificates'))) pastes.paste(ALLOW, line);
  t.equal(run('stat', '-c', '%U', '/srv/certificates'), 'certlet');
  t.equal(show('certlet', 'ActiveState'), 'active');
  put('/run/systemd/system/proxy.service', '[Service]\nExecStart=/bin/sleep infinity\n');
  shell('systemctl daemon-reload');
  const refused = attempt('certlet', 'allow', '--reload', 'proxy=proxy.service:reload').stderr;
  // What the certificates do not name yet is only noted.
  pastes.paste(ALLOW, fixBelow(refused));
  put('/etc/certlet/config.yaml', ENTRY);
  const told = run('certlet', 'allow', '--reload', 'proxy=proxy.service:try-restart');
  for (const line of nextOf(told)) pastes.paste(ALLOW, line);
  t.equal(show('certlet-reload@proxy.path', 'ActiveState'), 'active');
  for (const line of nextOf(run('certlet', 'allow', '--remove', '--reload', 'proxy'))) pastes.paste(ALLOW, line);
  t.equal(show('certlet-reload@proxy.path', 'ActiveState'), 'inactive');
});

const nextOf = (told: string): readonly string[] =>
  told
    .slice(told.indexOf('next:\n') + 'next:\n'.length)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

t.test('a command of root for a service with a user of its own', { skip: noLab }, async (t) => {
  await reset();
  installDropIn('own-user.conf');
  shell(`
    systemd-sysusers
    mkdir /etc/certlet/site; chmod 755 /etc/certlet/site
    cp /usr/share/certlet/drop-ins/certlet.service.d/own-user.yaml /etc/certlet/site/config.yaml
    systemctl daemon-reload`);
  put(
    '/run/systemd/system/certlet.service.d/site.conf',
    '[Service]\nExecStart=\nExecStart=/usr/bin/certlet run --config /etc/certlet/site/config.yaml\n',
  );
  shell('systemctl daemon-reload; systemctl start certlet');
  await until('its folder', () => exists('/var/lib/certlet/pki/.certlet'));
  run('systemctl', 'stop', 'certlet');
  const words = ['--config', '/etc/certlet/site/config.yaml'];
  const refused = attempt('certlet', 'reset', '--yes', ...words);
  t.equal(refused.status, 77);
  pastes.paste('cli/foreign-state.ts', fixBelow(refused.stderr));
  t.notOk(exists('/var/lib/certlet/pki/.certlet'), refused.stderr);
  start('certlet');
});

const KUBELET = '/run/systemd/system/kubelet.service';

t.test('a kubelet that rotates in the same folder', { skip: noLab }, async (t) => {
  await reset();
  put('/var/lib/kubelet/config.yaml', 'rotateCertificates: true\nserverTLSBootstrap: true\n');
  put(
    KUBELET,
    '[Service]\nExecStart=/usr/local/bin/kubelet --config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf\n',
  );
  put('/usr/local/bin/kubelet', '#!/bin/sh\nexec sleep infinity\n', '755');
  shell('systemctl daemon-reload; systemctl start kubelet');
  pastes.paste('check/rules/kubelet.ts', remedyOf('kubelet.rotates'));
  t.strictSame(findingsOf('kubelet.rotates'), []);
  t.equal(show('kubelet', 'ActiveState'), 'active');
});

t.test('the unit to restart: root’s file and the settings have to name the same', { skip: noLab }, async (t) => {
  await reset();
  put('/run/systemd/system/k8s-node.service', '[Service]\nExecStart=/bin/sleep infinity\n');
  shell('systemctl daemon-reload; systemctl start certlet');
  t.match(remedyOf('kubelet.no-unit'), 'systemctl list-unit-files --type=service ');
  put('/etc/certlet/config.yaml', 'kubelet: { unit: k8s-node.service }\n');
  pastes.paste(DAEMON, remedyOf('kubelet.two-units'));
  t.strictSame([...findingsOf('kubelet.no-unit'), ...findingsOf('kubelet.two-units')], []);
  put('/etc/certlet/config.yaml', '{}\n');
  const remedy = remedyOf('kubelet.two-units');
  put('/etc/certlet/config.yaml', `${/kubelet: \{.*\}/.exec(remedy)?.[0] ?? ''}\n`);
  run('systemctl', 'reload', 'certlet');
  t.strictSame([...findingsOf('kubelet.no-unit'), ...findingsOf('kubelet.two-units')], []);
  await until('certlet with those settings', () => show('certlet', 'ActiveState') === 'active');
});

t.test('every remedy that the registry names this file for was pasted', { skip: noLab }, async (t) => pastes.all(t));
