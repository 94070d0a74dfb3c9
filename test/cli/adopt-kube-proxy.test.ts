/** `certlet adopt` on a host whose kube-proxy runs as a unit of its own. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { readHostKubeProxy } from '../../src/adapters/host-kube-proxy.ts';
import { readHostKubelet } from '../../src/adapters/host-kubelet.ts';
import { adoptKubelet } from '../../src/cli/adopt.ts';
import type { AdoptArguments } from '../../src/cli/command.ts';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { loadSettings } from '../../src/config.ts';
import { parseYaml } from '../../src/kubeconfig/yaml.ts';
import { kubeProxyArguments } from '../../src/kubelet/kube-proxy.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

type Tree = Readonly<Record<string, string>>;

const SETTINGS = '/etc/certlet/config.yaml';
const PATHS = '/etc/systemd/system/certlet.service.d/20-adopted-paths.conf';
const KUBECONFIG = '/etc/kubernetes/kube-proxy.kubeconfig';
const PAIR = '/var/lib/certlet/certs/kube-proxy/kube-proxy-current.pem';
const authority = createAuthority({ name: 'kubernetes' });

const unit = (command: string): string => `[Service]\nExecStart=${command}\n`;
const kubeconfig = (commonName: string): string => {
  const { chainPem, keyPem } = authority.issue({ commonName });
  const data = (text: string): string => Buffer.from(text).toString('base64');
  return JSON.stringify({
    clusters: [
      {
        name: 'c',
        cluster: { server: 'https://192.0.2.1:6443', 'certificate-authority-data': data(authority.pem) },
      },
    ],
    users: [{ name: 'p', user: { 'client-certificate-data': data(chainPem), 'client-key-data': data(keyPem) } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'p' } }],
    'current-context': 'x',
  });
};

const HOST: Tree = {
  '/proc/sys/kernel/hostname': 'node1\n',
  '/etc/systemd/system/kubelet.service': unit('/usr/bin/kubelet --kubeconfig=/etc/kubernetes/kubelet.conf'),
  '/etc/systemd/system/kube-proxy.service': unit(`/usr/bin/kube-proxy --kubeconfig=${KUBECONFIG} --v=2`),
  [KUBECONFIG]: kubeconfig('system:kube-proxy'),
};
const ENTRY = {
  name: 'kube-proxy',
  signerName: 'kubernetes.io/kube-apiserver-client',
  commonName: 'system:kube-proxy',
  organizations: ['system:node-proxier'],
  usages: ['digital signature', 'client auth'],
  kubeconfig: KUBECONFIG,
  reload: 'kube-proxy',
};

interface Answer {
  readonly settings: { readonly certificates?: readonly object[] };
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  readonly next: readonly string[];
  readonly kubeProxy?: object;
}

class Host {
  readonly root: string;
  text = '';

  constructor(t: Test, tree: Tree = {}) {
    this.root = t.testdir({});
    for (const [path, text] of Object.entries({ ...HOST, ...tree })) this.put(path, text);
  }

  put(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  read(path: string): string | undefined {
    return existsSync(join(this.root, path)) ? readFileSync(join(this.root, path), 'utf8') : undefined;
  }

  async adopt(options: { readonly write?: boolean; readonly writeKubeconfig?: boolean } = {}): Promise<Answer> {
    const { root } = this;
    const host = await readHostKubelet({ root, unit: 'kubelet.service', askVersion: async () => undefined });
    this.text = '';
    const ports = { fs: new NodeFileSystem(), root, print: (part: string) => void (this.text += part) };
    const kubeProxy = await readHostKubeProxy(root);
    const request = { host, settingsPath: SETTINGS, write: false, writeKubeconfig: false, kubeProxy, ...options };
    const { answer } = await adoptKubelet(request, ports);
    return answer as Answer;
  }

  /** The entries as certlet reads them. */
  certificates(): readonly unknown[] {
    const fileText = this.read(SETTINGS) ?? '';
    loadSettings({ flags: {}, fileText, filePath: SETTINGS, osHostname: 'node1' });
    return (parseYaml(fileText, SETTINGS).value as { certificates: readonly unknown[] }).certificates;
  }
}

