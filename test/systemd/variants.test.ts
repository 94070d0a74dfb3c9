import t from 'tap';
import {
  attempt,
  BOOTSTRAP,
  dropIn,
  exists,
  installDropIn,
  KUBECONFIG,
  messages,
  noLab,
  put,
  read,
  reset,
  run,
  shell,
  show,
  start,
  stop,
  subjectOf,
  until,
  untilFed,
  untilSaid,
} from './fixtures/lab.ts';
import { joinWords } from './fixtures/join-words.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';

const settled = (): boolean => /^client until .*; serving until /.test(show('certlet', 'StatusText'));

t.test('the timer brings a host up to date, and waiting is no failure', { skip: noLab }, async (t) => {
  await reset();
  dropIn('certlet-once.service', 'short', '[Service]\nExecStart=\nExecStart=/usr/bin/certlet once --timeout 2s\n');
  dropIn(
    'certlet-once.timer',
    'often',
    '[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nRandomizedDelaySec=0\nAccuracySec=10ms\n',
  );
  // Nothing is there to take the flag.
  put('/etc/certlet/config.yaml', 'kubelet:\n  restart: never\n');
  const cluster = await LabCluster.start(t, { approval: 'manual' });
  const words = (): string => messages('certlet-once.service').join('\n');
  start('certlet-once.timer');
  await until('a run that waits for approval', () => /not up to date after[^]*\nFinished/.test(words()));
  // The serving request follows the client's.
  let csrs: readonly string[] = [];
  while (csrs.length < 2) ({ csrs } = await cluster.tell({ approveAll: true }));
  await until('both certificates', () => words().split('Certificate is current').length === 3);
  stop('certlet-once.timer');
  await until('rest', () => show('certlet-once.service', 'ActiveState') === 'inactive');
  t.equal(show('certlet-once.service', 'Result'), 'success');
  t.ok(exists(KUBECONFIG));
  t.equal((await cluster.tell()).csrs.length, 2, 'each run resumed the same request');
});

/** Whether somebody answers on the control socket. */
const answers = (): boolean =>
  attempt(
    'perl',
    '-MIO::Socket::UNIX',
    '-e',
    'IO::Socket::UNIX->new(Peer => shift) or exit 1',
    '/run/certlet/control.sock',
  ).status === 0;
const statusCommand = (): string =>
  (JSON.parse(read('/run/certlet/status.json')) as { process: { command: string } }).process.command;

