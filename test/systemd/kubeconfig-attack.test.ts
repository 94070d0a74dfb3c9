/** A flaw in certlet, as far as it goes: the kubelet runs what its kubeconfig names. */
import t from 'tap';
import {
  attempt,
  DROP_INS,
  dropIn,
  exists,
  installDropIn,
  KUBECONFIG,
  noLab,
  PKI,
  put,
  read,
  reset,
  run,
  shell,
  show,
  start,
  until,
  untilSaid,
} from './fixtures/lab.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';
import { probe } from './fixtures/probe.ts';

const DROP_IN = '10-kubeconfig-by-root.conf';
const GOOD = 'server: https://good.test:6443\ncommand: /bin/true\n';
const EVIL = `server: https://evil.test:6443\ncommand: ${PKI}/plugin\n`;
/** Of an entry of `certificates`: kube-proxy runs as root and obeys an `exec` entry, too. */
const PROXY = '/etc/kubernetes/kube-proxy.kubeconfig';
const TRIED = '/etc/kubernetes/bootstrap-kubelet.conf';

/** What a kubelet does with the `exec` entry of its kubeconfig, and which server it then believes. */
function installKubeletStandIn(): void {
  put(
    '/srv/kubelet',
    `#!/bin/sh\nsed -n 's/^server: //p' ${KUBECONFIG} > /run/kubelet-server\n$(sed -n 's/^command: //p' ${KUBECONFIG})\nexec sleep infinity\n`,
    '755',
  );
  put('/run/systemd/system/kubelet.service', '[Service]\nExecStart=/srv/kubelet\n');
  // The plugin lies where every variant lets certlet write.
  put(`${PKI}/plugin`, '#!/bin/sh\ngrep CapEff /proc/self/status > /etc/planted-by-plugin\n', '755');
  run('systemctl', 'daemon-reload');
}

async function attack(): Promise<Readonly<Record<string, string>>> {
  shell('rm -f /etc/planted-by-plugin');
  installKubeletStandIn();
  put(KUBECONFIG, GOOD, '600');
  put(TRIED, GOOD, '600');
  put(PROXY, GOOD, '600');
  const replace = { paths: [KUBECONFIG, TRIED, PROXY], text: EVIL };
  const found = await probe('certlet.service', {
    folder: PKI,
    create: ['/etc/kubernetes/planted'],
    read: [],
    connect: [],
    replace,
  });
  run('systemctl', 'restart', 'kubelet');
  await until('the kubelet', () => exists('/run/kubelet-server') && read('/run/kubelet-server') !== '');
  return found;
}

t.test('where certlet writes the kubeconfig, a flaw in it is root through the kubelet', { skip: noLab }, async (t) => {
  await reset();
  const found = await attack();
  for (const path of [KUBECONFIG, PROXY]) t.equal(found[`write ${path}`], 'ok');
  t.equal(read('/run/kubelet-server'), 'https://evil.test:6443');
  await until('the plugin', () => exists('/etc/planted-by-plugin'));
  t.notMatch(read('/etc/planted-by-plugin'), /CapEff:\s*0{16}/, 'with capabilities, as SECURITY.md says');
  shell('rm -f /etc/planted-by-plugin');
});

for (const variant of ['root', 'a user of its own'] as const) {
  t.test(
    `where root writes the kubeconfig, a flaw in certlet stays in its sandbox: ${variant}`,
    { skip: noLab },
    async (t) => {
      await reset();
      if (variant !== 'root') {
        installDropIn('own-user.conf');
        shell('systemd-sysusers; mkdir -p /var/lib/kubelet/pki; chown certlet /var/lib/kubelet/pki');
      }
      installDropIn(DROP_IN);
      if (variant !== 'root') dropIn('certlet.service', 'pki', `[Service]\nReadWritePaths=${PKI}\n`);
      const found = await attack();
      const ways = Object.keys(found).filter((what) => [KUBECONFIG, TRIED, PROXY].some((path) => what.includes(path)));
      t.equal(ways.length, 15);
      for (const what of [...ways, 'create /etc/kubernetes/planted'])
        t.match(found[what], /^(EROFS|EACCES|EXDEV|EPERM|ENOENT)$/, what);
      t.equal(`${read(KUBECONFIG)}\n`, GOOD);
      t.equal(`${read(PROXY)}\n`, GOOD);
      t.equal(read('/run/kubelet-server'), 'https://good.test:6443');
      t.notOk(exists('/etc/planted-by-plugin'));
      const score = attempt('systemd-analyze', 'security', '--no-pager', 'certlet.service').stdout;
      t.ok(Number(/exposure level for \S+: (\d+\.\d)/.exec(score)?.[1]) <= 1.6);
    },
  );
}

t.test(
  'join --write-kubeconfig by root, then a bootstrap under the closed sandbox, and a changed server',
  { skip: noLab },
  async (t) => {
    await reset();
    await LabCluster.start(t);
    put('/etc/certlet/config.yaml', 'manageKubeconfig: false\n');
    for (const unit of ['certlet.service', 'certlet-once.service']) installDropIn(DROP_IN, unit);
    t.match(run('certlet', 'join', '--write-kubeconfig'), `written: ${KUBECONFIG}`);
    const written = read(KUBECONFIG);
    t.match(written, `client-certificate: ${PKI}/kubelet-client-current.pem`);
    t.equal(run('stat', '-c', '%a %U', KUBECONFIG), '600 root');
    start('certlet');
    await until('both certificates', () => /^client until .*; serving until /.test(show('certlet', 'StatusText')));
    t.equal(read(KUBECONFIG), written, 'nobody else wrote it');
    t.match(attempt('certlet', 'status').stdout, /: healthy/);
    // The same server by another name, as after a move; a bare tree has no such name.
    shell("grep -qw localhost /etc/hosts 2>/dev/null || echo '127.0.0.1 localhost' >> /etc/hosts");
    const bootstrap = read('/etc/kubernetes/bootstrap-kubelet.conf');
    const moved = bootstrap.replace(/https:\/\/127\.0\.0\.1:/, 'https://localhost:');
    t.not(moved, bootstrap);
    put('/etc/kubernetes/bootstrap-kubelet.conf', `${moved}\n`, '600');
    const line = await untilSaid('certlet', 'left to root');
    t.match(line, 'certlet join --write-kubeconfig && systemctl restart kubelet.service');
    t.match(attempt('certlet', 'status').stdout, /has to be written anew, which is left to root/);
    run('certlet', 'join', '--write-kubeconfig');
    t.match(read(KUBECONFIG), 'https://localhost:');
    // What was said of it stays among the last warnings.
    const present = (): string => attempt('certlet', 'status').stdout.replace(/\nLast warnings [^]*$/, '');
    await until('certlet to see it', () => !/left to root/.test(present()));
    t.ok(exists(`${DROP_INS}/${DROP_IN}`));
  },
);