t.test('its entry is shown, written, and not written twice', async (t) => {
  const host = new Host(t);
  const shown = await host.adopt();
  t.equal(host.read(SETTINGS), undefined, 'dry unless told');
  t.strictSame(shown.settings.certificates, [ENTRY]);
  t.match(
    host.text,
    `kube-proxy: kube-proxy.service, not running\n  read: /etc/systemd/system/kube-proxy.service\n  kubeconfig: ${KUBECONFIG}, as system:kube-proxy\n`,
  );
  t.match(shown.kubeProxy, { unit: 'kube-proxy.service', kubeconfig: KUBECONFIG, managed: true });
  t.strictSame(
    shown.next.slice(-4).map((step) => step.replace(/ {3}#.*/, '')),
    [
      'certlet allow --reload kube-proxy=kube-proxy.service:try-restart',
      'systemctl enable --now certlet-reload@kube-proxy.path',
      'kubectl apply -f /usr/share/certlet/rbac/kube-proxy.yaml',
      'kubectl certificate approve NAME',
    ],
  );
  await host.adopt({ write: true });
  t.strictSame(host.certificates(), [ENTRY]);
  const text = host.read(SETTINGS);
  await host.adopt({ write: true });
  t.equal(host.read(SETTINGS), text);
  t.match(host.text, "certlet's files: nothing to change");
});

t.test('steps that are done are not told again', async (t) => {
  const host = new Host(t, {
    '/etc/certlet/reload/kube-proxy.env': 'UNIT=kube-proxy.service\n',
    '/etc/systemd/system/multi-user.target.wants/certlet-reload@kube-proxy.path': '',
    [PAIR]: 'x',
  });
  t.notMatch((await host.adopt()).next.join('\n'), /kube-proxy/);
});

t.test('an entry of the settings stays as somebody wrote it, and others stay beside it', async (t) => {
  const other = { name: 'exporter', signerName: 'example.com/x', commonName: 'x', usages: ['client auth'] };
  const own = { ...ENTRY, name: 'proxy', commonName: 'site:proxy', reload: 'proxy' };
  const host = new Host(t, { [SETTINGS]: JSON.stringify({ certificates: [other] }) });
  await host.adopt({ write: true });
  t.strictSame(host.certificates(), [other, ENTRY]);
  const kept = new Host(t, { [SETTINGS]: JSON.stringify({ certificates: [own] }) });
  await kept.adopt({ write: true });
  t.strictSame(kept.certificates(), [own]);
});

t.test('its configuration decides over --kubeconfig, and stays read-only in a folder that is opened', async (t) => {
  const host = new Host(t, {
    '/etc/systemd/system/kube-proxy.service': unit(
      `/usr/bin/kube-proxy --config=/var/lib/kube-proxy/config.yaml --kubeconfig=${KUBECONFIG}`,
    ),
    '/var/lib/kube-proxy/config.yaml':
      'kind: KubeProxyConfiguration\nclientConnection: { kubeconfig: /var/lib/kube-proxy/kubeconfig }\n',
    '/var/lib/kube-proxy/kubeconfig': kubeconfig('kube-proxy-of-the-site'),
  });
  const { settings, warnings } = await host.adopt({ write: true });
  t.match(settings.certificates, [{ kubeconfig: '/var/lib/kube-proxy/kubeconfig' }]);
  t.match(warnings.join('\n'), /it is kube-proxy-of-the-site now and becomes system:kube-proxy/);
  t.match(
    host.read(PATHS),
    /^ReadWritePaths=-\/var\/lib\/kube-proxy\nReadOnlyPaths=-\/var\/lib\/kube-proxy\/config\.yaml$/m,
  );
});

for (const [name, tree, warning] of [
  [
    'no kubeconfig',
    { '/etc/systemd/system/kube-proxy.service': unit('/usr/bin/kube-proxy --v=2') },
    /it has no kubeconfig/,
  ],
  [
    'a path that depends on its working folder',
    { '/etc/systemd/system/kube-proxy.service': unit('/usr/bin/kube-proxy --kubeconfig=proxy.conf') },
    /depends on its working folder/,
  ],
  [
    "the kubelet's kubeconfig",
    { '/etc/systemd/system/kube-proxy.service': unit('/usr/bin/kube-proxy --kubeconfig=/etc/kubernetes/kubelet.conf') },
    /it uses the kubelet's kubeconfig/,
  ],
  [
    'a configuration that is no YAML',
    {
      '/etc/systemd/system/kube-proxy.service': unit('/usr/bin/kube-proxy --config=/etc/proxy.yaml'),
      '/etc/proxy.yaml': '{',
    },
    /kube-proxy: \/etc\/proxy\.yaml/,
  ],
  [
    'a configuration that is not there',
    { '/etc/systemd/system/kube-proxy.service': unit('/usr/bin/kube-proxy --config=/etc/proxy.yaml') },
    /its configuration \/etc\/proxy\.yaml could not be read/,
  ],
] as const) {
  t.test(`${name}: a warning and no entry`, async (t) => {
    const { settings, warnings, next } = await new Host(t, tree).adopt();
    t.equal(settings.certificates, undefined);
    t.match(warnings.join('\n'), warning);
    t.notMatch(next.join('\n'), /kube-proxy/);
  });
}

t.test('a kubeconfig left to root: no entry for it, and root writes it once there is a pair', async (t) => {
  const host = new Host(t, { [SETTINGS]: JSON.stringify({ certificates: [ENTRY] }) });
  host.put('/etc/kubernetes/kubelet.conf', kubeconfig('system:node:node1'));
  const first = await host.adopt({ write: true, writeKubeconfig: true });
  const { kubeconfig: _, ...entry } = ENTRY;
  t.strictSame(host.certificates(), [entry]);
  t.match(
    first.warnings.join('\n'),
    /kube-proxy\.kubeconfig does not name .*kube-proxy-current\.pem yet: once certlet has its certificate, and run certlet adopt --write again/,
  );
  host.put(PAIR, 'x');
  await host.adopt({ write: true });
  t.match(host.text, `written: ${KUBECONFIG}`);
  t.notMatch(host.text, /PRIVATE|client-key-data/);
  t.match(host.read(KUBECONFIG), PAIR);
  t.match(host.read(KUBECONFIG), 'https://192.0.2.1:6443');
  await host.adopt({ write: true });
  t.notMatch(host.text, `written: ${KUBECONFIG}`);
});

t.test('a kubeconfig in a folder of the kubelet: root writes it, and the folder stays closed', async (t) => {
  const path = '/var/lib/kubelet/proxy.conf';
  const host = new Host(t, {
    '/etc/systemd/system/kube-proxy.service': unit(`/usr/bin/kube-proxy --kubeconfig=${path}`),
    [path]: kubeconfig('system:kube-proxy'),
  });
  const { settings, notes } = await host.adopt({ write: true });
  t.notOk('kubeconfig' in (settings.certificates?.[0] ?? {}));
  t.match(notes.join('\n'), `/var/lib/kubelet is not certlet's alone, so root writes ${path}`);
  t.notMatch(host.read(PATHS) ?? '', /ReadWritePaths=-\/var\/lib\/kubelet$/m);
});

t.test('a process without a unit; one in a container or of another user is none of this host', async (t) => {
  const running = (uid: number, cgroup: string): Tree => ({
    '/etc/systemd/system/kube-proxy.service': '',
    '/proc/77/cmdline': ['/opt/hyperkube', 'kube-proxy', `--kubeconfig=${KUBECONFIG}`, ''].join('\0'),
    '/proc/77/cgroup': cgroup,
    '/proc/77/status': `Uid:\t${String(uid)}\t${String(uid)}\t${String(uid)}\t${String(uid)}\n`,
  });
  const host = new Host(t, running(0, '0::/init.scope\n'));
  t.match((await host.adopt()).next.join('\n'), 'certlet allow --reload kube-proxy=UNIT:try-restart');
  t.match(host.text, 'kube-proxy: a process without a unit, running as process 77');
  t.equal((await new Host(t, running(7, '0::/init.scope\n')).adopt()).kubeProxy, undefined);
  t.equal((await new Host(t, running(0, '0::/kubepods/x\n')).adopt()).kubeProxy, undefined);
});

for (const [argv, args] of [
  [['/usr/bin/kube-proxy', '--v=2'], ['--v=2']],
  [['hyperkube', 'proxy', '--v=2'], ['--v=2']],
  [['hyperkube', 'kubelet'], undefined],
  [['kube-proxy-x'], undefined],
  [[], undefined],
] as const)
  t.test(`arguments of ${argv.join(' ')}`, async (t) => t.strictSame(kubeProxyArguments(argv), args));

t.test('--no-kube-proxy leaves it alone', async (t) => {
  for (const [line, wanted] of [
    ['adopt', true],
    ['adopt --no-kube-proxy', false],
    ['adopt --kube-proxy=false', false],
    ['adopt --kube-proxy', true],
  ] as const) {
    const parsed = await parseCommandLine(line.split(' '));
    t.equal((parsed as { readonly command: AdoptArguments }).command.kubeProxy, wanted, line);
  }
});
