import t, { type Test } from 'tap';
import {
  attempt,
  exists,
  installDropIn,
  installKubelet,
  noLab,
  PKI,
  put,
  reset,
  run,
  shell,
  show,
  start,
  until,
} from './fixtures/lab.ts';
import { probe } from './fixtures/probe.ts';

const SOCKETS = [
  '/run/systemd/private',
  '/run/dbus/system_bus_socket',
  '/run/containerd/containerd.sock',
  '/run/docker.sock',
  '/var/lib/kubelet/plugins/driver/csi.sock',
];

/** What a control plane node has, and container runtimes that come up after certlet has started. */
function furnish(): void {
  for (const path of [
    'manifests/etcd.yaml',
    'pki/ca.key',
    'admin.conf',
    'scheduler.conf',
    'kubelet.env',
    'kubelet-extra.conf',
  ])
    put(`/etc/kubernetes/${path}`, 'x', '600');
  put('/etc/ssh/ssh_host_key', 'x', '600');
  put('/var/lib/kubelet/pods/uid/secret', 'x');
  put('/home/somebody/notes', 'x');
  put('/root/notes', 'x');
  put('/tmp/of-the-host', 'x');
}

const LOCKED = [
  '/etc/planted',
  '/etc/systemd/system/planted.service',
  '/run/systemd/system/planted.service',
  '/run/planted',
  '/usr/lib/certlet/planted',
  '/var/lib/planted',
  '/var/lib/kubelet/planted',
  '/etc/kubernetes/manifests/planted.yaml',
  '/etc/kubernetes/pki/planted.key',
  '/etc/kubernetes/kubelet.env',
  '/sys/planted',
];
const HIDDEN = [
  '/etc/shadow',
  '/etc/gshadow',
  '/etc/ssh',
  '/etc/ssh/ssh_host_key',
  '/var/lib/kubelet/pods',
  '/var/lib/kubelet/pods/uid/secret',
  '/var/lib/kubelet/plugins',
  '/etc/kubernetes/manifests',
  '/etc/kubernetes/pki',
  '/etc/kubernetes/pki/ca.key',
  '/etc/kubernetes/manifests/etcd.yaml',
  '/etc/kubernetes/admin.conf',
  '/etc/kubernetes/scheduler.conf',
  '/home/somebody/notes',
  '/root/notes',
];

/** What holds for the service whatever user it runs as. */
function confined(t: Test, found: Readonly<Record<string, string>>): void {
  for (const path of LOCKED) t.match(found[`create ${path}`], /^(EROFS|EACCES|ENOENT)$/, `create ${path}`);
  for (const path of HIDDEN) t.match(found[`read ${path}`], /^(EACCES|ENOENT)$/, `read ${path}`);
  for (const path of SOCKETS) t.match(found[`connect ${path}`], /^(EACCES|ENOENT)$/, `connect ${path}`);
  for (const [what, expected] of Object.entries({
    'rename manifests': /^(EBUSY|EROFS|EACCES)$/,
    'remove manifests': /^(EBUSY|EROFS|EACCES)$/,
    'write through /proc/1/root': /^(EACCES|ENOENT|EROFS)$/,
    'host name': /^(EROFS|ENOENT|EACCES)$/,
    'make a setuid file': /^EPERM$/,
    'give a file away': /^EPERM$/,
    mount: /^exit /,
    'new namespaces': /^exit /,
    'packet socket': /^97$/,
    'netlink socket': /^97$/,
    'transient unit': /^exit /,
    'restart a unit': /^exit /,
    'bus call': /^exit /,
    NoNewPrivs: /^1$/,
    Seccomp: /^2$/,
    core: /^0\s+0$/,
    tmp: /^$/,
  }))
    t.match(found[what], expected, what);
  for (const set of ['CapEff', 'CapPrm', 'CapBnd', 'CapAmb']) t.equal(found[set], '0000000000000000', set);
  t.notMatch(found['devices'], /\b(vd|sd|mem|kmsg)/, 'no devices of the host');
  t.notOk(exists('/etc/planted') || exists('/etc/planted-by-manager'), 'nothing was planted');
}

/** A container runtime as far as its socket goes. */
async function startRuntime(): Promise<void> {
  const listen = 'use IO::Socket::UNIX; umask 0; IO::Socket::UNIX->new(Local => shift, Listen => 5) or die; sleep';
  put('/run/listen.pl', listen);
  put(
    '/run/systemd/system/runtime.service',
    '[Service]\nExecStartPre=rm -f /run/containerd/containerd.sock\nExecStart=perl /run/listen.pl /run/containerd/containerd.sock\n',
  );
  shell('mkdir -p /run/containerd; systemctl daemon-reload; systemctl start runtime');
  await until('its socket', () => exists('/run/containerd/containerd.sock'));
}

