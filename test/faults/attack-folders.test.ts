/** What another user of the host plants, and folders and files that others can change. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { HostFiles } from '../../src/adapters/host-files.ts';
import { askKubeletVersion } from '../../src/adapters/host-kubelet.ts';
import { readProcesses } from '../../src/adapters/host-processes.ts';
import { CertletHost } from '../fixtures/certlet-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { asOther, NO_OTHER_USER, openFolder, otherProcess } from './fixtures/other-user.ts';

const skip = NO_OTHER_USER ?? false;

/** Places that another user may fill where the folder is sticky. */
const PLANTS = [
  'conf/kubelet.conf',
  'conf/.kubelet.conf.fedcba9876543210.certlet-tmp',
  'conf/certlet.prom',
  'pki/kubelet-client-current.pem',
  'pki/kubelet-server-current.pem',
  'pki/.kubelet-client-current.pem.fedcba9876543210.certlet-tmp',
  'pki/kubelet-client-2020-01-01-00-00-00.pem',
  'pki/kubelet-client.crt',
  'pki/kubelet-client.key',
  'pki/kubelet.key',
  'pki/.certlet.lock.holder',
  'run/status.json',
  'run/control.sock',
  'run/.status.json.fedcba9876543210.certlet-tmp',
];

for (const plant of ['links', 'links to nothing', 'files'] as const) {
  t.test(`${plant} of another user in every folder that is written lead nowhere`, { skip }, async (t) => {
    const cluster = await startFakeCluster({ approveServing: true });
    t.teardown(() => cluster.close());
    const site = openFolder(t);
    for (const name of ['conf', 'pki', 'run']) {
      mkdirSync(join(site, name));
      chmodSync(join(site, name), 0o1777);
    }
    const host = new CertletHost(t, cluster, {
      certDir: join(site, 'pki'),
      stateDir: join(openFolder(t), 'state'),
      runtimeDir: join(site, 'run'),
      kubeconfig: join(site, 'conf/kubelet.conf'),
      metrics: { textfile: join(site, 'conf/certlet.prom') },
      plainFiles: {
        client: { certFile: join(site, 'pki/kubelet-client.crt'), keyFile: join(site, 'pki/kubelet-client.key') },
        serving: { certFile: join(site, 'pki/kubelet.crt'), keyFile: join(site, 'pki/kubelet.key') },
      },
    });
    const victims = openFolder(t, 0o777);
    const victim = (at: string): string => join(victims, at.replace('/', '-'));
    for (const at of PLANTS) {
      const path = join(site, at);
      if (plant === 'files') asOther(`echo planted > ${path}; chmod 666 ${path}`);
      else asOther(`ln -s ${victim(at)} ${path}`);
      if (plant !== 'links') continue;
      writeFileSync(victim(at), 'untouched');
      chmodSync(victim(at), 0o666);
    }
    const { code, stderr } = await host.run(['once', '--timeout', '30s']);
    t.equal(code, 0, stderr);
    if (plant !== 'links') t.strictSame(readdirSync(victims), [], 'nothing is made behind them');
    for (const at of plant === 'links' ? PLANTS : []) {
      t.equal(readFileSync(victim(at), 'utf8'), 'untouched', at);
      t.equal(statSync(victim(at)).mode & 0o777, 0o666, `${at}: nor is its mode changed`);
    }
    for (const name of ['conf/kubelet.conf', 'pki/kubelet-client.key', 'pki/kubelet.key']) {
      const { uid, mode } = lstatSync(join(site, name));
      t.strictSame([uid, mode], [process.geteuid?.(), 0o100600], `${name} is a private file of ours`);
    }
  });
}

t.test('a pair that another user has planted, with a certificate of the cluster, is not used', { skip }, async (t) => {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  const certDir = join(openFolder(t), 'pki');
  mkdirSync(certDir);
  chmodSync(certDir, 0o1777);
  const planted = cluster.clientCa.issue({ commonName: 'system:node:n1', organizations: ['system:nodes'] });
  const files = openFolder(t, 0o777);
  writeFileSync(join(files, 'pair'), planted.certPem + planted.keyPem);
  chmodSync(join(files, 'pair'), 0o644);
  const name = 'kubelet-client-2099-01-01-00-00-00.pem';
  asOther(`cp ${join(files, 'pair')} ${certDir}/${name}; ln -s ${name} ${certDir}/kubelet-client-current.pem`);
  const host = new CertletHost(t, cluster, { certDir, stateDir: join(openFolder(t), 'state') });
  const { code, stderr } = await host.run(['once', '--timeout', '30s']);
  t.equal(code, 0, stderr);
  const current = join(certDir, 'kubelet-client-current.pem');
  t.equal(statSync(current).uid, process.geteuid?.());
  t.notOk(readFileSync(current, 'utf8').includes(planted.keyPem.slice(60, 120)), 'the key is not the one planted');
});