t.test(
  'a round beside the daemon takes neither its lock, nor its socket, nor its status',
  { skip: noLab },
  async (t) => {
    await reset();
    start('certlet');
    await until('the status', () => exists('/run/certlet/status.json'));
    t.equal(run('stat', '-c', '%a', '/run/certlet/control.sock'), '600', 'for its owner only');
    start('certlet-once.service');
    await untilSaid('certlet-once.service', /is managed by process \d+ \(certlet run,/);
    t.ok(answers(), 'the socket lives');
    t.equal(statusCommand(), 'run');
  },
);

t.test('the status outlives a stop, and anybody may read it', { skip: noLab }, async (t) => {
  await reset();
  start('certlet');
  await until('the status', () => exists('/run/certlet/status.json'));
  stop('certlet');
  t.equal(run('stat', '-c', '%a %U', '/run/certlet'), '755 root');
  const asNobody = attempt('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'certlet', 'status');
  t.match(asNobody.stdout, /client/, asNobody.stderr);
  start('certlet');
  t.ok(answers(), 'the next daemon takes the socket over');
});

t.test('the status of the timer variant outlives its runs', { skip: noLab }, async (t) => {
  await reset();
  dropIn('certlet-once.service', 'short', '[Service]\nExecStart=\nExecStart=/usr/bin/certlet once --timeout 1s\n');
  start('certlet-once.service');
  t.equal(statusCommand(), 'once');
  t.equal(run('stat', '-c', '%a', '/run/certlet/status.json'), '644');
});

t.test('certlet as a user of its own: bootstrap with folders of its own', { skip: noLab }, async (t) => {
  await reset();
  installDropIn('own-user.conf');
  shell('systemd-sysusers; cp /usr/share/certlet/drop-ins/certlet.service.d/own-user.yaml /etc/certlet/config.yaml');
  await LabCluster.start(t, {}, '/etc/certlet/bootstrap-kubelet.conf');
  shell('chgrp certlet /etc/certlet/bootstrap-kubelet.conf; chmod 640 /etc/certlet/bootstrap-kubelet.conf');
  start('certlet');
  await until('both certificates', settled);
  t.equal(run('stat', '-c', '%a %U', '/var/lib/certlet/kubelet.conf'), '600 certlet');
  t.equal(subjectOf('/var/lib/certlet/pki/kubelet-client-current.pem'), 'CN=system:node:sdlab,O=system:nodes');
  t.equal(run('stat', '-c', '%a %U', '/var/lib/certlet'), '750 certlet');
  t.notOk(exists(KUBECONFIG));
  t.match(run('ps', '-o', 'user=', '-p', show('certlet', 'MainPID')), /^certlet/);
  const seen = attempt('certlet', 'check', '--output', 'json').stdout;
  t.match(seen, /"id": "certificate\.client"/, 'root sees what the service sees');
  t.notMatch(seen, /chown root/, 'and is not told to take it away from the service');
  stop('certlet');
  t.match(attempt('certlet', 'renew').stderr, /runuser -u/);
});

t.test('the bootstrap kubeconfig as a systemd credential', { skip: noLab }, async (t) => {
  await reset();
  installDropIn('credential.conf');
  t.not(attempt('systemctl', 'start', 'certlet').status, 0, 'without its source the unit does not start');
  t.equal(show('certlet', 'ExecMainStatus'), '243');
  stop('certlet');
  const source = '/etc/certlet/bootstrap-kubelet.conf';
  await LabCluster.start(t, {}, source);
  const { token, words } = joinWords(read(source));
  shell(`rm ${source}`);
  put('/run/token', token, '600');
  put('/etc/certlet/config.yaml', `bootstrapKubeconfig: ${source}\n`);
  t.match(run('certlet', 'join', ...words), `written: ${source}`);
  start('certlet');
  await until('both certificates', settled);
  t.notOk(exists(BOOTSTRAP));
  t.match(read(KUBECONFIG), /current-context/);
});

t.test('an exec credential plugin runs inside the sandbox, with a home of its own', { skip: noLab }, async (t) => {
  await reset();
  installDropIn('exec-plugin.conf');
  put(
    '/usr/local/bin/give-token',
    `#!/bin/sh
set -e
touch "$HOME/cached"
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"abcdef.0123456789abcdef"}}'
`,
    '755',
  );
  await LabCluster.start(t);
  const plugin =
    '    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: /usr/local/bin/give-token\n      interactiveMode: Never';
  put(BOOTSTRAP, read(BOOTSTRAP).replace(/ {4}token: .*/, plugin), '600');
  start('certlet');
  await until('both certificates', settled);
  t.equal(run('stat', '-c', '%a %U', '/var/cache/certlet/cached'), '600 root');
});

t.test('another folder: the error names certlet allow, and what it says mends it', { skip: noLab }, async (t) => {
  await reset();
  shell('mkdir -p /srv/certificates');
  put('/etc/certlet/config.yaml', 'certDir: /srv/certificates\n');
  start('certlet');
  t.equal(show('certlet', 'ActiveState'), 'active', 'ready all the same');
  const line = await untilSaid('certlet', 'EROFS');
  const fix = / fix: (.*)$/.exec(line)?.[1] ?? '';
  t.match(fix, 'certlet allow /srv/certificates');
  const command = fix;
  shell(command);
  await LabCluster.start(t);
  await until('both certificates', settled);
  t.ok(exists('/srv/certificates/kubelet-client-current.pem'));
});

t.test('without node:ffi the service gets ready by systemd-notify', { skip: noLab }, async (t) => {
  await reset();
  dropIn(
    'certlet.service',
    'no-ffi',
    '[Service]\nTimeoutStartSec=30s\nWatchdogSec=4s\nExecStart=\nExecStart=/usr/lib/certlet/node --no-experimental-ffi /usr/lib/certlet/certlet.cjs run\n',
  );
  start('certlet');
  const pid = show('certlet', 'MainPID');
  t.match(show('certlet', 'StatusText'), /^client not issued/);
  await untilFed('certlet', 4000);
  t.equal(show('certlet', 'MainPID'), pid, 'the watchdog is fed too');
});