t.test('the sandbox holds', { skip: noLab }, async (t) => {
  await reset();
  furnish();
  installKubelet();
  start('kubelet');
  const kubelet = show('kubelet', 'MainPID');
  await startRuntime();
  const allowed = [`${PKI}/ours`, '/etc/kubernetes/ours', '/run/certlet/ours'];
  const found = await probe('certlet.service', {
    folder: PKI,
    create: [...LOCKED, ...allowed],
    read: HIDDEN,
    connect: SOCKETS,
  });
  confined(t, found);
  for (const path of allowed) t.equal(found[`create ${path}`], 'ok', `create ${path}`);
  t.ok(run('ls', '/run/containerd').includes('containerd.sock'), 'there was a socket to reach');
  t.equal(show('kubelet', 'MainPID'), kubelet, 'the kubelet was not touched');
});

t.test('the sandbox holds for a user of its own', { skip: noLab }, async (t) => {
  await reset();
  furnish();
  installKubelet();
  installDropIn('own-user.conf');
  shell('systemd-sysusers');
  const folder = '/var/lib/certlet';
  const found = await probe('certlet.service', {
    folder,
    create: [...LOCKED, `${PKI}/planted`, '/etc/kubernetes/planted', `${folder}/ours`, '/run/certlet/ours'],
    read: HIDDEN,
    connect: SOCKETS,
  });
  confined(t, found);
  t.equal(found['Uid'], run('id', '-u', 'certlet'));
  for (const path of [`${PKI}/planted`, '/etc/kubernetes/planted'])
    t.match(found[`create ${path}`], /^(EROFS|EACCES)$/);
  for (const path of [`${folder}/ours`, '/run/certlet/ours']) t.equal(found[`create ${path}`], 'ok', path);
});

t.test(
  'a CA below /etc/kubernetes/pki can be read with the drop-in for it, the keys not',
  { skip: noLab },
  async (t) => {
    await reset();
    furnish();
    put('/etc/kubernetes/pki/ca.crt', 'x');
    installDropIn('kubernetes-pki.conf');
    const hidden = HIDDEN.filter((path) => path !== '/etc/kubernetes/pki');
    const found = await probe('certlet.service', {
      folder: PKI,
      create: LOCKED,
      read: [...hidden, '/etc/kubernetes/pki/ca.crt'],
      connect: SOCKETS,
    });
    for (const path of hidden) t.match(found[`read ${path}`], /^(EACCES|ENOENT)$/, `read ${path}`);
    for (const path of LOCKED) t.match(found[`create ${path}`], /^(EROFS|EACCES|ENOENT)$/, `create ${path}`);
    t.equal(found['read /etc/kubernetes/pki/ca.crt'], 'ok');
  },
);

t.test(
  'a socket of the manager or of a runtime that is made anew while certlet runs does not come into its sandbox',
  { skip: noLab },
  async (t) => {
    await reset();
    installKubelet();
    const listen = (): void =>
      shell(
        `systemctl stop docker-like 2> /dev/null || :
         systemd-run -q --unit docker-like --collect perl -MIO::Socket::UNIX -e 'unlink "/run/docker.sock"; IO::Socket::UNIX->new(Local => "/run/docker.sock", Listen => 5) or die; sleep'
         until [ -S /run/docker.sock ]; do :; done`,
      ) as unknown as void;
    listen();
    const found = await probe('certlet.service', {
      folder: PKI,
      create: [],
      read: [],
      connect: SOCKETS,
      meanwhile: () => {
        run('systemctl', 'daemon-reexec');
        listen();
      },
    });
    run('systemctl', 'stop', 'docker-like');
    for (const path of SOCKETS) t.match(found[`later connect ${path}`], /^(EACCES|ENOENT)$/, path);
    t.match(found['later transient unit'], /^exit /);
    t.notOk(exists('/etc/planted-later'));
  },
);

t.test('the folders that the sandbox hides are made before its first start', { skip: noLab }, async (t) => {
  await reset();
  t.notOk(exists('/var/lib/kubelet/pods'));
  start('certlet');
  t.equal(run('stat', '-c', '%a', '/var/lib/kubelet/pods'), '750');
  put('/var/lib/kubelet/pods/uid/secret', 'x');
  put('/etc/ssh/ssh_host_key', 'x');
  const inside = (path: string): number =>
    attempt('nsenter', '-t', show('certlet', 'MainPID'), '-m', '--', 'cat', path).status;
  t.not(inside('/var/lib/kubelet/pods/uid/secret'), 0);
  t.not(inside('/etc/ssh/ssh_host_key'), 0);
});