t.test('a state folder was written through a link of another user in a sticky cert-dir', { skip }, async (t) => {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  for (const place of ['state folder', 'cert-dir', 'folder above the cert-dir'] as const) {
    const site = openFolder(t, 0o1777);
    const victim = openFolder(t, 0o700);
    const certDir = place === 'folder above the cert-dir' ? join(site, 'link/pki') : join(site, 'pki');
    if (place === 'state folder') {
      mkdirSync(certDir);
      chmodSync(certDir, 0o1777);
      asOther(`ln -s ${victim} ${certDir}/.certlet`);
    } else asOther(`ln -s ${victim} ${place === 'cert-dir' ? certDir : join(site, 'link')}`);
    const host = new CertletHost(t, cluster, { certDir });
    const { code, stderr } = await host.run(['once', '--timeout', '5s']);
    t.strictSame(readdirSync(victim), [], `${place}: nothing is written behind the link`);
    t.not(code, 0, place);
    t.match(stderr, /is a link of user 65534/, `${place}: ${stderr}`);
    t.match(stderr, /rm \//, `${place}: names the command`);
  }
});

t.test('a lock that another user has planted as a link, a pipe or a file of theirs is refused', { skip }, async (t) => {
  const cluster = await startFakeCluster();
  t.teardown(() => cluster.close());
  for (const plant of ['ln -s /etc/passwd', 'mkfifo', 'touch']) {
    const host = new CertletHost(t, cluster);
    mkdirSync(host.certDir);
    chmodSync(host.certDir, 0o1777);
    asOther(`${plant} ${join(host.certDir, '.certlet.lock')}`);
    const before = statSync('/etc/passwd').mode;
    const { code, stderr } = await host.run(['once', '--timeout', '20s']);
    t.not(code, 0, plant);
    t.match(stderr, /\.certlet\.lock/, plant);
    t.equal(statSync('/etc/passwd').mode, before);
  }
});

t.test('folders and files that others can change are refused, with the place and the command', { skip }, async (t) => {
  const cluster = await startFakeCluster();
  t.teardown(() => cluster.close());
  const cases: Readonly<Record<string, (host: CertletHost) => void>> = {
    'a cert-dir that everybody may write': (host) => (mkdirSync(host.certDir), chmodSync(host.certDir, 0o777)),
    'a cert-dir of another user': (host) => (mkdirSync(host.certDir), chownSync(host.certDir, 65_534, 65_534)),
    'a cert-dir in a folder that everybody may write': (host) => chmodSync(host.folder, 0o777),
    'a state folder of another user': (host) => (
      mkdirSync(join(host.certDir, '.certlet'), { recursive: true }),
      chownSync(join(host.certDir, '.certlet'), 65_534, 65_534)
    ),
    'settings that everybody may write': (host) => chmodSync(host.settingsPath, 0o666),
    'settings of another user': (host) => chownSync(host.settingsPath, 65_534, 65_534),
  };
  for (const [name, prepare] of Object.entries(cases)) {
    const host = new CertletHost(t, cluster);
    prepare(host);
    const { code, stderr } = await host.run(['once', '--timeout', '3s']);
    t.not(code, 0, name);
    t.match(stderr, /chown|chmod/, `${name}: names the command\n${stderr}`);
    t.notOk(existsSync(join(host.certDir, 'kubelet-client-current.pem')), name);
  }
});

t.test(
  'an exec plugin is not run from a kubeconfig, or out of a folder, that others can change',
  { skip },
  async (t) => {
    const cluster = await startFakeCluster();
    t.teardown(() => cluster.close());
    for (const unsafe of ['kubeconfig', 'plugin', 'folder'] as const) {
      const host = new CertletHost(t, cluster);
      const tools = openFolder(t);
      const plugin = join(tools, 'plugin');
      writeFileSync(plugin, `#!/bin/sh\ntouch ${join(host.folder, 'ran')}\n`, { mode: 0o755 });
      const kubeconfig = join(host.folder, 'bootstrap-kubelet.conf');
      writeFileSync(
        kubeconfig,
        JSON.stringify({
          clusters: [
            {
              name: 'c',
              cluster: {
                server: cluster.url,
                'certificate-authority-data': Buffer.from(cluster.serverCa.pem).toString('base64'),
              },
            },
          ],
          users: [
            {
              name: 'u',
              user: {
                exec: { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, interactiveMode: 'Never' },
              },
            },
          ],
          contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
          'current-context': 'x',
        }),
      );
      if (unsafe === 'folder') chmodSync(tools, 0o777);
      else chmodSync(unsafe === 'plugin' ? plugin : kubeconfig, 0o777);
      const { stderr } = await host.run(['once', '--timeout', '3s']);
      t.match(stderr, /ERR_KUBECONFIG_UNSAFE|can be written by others/, unsafe);
      t.notOk(existsSync(join(host.folder, 'ran')), `${unsafe}: the plugin ran`);
    }
  },
);

t.test('a process of another user that calls itself kubelet is not taken for the kubelet', { skip }, async (t) => {
  otherProcess(t, '/tmp/planted/kubelet', ['--kubeconfig=/tmp/planted/kubeconfig']);
  const found = await readProcesses(new HostFiles('/'));
  t.notOk(found.some(({ argv }) => argv[0] === '/tmp/planted/kubelet'));
});

t.test('a program that another user can change is not asked for its version', { skip }, async (t) => {
  const folder = openFolder(t);
  const program = join(folder, 'kubelet');
  writeFileSync(program, '#!/bin/sh\necho Kubernetes v1.2.3\n', { mode: 0o755 });
  t.equal(await askKubeletVersion([program]), 'Kubernetes v1.2.3\n');
  chmodSync(program, 0o777);
  t.equal(await askKubeletVersion([program]), undefined, 'writable by others');
  chmodSync(program, 0o755);
  chownSync(program, 65_534, 65_534);
  t.equal(await askKubeletVersion([program]), undefined, 'of another user');
});

t.test('a kubelet that was asked for its version got the whole environment of the service', { skip }, async (t) => {
  const program = join(openFolder(t), 'kubelet');
  writeFileSync(program, '#!/bin/sh\n/usr/bin/env\n', { mode: 0o755 });
  process.env['HTTPS_PROXY'] = 'http://user:hunter2-proxy-password@127.0.0.1:1';
  t.teardown(() => delete process.env['HTTPS_PROXY']);
  const shown = (await askKubeletVersion([program])) ?? '';
  t.match(shown, /^LANG=C\.UTF-8$/m, 'it told its environment');
  t.notMatch(shown, /HTTPS_PROXY|hunter2/);
});
