/** What another user of the host plants, and folders and files that others can change. */
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { HostFiles } from '../../src/adapters/host-files.ts';
import { askKubeletVersion } from '../../src/adapters/host-kubelet.ts';
import { readProcesses } from '../../src/adapters/host-processes.ts';
import { CertletHost } from '../fixtures/certlet-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { asOther, NO_OTHER_USER, openFolder, otherProcess } from './fixtures/other-user.ts';

const skip = NO_OTHER_USER ?? false;

t.test('links of another user in every folder that is written lead nowhere', { skip }, async (t) => {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  const sticky = openFolder(t, 0o1777);
  const host = new CertletHost(t, cluster, {
    certDir: join(sticky, 'pki'),
    stateDir: join(openFolder(t), 'state'),
    kubeconfig: join(sticky, 'kubelet.conf'),
    metrics: { textfile: join(sticky, 'certlet.prom') },
  });
  const victim = join(openFolder(t), 'victim');
  writeFileSync(victim, 'untouched', { mode: 0o666 });
  chmodSync(victim, 0o666);
  mkdirSync(join(sticky, 'pki'));
  chmodSync(join(sticky, 'pki'), 0o1777);
  chmodSync(host.runtimeDir, 0o1777);
  for (const path of [
    'kubelet.conf',
    '.kubelet.conf.0123456789abcdef.certlet-tmp',
    'certlet.prom',
    'pki/kubelet-client-current.pem',
    'pki/kubelet-server-current.pem',
    'pki/.kubelet-client-current.pem.0123456789abcdef.certlet-tmp',
    'pki/.certlet.lock.holder',
  ])
    asOther(`ln -s ${victim} ${join(sticky, path)}`);
  asOther(
    `ln -s ${victim} ${join(host.runtimeDir, 'status.json')}; ln -s ${victim} ${join(host.runtimeDir, 'control.sock')}`,
  );
  const { code, stderr } = await host.run(['once', '--timeout', '30s']);
  t.equal(readFileSync(victim, 'utf8'), 'untouched');
  t.equal(statSync(victim).mode & 0o777, 0o666, 'nor is its mode changed');
  t.ok(code === 0 || /ERR_|remedy/.test(stderr), `done or said why: ${String(code)} ${stderr}`);
  const kubeconfig = lstatSync(join(sticky, 'kubelet.conf'));
  if (kubeconfig.isFile()) t.strictSame([kubeconfig.uid, kubeconfig.mode & 0o777], [process.geteuid?.(), 0o600]);
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
