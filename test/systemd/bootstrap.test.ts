import t from 'tap';
import {
  attempt,
  exists,
  installKubelet,
  journal,
  messages,
  noLab,
  PKI,
  read,
  reset,
  run,
  shell,
  show,
  start,
  subjectOf,
  until,
  untilSaid,
  KUBECONFIG,
} from './fixtures/lab.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';

t.test('a host that has none of the folders is bootstrapped inside the sandbox', { skip: noLab }, async (t) => {
  await reset();
  t.notOk(exists('/etc/kubernetes') || exists('/var/lib/kubelet') || exists('/run/certlet'));
  // Before the bootstrap kubeconfig there is nothing to do, and the service is up all the same.
  start('certlet');
  t.equal(show('certlet', 'ActiveState'), 'active');
  t.ok(exists(`${PKI}/kubelet-server-current.pem`), 'a kubelet could start on the self-signed pair');
  const cluster = await LabCluster.start(t);
  await until('a kubeconfig', () => exists(KUBECONFIG));
  await until('both certificates', () => /^client until .*; serving until /.test(show('certlet', 'StatusText')));

  t.equal(subjectOf(`${PKI}/kubelet-client-current.pem`), 'CN=system:node:sdlab,O=system:nodes');
  t.match(
    run('openssl', 'x509', '-noout', '-ext', 'subjectAltName', '-in', `${PKI}/kubelet-server-current.pem`),
    /DNS:sdlab/,
  );
  t.match(read(KUBECONFIG), new RegExp(`client-certificate: ${PKI}/kubelet-client-current.pem`));
  t.equal(run('stat', '-c', '%a %U', KUBECONFIG), '600 root');
  t.equal((await cluster.tell()).csrs.length, 2, 'one request for each certificate');

  const pid = show('certlet', 'MainPID');
  run('systemctl', 'reload', 'certlet');
  await untilSaid('certlet', /^Settings reloaded/);
  await until('to be ready again', () => show('certlet', 'ActiveState') === 'active');
  t.equal(show('certlet', 'MainPID'), pid, 'the same process');
  await until('the status after the reload', () => show('certlet', 'StatusText').startsWith('client until '));

  // The daemon reloads by itself here; the unit must not stay "reloading" until its start limit ends it.
  const reloads = (): number => messages('certlet').filter((line) => line.startsWith('Settings reloaded')).length;
  const before = reloads();
  shell('printf "servingNames: [%s]\\n" sdlab.test >> /etc/certlet/config.yaml');
  await until('the edited settings file', () => reloads() > before);
  await until('an active unit after an edit', () => show('certlet', 'ActiveState') === 'active');

  const began = performance.now();
  run('systemctl', 'stop', 'certlet');
  const stoppedMs = performance.now() - began;
  t.ok(stoppedMs < 2000, `stopped within two seconds: ${stoppedMs.toFixed(0)} ms`);
  t.equal(show('certlet', 'Result'), 'success');
  t.ok((await cluster.tell()).csrs.length <= 3, 'neither reload nor stop asked for more than the new name does');
});

t.test('journal priorities', { skip: noLab }, async (t) => {
  await reset();
  start('certlet');
  await untilSaid('certlet', 'ERR_CREDENTIAL_MISSING');
  const own = journal('certlet').filter(({ SYSLOG_IDENTIFIER }) => SYSLOG_IDENTIFIER === 'certlet');
  t.equal(own.find(({ MESSAGE }) => MESSAGE.startsWith('Starting certlet'))?.PRIORITY, '6');
  t.ok(
    Number(own.find(({ MESSAGE }) => MESSAGE.includes('ERR_CREDENTIAL_MISSING'))?.PRIORITY) <= 4,
    'a warning or worse',
  );
  t.notOk(
    own.some(({ MESSAGE }) => /^<\d>/.test(MESSAGE)),
    'the prefix is not part of the text',
  );
});

t.test('the kubelet starts when certlet is ready', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  shell(
    'mkdir -p /run/systemd/system/kubelet.service.d; cp /usr/share/certlet/drop-ins/kubelet.service.d/* /run/systemd/system/kubelet.service.d/; systemctl daemon-reload',
  );
  start('kubelet');
  t.equal(show('certlet', 'ActiveState'), 'active', 'the drop-in brought it along');
  const moment = (unit: string, property: string): number => Number(show(unit, property));
  t.ok(moment('certlet', 'ActiveEnterTimestampMonotonic') <= moment('kubelet', 'ExecMainStartTimestampMonotonic'));
});

for (const row of [
  { name: 'wrong settings', prepare: 'echo "certDirr: /x" > /etc/certlet/config.yaml', result: 'exit-code' },
  {
    name: 'a program that is not there',
    prepare:
      'mkdir -p /run/systemd/system/certlet.service.d; printf "[Service]\\nExecStart=\\nExecStart=/nowhere/certlet run\\n" > /run/systemd/system/certlet.service.d/x.conf',
    result: 'exit-code',
  },
  {
    name: 'a program that never gets ready',
    prepare:
      'mkdir -p /run/systemd/system/certlet.service.d; printf "[Service]\\nTimeoutStartSec=1s\\nExecStart=\\nExecStart=/bin/sleep 1000\\n" > /run/systemd/system/certlet.service.d/x.conf',
    result: 'timeout',
  },
]) {
  t.test(`nothing keeps the kubelet from starting: ${row.name}`, { skip: noLab }, async (t) => {
    await reset();
    installKubelet();
    shell(
      `${row.prepare}; mkdir -p /run/systemd/system/kubelet.service.d; cp /usr/share/certlet/drop-ins/kubelet.service.d/* /run/systemd/system/kubelet.service.d/; systemctl daemon-reload`,
    );
    t.equal(attempt('systemctl', 'start', 'kubelet').status, 0);
    t.equal(show('kubelet', 'ActiveState'), 'active');
    t.not(show('certlet', 'ActiveState'), 'active');
    t.equal(show('certlet', 'Result'), row.result);
  });
}

t.test('wrong settings do not restart in a loop', { skip: noLab }, async (t) => {
  await reset();
  shell(
    'echo "certDirr: /x" > /etc/certlet/config.yaml; mkdir -p /run/systemd/system/certlet.service.d; printf "[Service]\\nRestartSec=10ms\\n" > /run/systemd/system/certlet.service.d/x.conf; systemctl daemon-reload',
  );
  t.not(attempt('systemctl', 'start', 'certlet').status, 0);
  await until('the end', () => show('certlet', 'ActiveState') === 'failed');
  t.equal(show('certlet', 'ExecMainStatus'), '78');
  t.equal(show('certlet', 'NRestarts'), '0');
  await untilSaid('certlet', 'certDirr');
});
