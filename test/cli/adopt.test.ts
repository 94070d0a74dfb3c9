import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { HostFiles } from '../../src/adapters/host-files.ts';
import { askKubeletVersion, type HostKubelet, readHostKubelet } from '../../src/adapters/host-kubelet.ts';
import { readInstalledKubelet } from '../../src/adapters/installed-kubelet.ts';
import { adoptKubelet } from '../../src/cli/adopt.ts';
import { loadSettings } from '../../src/config.ts';
import { type KubeletFacts, kubeletFacts, readKubeletConfiguration } from '../../src/kubelet/facts.ts';
import { parseKubeletFlags } from '../../src/kubelet/flags.ts';
import { mayWrite } from '../../src/kubelet/sandbox-drop-in.ts';
import { mergeSandbox } from '../../src/kubelet/unit-file.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

type Tree = Readonly<Record<string, string>>;

const KUBEADM_UNIT = `[Unit]
Description=kubelet: The Kubernetes Node Agent
[Service]
ExecStart=/usr/bin/kubelet
Restart=always
`;
const KUBEADM_DROP_IN = `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`;
const authority = createAuthority({ name: 'kubernetes' });

function pairFor(node: string): string {
  const { chainPem, keyPem } = authority.issue({ commonName: `system:node:${node}`, organizations: ['system:nodes'] });
  return chainPem + keyPem;
}

const KUBEADM: Tree = {
  '/proc/sys/kernel/hostname': 'node1\n',
  '/usr/lib/systemd/system/kubelet.service': KUBEADM_UNIT,
  '/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf': KUBEADM_DROP_IN,
  '/var/lib/kubelet/kubeadm-flags.env':
    'KUBELET_KUBEADM_ARGS="--node-ip=10.0.0.7 --pod-infra-container-image=pause:3.9"\n',
  '/etc/default/kubelet': 'KUBELET_EXTRA_ARGS="--node-labels=a=b"\n',
  '/var/lib/kubelet/config.yaml':
    'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nrotateCertificates: true\nserverTLSBootstrap: true\n',
};

function hostTree(t: Test, tree: Tree): string {
  const root = t.testdir({});
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    // Each process runs as root unless the tree says otherwise.
    const status = path.replace(/cmdline$/, 'status');
    if (status !== path && tree[status] === undefined)
      writeFileSync(join(root, status), 'Name:\tx\nUid:\t0\t0\t0\t0\n');
  }
  return root;
}

interface Result {
  readonly adopted: boolean;
  /** As a program reads it. */
  readonly answer: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly host: HostKubelet;
  readonly file: (path: string) => string | undefined;
}

interface Options {
  readonly write?: boolean;
  readonly writeKubeconfig?: boolean;
  readonly version?: string;
  readonly unit?: string;
}

async function adopt(root: string, options: Options = {}): Promise<Result> {
  const asked: string[] = [];
  const host = await readHostKubelet({
    root,
    unit: options.unit ?? 'kubelet.service',
    askVersion: async (program) => {
      asked.push(program.join(' '));
      return options.version === undefined ? undefined : `Kubernetes ${options.version}\n`;
    },
  });
  let text = '';
  const ports = { fs: new NodeFileSystem(), root, print: (part: string) => (text += part) };
  const { found: adopted, answer } = await adoptKubelet(
    {
      host,
      settingsPath: '/etc/certlet/config.yaml',
      write: options.write ?? false,
      writeKubeconfig: options.writeKubeconfig ?? false,
      kubeProxy: undefined,
    },
    ports,
  );
  const file = (path: string): string | undefined =>
    existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined;
  return { adopted, answer: JSON.parse(JSON.stringify(answer)), text, host, file };
}

/** How the kubelet would handle its certificates at its next start, certlet's drop-in included. */
async function effectiveFacts(root: string, minor: number): Promise<KubeletFacts> {
  const installed = await readInstalledKubelet(new HostFiles(root), 'kubelet.service', []);
  return kubeletFacts(
    parseKubeletFlags(installed?.arguments ?? []),
    readKubeletConfiguration({ rotateCertificates: true, serverTLSBootstrap: true }, '/c'),
    minor,
  );
}

const DROP_IN = '/etc/systemd/system/kubelet.service.d/20-certlet.conf';
const SETTINGS = '/etc/certlet/config.yaml';
const LINK = '/var/lib/kubelet/pki/kubelet-server-current.pem';

t.test('a kubeadm node: flags of every file are read, and the whole plan is shown', async (t) => {
  const root = hostTree(t, { ...KUBEADM, '/var/lib/kubelet/pki/kubelet-client-current.pem': pairFor('node1') });
  const { text, host, adopted, file } = await adopt(root, { version: 'v1.28.2' });
  t.ok(adopted);
  t.strictSame(host.arguments, [
    '--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf',
    '--kubeconfig=/etc/kubernetes/kubelet.conf',
    '--config=/var/lib/kubelet/config.yaml',
    '--node-ip=10.0.0.7',
    '--pod-infra-container-image=pause:3.9',
    '--node-labels=a=b',
  ]);
  t.equal(
    text,
    `kubelet: kubelet.service, v1.28.2, not running
  read: /usr/lib/systemd/system/kubelet.service, /usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf, /var/lib/kubelet/kubeadm-flags.env, /etc/default/kubelet, /var/lib/kubelet/config.yaml
  kubeconfig: /etc/kubernetes/kubelet.conf
  bootstrap kubeconfig: /etc/kubernetes/bootstrap-kubelet.conf
  cert-dir: /var/lib/kubelet/pki
  rotates: client and serving
changes for the kubelet:
  bootstrapKubeconfig: /etc/kubernetes/bootstrap-kubelet.conf -> none
  rotateCertificates: true -> false
  serverTLSBootstrap: true -> false
  tlsCertFile: none -> ${LINK}
  tlsPrivateKeyFile: none -> ${LINK}
after each rotation:
  client: this kubelet takes the new certificate over by itself
  serving: certlet looks at what the kubelet serves, and has it restarted where that is an older pair; certlet-kubelet-restart.path does that
notes:
  cluster CA: another CA of the cluster is not trusted by itself; followClusterCA: cluster-info in the settings follows what the cluster publishes, read as nobody or by the Role in rbac/cluster-info.yaml; certlet check says which
warnings:
  the kubelet still rotates its client and serving certificate in /var/lib/kubelet/pki: until it is restarted with the flags below, two programs write there

--- /dev/null
+++ /etc/certlet/config.yaml
@@ -0,0 +1,9 @@
+# Written by "certlet adopt".
+bootstrapKubeconfig: /etc/kubernetes/bootstrap-kubelet.conf
+kubeconfig: /etc/kubernetes/kubelet.conf
+certDir: /var/lib/kubelet/pki
+nodeIP:
+  - 10.0.0.7
+rotateServerCertificates: true
+kubelet:
+  version: v1.28.2

--- /dev/null
+++ ${DROP_IN}
@@ -0,0 +1,15 @@
+# Written by "certlet adopt": certlet keeps the certificates, the kubelet only reads them.
+# The command is that of /usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf with flags added at its end, where they win.
+# Run "certlet adopt" again when that command changes.
+[Unit]
+Wants=certlet.service
+After=certlet.service
+
+[Service]
+ExecStart=
+ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS \\
+  --bootstrap-kubeconfig= \\
+  --rotate-certificates=false \\
+  --rotate-server-certificates=false \\
+  --tls-cert-file=${LINK} \\
+  --tls-private-key-file=${LINK}

next:
  certlet adopt --write
  systemctl daemon-reload
  systemctl enable --now certlet.service certlet-kubelet-restart.path
  systemctl restart kubelet.service
`,
  );
  t.equal(file(SETTINGS), undefined, 'nothing is written without --write');
  t.equal(file(DROP_IN), undefined);
});

t.test('with --write the files are there, settings are valid, and the kubelet ends up as planned', async (t) => {
  const root = hostTree(t, KUBEADM);
  const before = new Map(Object.keys(KUBEADM).map((path) => [path, readFileSync(join(root, path), 'utf8')]));
  const first = await adopt(root, { write: true, version: 'v1.28.2' });
  t.match(first.text, `written: ${SETTINGS}\nwritten: ${DROP_IN}\n`);
  t.notMatch(first.text, 'certlet adopt --write');
  t.equal(statSync(join(root, SETTINGS)).mode & 0o777, 0o644);
  const settings = loadSettings({ flags: {}, fileText: first.file(SETTINGS), filePath: SETTINGS, osHostname: 'node1' });
  t.match(settings, {
    kubeconfig: '/etc/kubernetes/kubelet.conf',
    nodeIPs: ['10.0.0.7'],
    kubelet: { version: 'v1.28.2' },
  });
  for (const [path, text] of before)
    t.equal(readFileSync(join(root, path), 'utf8'), text, `${path} is the kubelet's and stays`);

  const again = await adopt(root, { write: true, version: 'v1.28.2' });
  t.match(again.text, "certlet's files: nothing to change");
  t.notMatch(again.text, 'written:');

  const started = await effectiveFacts(root, 28);
  t.match(started, {
    kubeconfig: '/etc/kubernetes/kubelet.conf',
    bootstrapKubeconfig: undefined,
    rotatesClient: false,
    rotatesServing: false,
    tlsCertFile: LINK,
    tlsPrivateKeyFile: LINK,
    nodeIPs: ['10.0.0.7'],
  });
});

t.test('the answer for programs has the plan as data, and what was written', async (t) => {
  const root = hostTree(t, KUBEADM);
  const shown = await adopt(root, { version: 'v1.28.2' });
  t.match(shown.answer, {
    found: true,
    kubelet: {
      name: 'kubelet.service',
      version: 'v1.28.2',
      pid: undefined,
      kubeconfig: '/etc/kubernetes/kubelet.conf',
      certDir: '/var/lib/kubelet/pki',
      rotates: ['client', 'serving'],
    },
    settings: { nodeIP: ['10.0.0.7'], rotateServerCertificates: true },
    kubeletFlags: ['--bootstrap-kubeconfig=', '--rotate-certificates=false'],
    afterRotation: [
      { purpose: 'client', proof: false },
      { purpose: 'serving', proof: true },
    ],
    notes: [],
    warnings: [/still rotates/],
    files: [
      { path: SETTINGS, diff: /^\+kubeconfig:/m, written: false },
      { path: DROP_IN, written: false },
    ],
    next: [
      'certlet adopt --write',
      /^install -d/,
      'systemctl daemon-reload',
      /^systemctl enable/,
      /^systemctl restart/,
    ],
  });
  const wrote = await adopt(root, { version: 'v1.28.2', write: true });
  t.match(wrote.answer, { files: [{ written: true }, { written: true }], next: [/^install -d/] });
  const again = await adopt(root, { version: 'v1.28.2', write: true });
  t.match(again.answer, {
    files: [
      { diff: '', written: false },
      { diff: '', written: false },
    ],
  });
  const none = await adopt(hostTree(t, {}));
  t.strictSame(Object.keys(none.answer), ['found', 'notes']);
  t.match(none.answer, { found: false, notes: [/No kubelet was found/] });
});

t.test('a running kubelet with other flags than its unit is pointed out, but not after the adoption', async (t) => {
  const running = (args: readonly string[]): Tree => ({
    '/proc/812/cmdline': ['/usr/bin/kubelet', ...args, ''].join('\0'),
    '/proc/812/cgroup': '0::/system.slice/kubelet.service\n',
    '/proc/812/status': 'Uid:\t0\t0\t0\t0\n',
    '/proc/900/cmdline': 'sleep\x001\x00',
    '/proc/901/cmdline': '',
  });
  const kubeadm = (await adopt(hostTree(t, KUBEADM))).host.arguments ?? [];
  const same = await adopt(hostTree(t, { ...KUBEADM, ...running(kubeadm) }));
  t.match(same.text, 'version unknown, running as process 812');
  t.notMatch(same.text, 'other flags');
  const other = await adopt(hostTree(t, { ...KUBEADM, ...running([...kubeadm.slice(1), '--v=4']) }));
  t.match(
    other.text,
    'the running kubelet has other flags than its unit; only in the unit: --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf; only running: --v=4',
  );
  const root = hostTree(t, KUBEADM);
  await adopt(root, { write: true, version: 'v1.28.2' });
  const installed = await readInstalledKubelet(new HostFiles(root), 'kubelet.service', []);
  for (const [path, text] of Object.entries(running(installed?.arguments ?? []))) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  mkdirSync(join(root, '/var/lib/kubelet/pki'));
  const settled = await adopt(root, { version: 'v1.28.2' });
  t.notMatch(settled.text, 'other flags');
  t.match(settled.text, 'next:\n  nothing: the kubelet runs with these flags\n');
});

const PLAIN_UNIT = (args: string): Tree => ({
  '/proc/sys/kernel/hostname': 'Worker-3.example.org\n',
  '/etc/systemd/system/kubelet.service': `[Service]\nExecStart=/opt/k8s/kubelet ${args}\n`,
});

t.test('a kubelet of 1.9 with the old flags and the gate, no flag that it does not know', async (t) => {
  const { text } = await adopt(
    hostTree(
      t,
      PLAIN_UNIT(
        '--experimental-bootstrap-kubeconfig=/b --kubeconfig=/etc/kubernetes/k.conf --rotate-certificates --feature-gates=RotateKubeletServerCertificate=true',
      ),
    ),
    { version: 'v1.9.11' },
  );
  t.match(text, '--bootstrap-kubeconfig= \\');
  t.match(text, '--feature-gates=RotateKubeletServerCertificate=false');
  t.notMatch(text, '--rotate-server-certificates');
  t.match(text, 'client: the kubelet must be restarted');
  t.match(text, 'serving: certlet looks at what the kubelet serves');
});

t.test('a kubelet that listens elsewhere: its address and port go into the settings', async (t) => {
  const flags = '--kubeconfig=/etc/kubernetes/k.conf --address=10.0.0.7 --port=10350';
  const unit = { '/etc/systemd/system/kubelet.service': `[Service]\nExecStart=/usr/bin/kubelet ${flags}\n` };
  const { answer } = await adopt(hostTree(t, unit), { version: 'v1.36.2' });
  t.match(answer, { settings: { kubelet: { version: 'v1.36.2', address: '10.0.0.7', port: 10_350 } } });
  const everywhere = {
    ...unit,
    '/etc/systemd/system/kubelet.service': unit['/etc/systemd/system/kubelet.service']
      .replace('10.0.0.7', '0.0.0.0')
      .replace('10350', '10250'),
  };
  const plain = await adopt(hostTree(t, everywhere), { version: 'v1.36.2' });
  t.match(plain.answer, { settings: { kubelet: { version: 'v1.36.2', address: undefined, port: undefined } } });
});

t.test('a kubelet of 1.36 needs no restart for its client certificate', async (t) => {
  const { text } = await adopt(hostTree(t, KUBEADM), { version: 'v1.36.2' });
  t.match(text, 'client: this kubelet takes the new certificate over by itself');
});

t.test('an unknown version gets the serving flag only where the kubelet has it on', async (t) => {
  const off = await adopt(hostTree(t, PLAIN_UNIT('--kubeconfig=/etc/kubernetes/k.conf')));
  t.notMatch(off.text, '--rotate-server-certificates');
  t.match(off.text, 'somebody has to approve it');
  t.notMatch(off.text, '--bootstrap-kubeconfig=');
  const on = await adopt(hostTree(t, PLAIN_UNIT('--kubeconfig=/etc/kubernetes/k.conf --rotate-server-certificates')));
  t.match(on.text, '--rotate-server-certificates=false');
});

t.test('other paths bring drop-ins for certlet, and a missing cert-dir a command', async (t) => {
  const root = hostTree(
    t,
    PLAIN_UNIT(
      '--kubeconfig /srv/k8s/kubelet.conf --cert-dir "/srv/cert dir" --hostname-override=Node-A --rotate-certificates',
    ),
  );
  const { text, file } = await adopt(root, { write: true, version: 'v1.20.2' });
  for (const unit of ['certlet.service', 'certlet-once.service']) {
    t.equal(
      file(`/etc/systemd/system/${unit}.d/20-adopted-paths.conf`),
      '# Written by "certlet adopt": folders outside the defaults that certlet has to write, and what the kubelet reads there.\n[Service]\nReadWritePaths=-/srv/k8s\nReadWritePaths="-/srv/cert dir"\n',
    );
  }
  t.match(text, "install -d -m 0755 '/srv/cert dir'");
  t.match(file(DROP_IN), '"--tls-cert-file=/srv/cert dir/kubelet-server-current.pem"');
  t.match(file(SETTINGS), /^hostnameOverride: node-a$/m);
  t.match(await effectiveFacts(root, 20), {
    tlsCertFile: '/srv/cert dir/kubelet-server-current.pem',
    rotatesClient: false,
  });
});

/** Of old guides: flags in a file, everything below /etc/kubernetes. */
const GUIDE: Tree = {
  '/proc/sys/kernel/hostname': 'node-1\n',
  '/etc/systemd/system/kubelet.service':
    '[Service]\nEnvironmentFile=/etc/kubernetes/kubelet\nExecStart=/usr/local/bin/kubelet $KUBELET_ARGS\n',
  '/etc/kubernetes/kubelet':
    'KUBELET_ARGS="--bootstrap-kubeconfig=/etc/kubernetes/kubeconfig/bootstrap.kubeconfig --kubeconfig=/etc/kubernetes/kubeconfig/kubelet.kubeconfig --cert-dir=/etc/kubernetes/pki/kubelet --rotate-certificates --feature-gates=RotateKubeletServerCertificate=true"\n',
  '/etc/kubernetes/pki/ca.pem': 'x',
  '/etc/kubernetes/pki/kubelet/kubelet.crt': 'x',
};

t.test('a cert-dir below /etc/kubernetes/pki left the kubelet without a serving pair', async (t) => {
  const bootstrap = `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "https://api:6443", certificate-authority: ../pki/ca.pem } }]
users: [{ name: u, user: { token: abcdef.0123456789abcdef } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`;
  const root = hostTree(t, { ...GUIDE, '/etc/kubernetes/kubeconfig/bootstrap.kubeconfig': bootstrap });
  const { file } = await adopt(root, { write: true, version: 'v1.20.2' });
  for (const unit of ['certlet.service', 'certlet-once.service']) {
    const text = file(`/etc/systemd/system/${unit}.d/20-adopted-paths.conf`) ?? '';
    const sandbox = mergeSandbox([
      { path: 'certlet.service', text: '[Service]\nInaccessiblePaths=-/etc/kubernetes/pki\nProtectSystem=strict\n' },
      { path: 'drop-in', text },
    ]);
    t.ok(mayWrite(sandbox, '/etc/kubernetes/pki/kubelet/x'), unit);
    t.notOk(mayWrite(sandbox, '/etc/kubernetes/manifests/x'), 'the rest stays closed');
    t.match(text, '\nTemporaryFileSystem=/etc/kubernetes/pki:ro\nBindReadOnlyPaths=-/etc/kubernetes/pki/ca.pem\n');
    t.match(text, '\nBindPaths=-/etc/kubernetes/pki/kubelet\nReadWritePaths=-/etc/kubernetes/pki/kubelet\n');
  }
  t.match(await effectiveFacts(root, 20), {
    tlsCertFile: '/etc/kubernetes/pki/kubelet/kubelet-server-current.pem',
    rotatesClient: false,
    bootstrapKubeconfig: undefined,
  });
  t.match((await adopt(root, { version: 'v1.20.2' })).text, "certlet's files: nothing to change");
});

for (const row of [
  { name: 'that is the folder itself', certDir: '/etc/kubernetes/pki', tree: {}, message: /is closed to certlet/ },
  {
    name: "with the cluster's keys in it",
    certDir: '/etc/kubernetes/pki/all',
    tree: { '/etc/kubernetes/pki/all/ca-key.pem': 'x', '/etc/kubernetes/pki/all/kubelet.crt': 'x' },
    message: /is not the kubelet's alone: ca-key\.pem lie/,
  },
  { name: 'among static pods', certDir: '/etc/kubernetes/manifests/pki', tree: {}, message: /static pod/ },
]) {
  t.test(`a cert-dir ${row.name} is refused, with the way, and nothing is written`, async (t) => {
    const root = hostTree(t, {
      ...PLAIN_UNIT(`--kubeconfig=/etc/kubernetes/k.conf --cert-dir=${row.certDir}`),
      ...row.tree,
    });
    await t.rejects(adopt(root, { write: true }), {
      code: 'ERR_CONFIG_INVALID',
      message: row.message,
      remedy: /--cert-dir=\/var\/lib\/kubelet\/pki/,
    });
    t.notOk(existsSync(join(root, SETTINGS)));
  });
}

t.test('a kubeconfig in the folder of the keys is refused, unless it is left to root', async (t) => {
  const root = hostTree(t, PLAIN_UNIT('--kubeconfig=/etc/kubernetes/pki/kubelet.conf'));
  await t.rejects(adopt(root, { write: true }), { code: 'ERR_CONFIG_INVALID', remedy: /--write-kubeconfig/ });
  t.ok((await adopt(root, { write: true, writeKubeconfig: true })).adopted);
});

/** A kubelet that runs with these arguments. */
const runningKubelet = (args: readonly string[]): Tree => ({
  '/proc/812/cmdline': ['/usr/local/bin/kubelet', ...args, ''].join('\0'),
  '/proc/812/cgroup': '0::/system.slice/kubelet.service\n',
});

t.test('adopt said of an adopted kubelet that it still rotates', async (t) => {
  const root = hostTree(t, GUIDE);
  const before = await adopt(root, { write: true, version: 'v1.20.2' });
  t.match(before.text, /rotates: client[^]*the kubelet still rotates its client/);
  const installed = await readInstalledKubelet(new HostFiles(root), 'kubelet.service', []);
  const put = (tree: Tree): void => {
    for (const [path, text] of Object.entries(tree)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    writeFileSync(join(root, '/proc/812/status'), 'Uid:\t0\t0\t0\t0\n');
  };
  const stopped = await adopt(root, { version: 'v1.20.2' });
  t.notMatch(stopped.text, /still rotates/, 'its next start has the flags');
  t.match(stopped.text, /next:\n {2}systemctl daemon-reload/, 'but it is to be started');
  put(runningKubelet(before.host.arguments ?? []));
  t.match((await adopt(root, { version: 'v1.20.2' })).text, /still rotates/, 'not restarted yet');
  put(runningKubelet(installed?.arguments ?? []));
  const after = await adopt(root, { version: 'v1.20.2' });
  t.match(after.text, /rotates: nothing\n(?!changes)[^]*next:\n {2}nothing: the kubelet runs with these flags/);
  t.notMatch(after.text, /still rotates|changes for the kubelet/);
  t.match(after.answer, { kubelet: { rotates: [] }, changes: [], warnings: [] });
});

const SCRIPT = '/usr/local/bin/start-kubelet.sh';
const scripted = (text: string, execStart = SCRIPT): Tree => ({
  '/proc/sys/kernel/hostname': 'node-1\n',
  '/etc/systemd/system/kubelet.service': `[Service]\nEnvironment=LEVEL=2\nExecStart=${execStart}\n`,
  [SCRIPT]: text,
});

t.test('a script as ExecStart was taken for a kubelet that needs no certificates', async (t) => {
  const root = hostTree(
    t,
    scripted(`#!/bin/bash
# kubelet --kubeconfig=/not/this
. ./kubelet.env
CONF=/etc/kubernetes
exec /usr/local/bin/kubelet --v=$LEVEL \\
  --kubeconfig="\${CONF}/kubelet.kubeconfig" --rotate-certificates=true --node-ip=$(hostname -i) $EXTRA >> /var/log/kubelet 2>&1
`),
  );
  writeFileSync(
    join(root, '/usr/local/bin/kubelet.env'),
    'EXTRA="--cert-dir=/srv/kubelet/pki --hostname-override=n7"\n',
  );
  const { host, text, file, answer } = await adopt(root, { write: true, version: 'v1.20.2' });
  t.strictSame(host.arguments, [
    '--v=2',
    '--kubeconfig=/etc/kubernetes/kubelet.kubeconfig',
    '--rotate-certificates=true',
    '--cert-dir=/srv/kubelet/pki',
    '--hostname-override=n7',
  ]);
  t.match(
    text,
    `${SCRIPT}, which starts the kubelet, is a shell script: it was read for its kubelet command, and not run`,
  );
  t.match(text, 'left out, since only a shell can tell: --node-ip=$(hostname -i)');
  t.match(text, 'flags to add by hand:\n  --rotate-certificates=false\n');
  t.equal(file(DROP_IN), undefined);
  t.match(answer['next'], [
    /^systemctl daemon-reload|^install/,
    /./,
    /./,
    `# add the flags above in ${SCRIPT}`,
    '# and take out there: --rotate-certificates=true',
    'systemctl restart kubelet.service',
  ]);
});

t.test('a script that hands its arguments on takes a drop-in', async (t) => {
  const text = '#!/bin/sh\nexec kubelet --kubeconfig=/etc/kubernetes/k.conf "$@"\n';
  const root = hostTree(t, scripted(text, `/bin/sh ${SCRIPT} --v=3`));
  const { host, file } = await adopt(root, { write: true, version: 'v1.20.2' });
  t.strictSame(host.arguments, ['--kubeconfig=/etc/kubernetes/k.conf', '--v=3']);
  t.match(file(DROP_IN), `ExecStart=/bin/sh ${SCRIPT} --v=3 \\\n  --rotate-certificates=false`);
});

t.test('a script that tells nothing: a kubelet that runs is read, else that is the way', async (t) => {
  const tree = scripted('#!/bin/sh\nexec "$1"\n');
  await t.rejects(adopt(hostTree(t, tree)), {
    message: /no --kubeconfig could be read in the script \/usr\/local\/bin\/start-kubelet\.sh/,
    remedy: /systemctl start kubelet\.service/,
  });
  const { text, adopted } = await adopt(
    hostTree(t, { ...tree, ...runningKubelet(['--kubeconfig=/etc/kubernetes/k.conf']) }),
  );
  t.ok(adopted);
  t.match(text, 'is a shell script in which no kubelet command was found');
});

t.test('a serving certificate from elsewhere is left alone, unless the settings say otherwise', async (t) => {
  const tree = PLAIN_UNIT(
    '--kubeconfig=/etc/kubernetes/k.conf --tls-cert-file=/etc/site/node.crt --tls-private-key-file=/etc/site/node.key',
  );
  const left = await adopt(hostTree(t, tree), { version: 'v1.30.0' });
  t.match(left.text, 'serving: /etc/site/node.crt comes from elsewhere and is left alone');
  t.match(left.text, '+rotateServerCertificates: false');
  t.notMatch(left.text, '--tls-cert-file=/var/lib');
  t.notMatch(left.text, 'serving: certlet looks');
  const taken = await adopt(hostTree(t, { ...tree, [SETTINGS]: 'rotateServerCertificates: true\n' }), {
    version: 'v1.30.0',
  });
  t.match(taken.text, `tlsCertFile: /etc/site/node.crt -> ${LINK}`);
  t.match(taken.text, `--tls-cert-file=${LINK}`);
  const never = await adopt(hostTree(t, { ...KUBEADM, [SETTINGS]: 'rotateServerCertificates: false\n' }), {
    version: 'v1.30.0',
  });
  t.match(never.text, 'serving: left to the kubelet, as the settings file says');
  t.notMatch(never.text, '--rotate-server-certificates=false');
});

t.test('an existing settings file keeps its comments and what adopt does not know', async (t) => {
  const present =
    '# our fleet\nlog:\n  level: debug # loud\nnodeIP:\n- 10.9.9.9\n- 10.9.9.8\n# the end\ncertDir: /old\nkubelet: {restart: never}\n';
  const { file } = await adopt(hostTree(t, { ...KUBEADM, [SETTINGS]: present }), { write: true, version: 'v1.28.2' });
  t.equal(
    file(SETTINGS),
    '# our fleet\nlog:\n  level: debug # loud\nnodeIP:\n  - 10.0.0.7\n# the end\ncertDir: /var/lib/kubelet/pki\nkubelet:\n  restart: never\n  version: v1.28.2\n' +
      'bootstrapKubeconfig: /etc/kubernetes/bootstrap-kubelet.conf\nkubeconfig: /etc/kubernetes/kubelet.conf\nrotateServerCertificates: true\n',
  );
});

t.test('settings in a form that cannot be edited line by line are written anew', async (t) => {
  const { file } = await adopt(hostTree(t, { ...KUBEADM, [SETTINGS]: '{events: true}\n' }), { write: true });
  t.match(loadSettings({ flags: {}, fileText: file(SETTINGS), filePath: SETTINGS, osHostname: 'x' }), {
    events: true,
    kubeconfig: '/etc/kubernetes/kubelet.conf',
  });
});

t.test('a settings file whose last line does not end keeps that line, and the diff says so', async (t) => {
  const { file, text } = await adopt(hostTree(t, { ...KUBEADM, [SETTINGS]: 'events: true' }), { write: true });
  t.match(file(SETTINGS), /^events: true\nbootstrapKubeconfig: /);
  t.match(text, '-events: true\n\\ No newline at end of file\n+events: true\n');
});

t.test('an empty settings file is filled, one that is a list is not overwritten', async (t) => {
  const empty = await adopt(hostTree(t, { ...KUBEADM, [SETTINGS]: '' }), { write: true });
  t.match(empty.file(SETTINGS), /^bootstrapKubeconfig: /);
  const root = hostTree(t, { ...KUBEADM, [SETTINGS]: '- a\n' });
  await t.rejects(adopt(root, { write: true }), { code: 'ERR_CONFIG_INVALID', message: /expected a map of settings/ });
  t.equal(readFileSync(join(root, SETTINGS), 'utf8'), '- a\n');
});

t.test('files that the kubelet names and that are not there or broken do not stop the adoption', async (t) => {
  const root = hostTree(t, {
    ...PLAIN_UNIT('--kubeconfig=/etc/kubernetes/k.conf --config=/missing.yaml --config-dir=/etc/kubernetes/k.conf'),
    '/etc/kubernetes/k.conf': 'a: [',
    '/var/lib/kubelet/pki/kubelet-client-current.pem': 'no pair',
  });
  const { adopted, host } = await adopt(root);
  t.ok(adopted);
  t.equal(host.clientCommonName, undefined);
  t.notOk(host.sources.includes('/missing.yaml'));
});

t.test('a running kubelet with more flags than its unit: only these are named', async (t) => {
  const root = hostTree(t, {
    ...PLAIN_UNIT('--kubeconfig=/etc/kubernetes/k.conf'),
    '/proc/812/cmdline': '/opt/k8s/kubelet\0--kubeconfig=/etc/kubernetes/k.conf\0--v=4\0',
    '/proc/812/cgroup': '0::/system.slice/kubelet.service\n',
  });
  t.match((await adopt(root)).text, 'other flags than its unit; only running: --v=4\n');
});

function embedded(node: string): string {
  const pem = Buffer.from(pairFor(node)).toString('base64');
  return `apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: "https://a:1"}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\nusers: [{name: u, user: {client-certificate-data: ${pem}, client-key-data: ${pem}}}]\n`;
}

t.test('a kubeconfig with the certificate inside is warned about, and its name is compared', async (t) => {
  const { text } = await adopt(hostTree(t, { ...KUBEADM, '/etc/kubernetes/kubelet.conf': embedded('node9') }), {
    version: 'v1.28.2',
  });
  t.match(text, '/etc/kubernetes/kubelet.conf has the client certificate inside');
  t.match(text, "node name: the host's name says node1, but the client certificate in use is for node9");
});

t.test('a kubeconfig that names a file is followed to the certificate', async (t) => {
  const kubeconfig = embedded('x').replace(
    /client-certificate-data: \S+, client-key-data: \S+\}\}/u,
    'client-certificate: /pki/c.crt, client-key: /pki/c.key}}',
  );
  const { host, text } = await adopt(
    hostTree(t, { ...KUBEADM, '/etc/kubernetes/kubelet.conf': kubeconfig, '/pki/c.crt': pairFor('node1') }),
  );
  t.equal(host.clientCommonName, 'system:node:node1');
  t.notMatch(text, 'node name:');
  t.notMatch(text, 'certificate inside');
});

t.test('an external cloud provider is taken over into the settings', async (t) => {
  const tree = (flag: string) => hostTree(t, PLAIN_UNIT(`--kubeconfig=/etc/kubernetes/k.conf${flag}`));
  t.match((await adopt(tree(' --cloud-provider=external'))).text, 'cloudProvider: external');
  t.notMatch((await adopt(tree(''))).text, 'cloudProvider');
});

t.test('a cloud provider in the tree chose the name, so the certificate tells it', async (t) => {
  const tree = PLAIN_UNIT('--kubeconfig=/etc/kubernetes/k.conf --cloud-provider=aws');
  const { text } = await adopt(
    hostTree(t, { ...tree, '/var/lib/kubelet/pki/kubelet-client-current.pem': pairFor('ip-10-0-0-1.ec2.internal') }),
    { version: 'v1.20.2' },
  );
  t.match(text, '+hostnameOverride: ip-10-0-0-1.ec2.internal');
  t.match(text, 'since cloud provider aws chose it');
});

t.test("the unit's own later drop-in is followed, and certlet's comes after it", async (t) => {
  const root = hostTree(t, {
    ...KUBEADM,
    '/etc/systemd/system/kubelet.service.d/90-site.conf':
      '[Service]\nExecStart=\nExecStart=/opt/kubelet --kubeconfig=/etc/kubernetes/site.conf\n',
  });
  const { file } = await adopt(root, { write: true, version: 'v1.30.0' });
  t.equal(file(DROP_IN), undefined);
  t.match(
    file('/etc/systemd/system/kubelet.service.d/zz-certlet.conf'),
    'ExecStart=/opt/kubelet --kubeconfig=/etc/kubernetes/site.conf',
  );
  t.match(await effectiveFacts(root, 30), { kubeconfig: '/etc/kubernetes/site.conf', tlsCertFile: LINK });
});

t.test('drop-ins of /etc hide those of /usr/lib by name, and a link to /dev/null masks', async (t) => {
  const root = hostTree(t, {
    ...KUBEADM,
    '/etc/systemd/system/kubelet.service.d/10-kubeadm.conf':
      '[Service]\nExecStart=\nExecStart=/bin/k --kubeconfig=/a/b/c\n',
  });
  t.strictSame((await adopt(root)).host.arguments, ['--kubeconfig=/a/b/c']);
  const masked = hostTree(t, KUBEADM);
  mkdirSync(join(masked, '/etc/systemd/system/kubelet.service.d'), { recursive: true });
  symlinkSync('/dev/null', join(masked, '/etc/systemd/system/kubelet.service.d/10-kubeadm.conf'));
  t.strictSame(
    (await readHostKubelet({ root: masked, unit: 'kubelet.service', askVersion: async () => undefined })).arguments,
    [],
  );
  symlinkSync('/dev/null', join(masked, '/etc/systemd/system/kubelet.service'));
  t.equal((await adopt(masked)).adopted, false);
});

t.test('a drop-in for every service is read, and one for the kubelet is stronger', async (t) => {
  const root = hostTree(t, {
    ...PLAIN_UNIT('--kubeconfig=${A}${B}'),
    '/etc/systemd/system/service.d/10.conf': '[Service]\nEnvironment=A=/srv/all B=x\n',
    '/usr/lib/systemd/system/kubelet.service.d/20.conf': '[Service]\nEnvironment=B=/kubelet\n',
  });
  t.strictSame((await adopt(root)).host.arguments, ['--kubeconfig=/srv/all/kubelet']);
});

t.test('a shell as ExecStart gets no drop-in but the flags to add', async (t) => {
  const root = hostTree(t, {
    '/etc/systemd/system/kubelet.service':
      "[Service]\nExecStart=/bin/bash -c 'exec /usr/bin/kubelet --kubeconfig=/etc/kubernetes/k.conf'\n",
    '/proc/5/cmdline': '/usr/bin/kubelet\0--kubeconfig=/etc/kubernetes/k.conf\0',
  });
  const { text, file } = await adopt(root, { write: true, version: 'v1.30.0' });
  t.match(text, 'is a shell command');
  t.match(text, `flags to add by hand:\n  --rotate-certificates=false\n`);
  t.equal(file(DROP_IN), undefined);
  t.match(file(SETTINGS), 'kubeconfig: /etc/kubernetes/k.conf');
});

t.test('hyperkube, and a kubelet in a container beside it that is not ours', async (t) => {
  const root = hostTree(t, {
    '/proc/7/cmdline': '/usr/bin/kubelet\0--kubeconfig=/kind\0',
    '/proc/7/cgroup': '0::/system.slice/docker-0123.scope/kubelet.slice/kubelet.service\n',
    '/proc/9/cmdline': '/opt/hyperkube\0kubelet\0--kubeconfig\0/etc/kubernetes/k.conf\0',
    '/proc/9/cgroup': '1:name=systemd:/user.slice\n',
  });
  const { host, text } = await adopt(root, { version: 'v1.14.0' });
  t.equal(host.running?.pid, 9);
  t.match(text, 'kubelet: a process without a unit, v1.14.0, running as process 9');
  t.match(text, 'restart the kubelet');
});

t.test('a kubelet whose service has another name is found by its process', async (t) => {
  const root = hostTree(t, {
    '/proc/9/cmdline': '/snap/kubelet/1/kubelet\0--kubeconfig=/etc/kubernetes/k.conf\0',
    '/proc/9/cgroup': '0::/system.slice/snap.kubelet.daemon.service\n',
    '/etc/systemd/system/snap.kubelet.daemon.service':
      '[Service]\nExecStart=/snap/kubelet/1/kubelet --kubeconfig=/etc/kubernetes/k.conf\n',
  });
  const { text } = await adopt(root, { version: 'v1.30.0' });
  t.match(text, '+  unit: snap.kubelet.daemon.service');
  t.match(text, '+++ /etc/systemd/system/snap.kubelet.daemon.service.d/20-certlet.conf');
  t.match(text, '+++ /etc/certlet/kubelet-unit.env');
  t.match(text, '+KUBELET_UNIT=snap.kubelet.daemon.service');
});

t.test('k3s: the kubelet is inside, nothing is adopted, and what to do is said', async (t) => {
  const root = hostTree(t, {
    '/proc/9/cmdline': '/usr/local/bin/k3s\0agent\0',
    '/proc/9/cgroup': '0::/system.slice/k3s-agent.service\n',
  });
  const { adopted, text } = await adopt(root, { write: true });
  t.notOk(adopted);
  t.match(text, 'The kubelet runs inside the k3s process (k3s-agent.service, process 9)');
  t.match(text, '/etc/rancher/k3s/config.yaml');
  t.match(text, 'Nothing to adopt.');
  t.notOk(existsSync(join(root, SETTINGS)));
});

t.test('k3s that is installed and does not run is recognized by its unit', async (t) => {
  const root = hostTree(t, { '/etc/systemd/system/k3s.service': '[Service]\nExecStart=/usr/local/bin/k3s server\n' });
  t.match((await adopt(root)).text, 'inside the k3s process (k3s.service)');
});

t.test('rke2 starts a kubelet whose flags can be seen: flags go under kubelet-arg', async (t) => {
  const root = hostTree(t, {
    '/proc/8/cmdline': '/usr/local/bin/rke2\0agent\0',
    '/proc/8/cgroup': '0::/system.slice/rke2-agent.service\n',
    '/proc/9/cmdline':
      'kubelet\0--kubeconfig=/var/lib/rancher/rke2/agent/kubelet.kubeconfig\0--cert-dir=/var/lib/rancher/rke2/agent/pki\0',
    '/proc/9/cgroup': '0::/system.slice/rke2-agent.service\n',
    '/usr/local/lib/systemd/system/rke2-agent.service': '[Service]\nExecStart=/usr/local/bin/rke2 agent\n',
  });
  const { adopted, text, file } = await adopt(root, {
    write: true,
    writeKubeconfig: true,
    version: 'v1.28.3+rke2r1',
  });
  t.ok(adopted);
  t.match(text, 'is started by rke2 (rke2-agent.service, process 8)');
  t.match(text, 'in /etc/rancher/rke2/config.yaml, under kubelet-arg:\n    - "rotate-certificates=false"\n');
  t.match(text, 'systemctl restart rke2-agent.service');
  t.match(file(SETTINGS), 'unit: rke2-agent.service');
  t.equal(file('/etc/systemd/system/rke2-agent.service.d/20-certlet.conf'), undefined);
});

t.test('microk8s keeps the flags in a file', async (t) => {
  const root = hostTree(t, {
    '/proc/9/cmdline': '/snap/microk8s/6089/kubelite\0--scheduler-args-file=x\0',
    '/proc/9/cgroup': '0::/system.slice/snap.microk8s.daemon-kubelite.service\n',
    '/var/snap/microk8s/current/args/kubelet':
      '# flags\n--kubeconfig=${SNAP_DATA}/credentials/kubelet.config\n--cert-dir=${SNAP_COMMON}/pki\n',
  });
  const { text, file } = await adopt(root, { write: true, writeKubeconfig: true });
  t.match(text, 'The kubelet runs inside microk8s (snap.microk8s.daemon-kubelite.service, process 9)');
  t.match(text, 'in /var/snap/microk8s/current/args/kubelet, at its end:\n    --rotate-certificates=false\n');
  t.match(file(SETTINGS), 'certDir: /var/snap/microk8s/common/pki');
});

t.test('a host without a kubelet', async (t) => {
  const { adopted, text } = await adopt(hostTree(t, { '/etc/hostname': 'x' }), { write: true });
  t.notOk(adopted);
  t.match(text, 'No kubelet was found');
});

for (const row of [
  { name: 'no kubeconfig', args: '--v=2', message: /has no --kubeconfig/ },
  {
    name: 'a relative cert-dir',
    args: '--kubeconfig=/a/b --cert-dir=pki',
    message: /--cert-dir pki depends on its working folder/,
  },
]) {
  t.test(`refused: ${row.name}`, async (t) => {
    await t.rejects(adopt(hostTree(t, PLAIN_UNIT(row.args))), { code: 'ERR_CONFIG_INVALID', message: row.message });
  });
}

t.test('a kubelet configuration that is no YAML is named', async (t) => {
  await t.rejects(adopt(hostTree(t, { ...KUBEADM, '/var/lib/kubelet/config.yaml': 'a: [' })), {
    code: 'ERR_CONFIG_INVALID',
    message: /^\/var\/lib\/kubelet\/config\.yaml:/,
  });
});

t.test('a configuration folder is read over the file, by name', async (t) => {
  const root = hostTree(t, {
    ...PLAIN_UNIT('--kubeconfig=/etc/kubernetes/k.conf --config=/c.yaml --config-dir=/c.d'),
    '/c.yaml': 'rotateCertificates: false\nserverTLSBootstrap: true\n',
    '/c.d/20.conf': 'rotateCertificates: true\n',
    '/c.d/10.conf': 'rotateCertificates: false\n',
    '/c.d/30.yaml': 'serverTLSBootstrap: false\n',
  });
  t.match((await adopt(root)).host.facts, { rotatesClient: true, rotatesServing: true });
});

t.test('what may not be read is said', { skip: process.getuid?.() === 0 && 'root may read everything' }, async (t) => {
  const root = hostTree(t, { ...KUBEADM, '/etc/kubernetes/kubelet.conf': 'x' });
  chmodSync(join(root, '/etc/kubernetes/kubelet.conf'), 0);
  t.match((await adopt(root)).text, '/etc/kubernetes/kubelet.conf could not be read: run as root');
});

t.test('the version of a program is asked for, and no answer is no version', async (t) => {
  const folder = t.testdir({ kubelet: '#!/bin/sh\necho Kubernetes v1.2.3\n' });
  chmodSync(join(folder, 'kubelet'), 0o755);
  t.equal(await askKubeletVersion([join(folder, 'kubelet')]), 'Kubernetes v1.2.3\n');
  t.equal(await askKubeletVersion([join(folder, 'absent')]), undefined);
  t.equal(await askKubeletVersion(['kubelet']), undefined);
  t.equal(await askKubeletVersion(['/bin/echo', 'Kubernetes v1.2.3']), undefined, 'another program is not run');
  t.equal(await askKubeletVersion([]), undefined);
  t.equal(await askKubeletVersion([join(folder, 'sub', 'kubelet')]), undefined, 'not there');
  chmodSync(join(folder, 'kubelet'), 0o777);
  t.equal(await askKubeletVersion([join(folder, 'kubelet')]), undefined, 'others could change it');
});

const kubeletWith = (flags: string, tree: Tree = {}): Tree => ({
  ...PLAIN_UNIT(flags),
  '/etc/kubernetes/kubelet.conf': KUBECONFIG_WITH('/var/lib/kubelet/pki/kubelet-client-current.pem'),
  ...tree,
});
const KUBECONFIG_WITH = (pair: string, ca = '/etc/kubernetes/pki/ca.crt'): string => `apiVersion: v1
kind: Config
clusters: [{ name: c, cluster: { server: "https://api:6443", certificate-authority: ${ca} } }]
users: [{ name: u, user: { client-certificate: ${pair}, client-key: ${pair} } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`;
const PATHS = '/etc/systemd/system/certlet.service.d/20-adopted-paths.conf';
const CURRENT = '/var/lib/kubelet/pki/kubelet-client-current.pem';

for (const row of [
  { folder: '/', flags: '--kubeconfig=/kubelet.conf' },
  { folder: '/etc', flags: '--kubeconfig=/etc/kubelet.conf' },
  { folder: '/var/lib/kubelet', flags: '--kubeconfig=/var/lib/kubelet/kubeconfig' },
  { folder: '/var/lib/rancher/k3s/agent', flags: '--kubeconfig=/var/lib/rancher/k3s/agent/kubelet.kubeconfig' },
  { folder: '/var/lib/rancher', flags: '--kubeconfig=/var/lib/rancher/kubelet.conf' },
  { folder: '/etc/systemd/system', flags: '--kubeconfig=/etc/systemd/system/kubelet.conf' },
  { folder: '/etc/cron.d', flags: '--kubeconfig=/etc/cron.d/kubelet.conf' },
  { folder: '/usr/local/bin', flags: '--kubeconfig=/usr/local/bin/kubelet.conf' },
]) {
  t.test(`adopt opened the shared folder ${row.folder} to the sandbox`, async (t) => {
    const root = hostTree(t, PLAIN_UNIT(row.flags));
    await t.rejects(adopt(root, { write: true }), {
      code: 'ERR_CONFIG_INVALID',
      message: new RegExp(`${row.folder} is not certlet's alone`),
      remedy: /^certlet adopt --write-kubeconfig --write/,
    });
    t.notOk(existsSync(join(root, '/etc/certlet/config.yaml')), 'nothing was written');
    const { file } = await adopt(root, { write: true, writeKubeconfig: true });
    t.match(
      file(PATHS),
      /\[Service\]\nReadWritePaths=\nReadWritePaths=-\/var\/lib\/certlet\/certs\nReadWritePaths=-\/var\/lib\/kubelet\/pki\n$/,
      'the way out',
    );
  });
}

for (const folder of ['/var/lib/kubelet', '/var/snap/microk8s/current/certs']) {
  t.test(`adopt opened the shared cert-dir ${folder}`, async (t) => {
    const root = hostTree(t, kubeletWith(`--kubeconfig=/etc/kubernetes/kubelet.conf --cert-dir=${folder}`));
    await t.rejects(adopt(root, { write: true }), { code: 'ERR_CONFIG_INVALID', remedy: /--cert-dir=/ });
  });
}

t.test('what the kubelet reads stays read-only in a folder that is open', async (t) => {
  const tree = {
    '/etc/kubernetes/kubelet.yaml':
      'staticPodPath: static\nauthentication: { x509: { clientCAFile: /etc/kubernetes/ssl/deep/ca.crt } }\n',
    '/etc/kubernetes/kubelet.env': 'A=b\n',
  };
  const flags = '--kubeconfig=/etc/kubernetes/kubelet.conf --config=/etc/kubernetes/kubelet.yaml --cert-dir=/srv/pki';
  const root = hostTree(t, kubeletWith(flags, tree));
  writeFileSync(
    join(root, '/etc/systemd/system/kubelet.service'),
    `[Service]\nEnvironmentFile=-/etc/kubernetes/kubelet.env\nExecStart=/usr/bin/kubelet ${flags}\n`,
  );
  const { file } = await adopt(root, { write: true });
  const lines = (file(PATHS) ?? '').split('\n').filter((line) => line.startsWith('Read'));
  t.strictSame(lines.sort(), [
    'ReadOnlyPaths=-/etc/kubernetes/kubelet.env',
    'ReadOnlyPaths=-/etc/kubernetes/kubelet.yaml',
    // The folder, since it could be renamed with the file in it.
    'ReadOnlyPaths=-/etc/kubernetes/ssl',
    'ReadOnlyPaths=-/etc/kubernetes/static',
    'ReadWritePaths=-/srv/pki',
  ]);
});

t.test(
  'the kubeconfig by root: written for the pair, with what could be changed inside, and never shown',
  async (t) => {
    const flags = '--kubeconfig=/etc/kubernetes/kubelet.conf';
    const old = KUBECONFIG_WITH('/etc/old.pem', '/var/lib/kubelet/pki/ca.crt').replace(
      'client-key:',
      'token: swordfish, client-key:',
    );
    const tree = {
      '/etc/kubernetes/kubelet.conf': old,
      '/var/lib/kubelet/pki/ca.crt': authority.pem,
      '/etc/kubernetes/.kubelet.conf.0123456789abcdef.certlet-tmp': 'left by a killed run',
    };
    const root = hostTree(t, kubeletWith(flags, tree));
    const early = await adopt(root, { write: true, writeKubeconfig: true });
    t.equal(early.file('/etc/kubernetes/kubelet.conf'), old, 'not while it may hold the only certificate');
    t.match(early.text, /start certlet, which takes the certificate over/);
    writeFileSync(join(root, CURRENT), pairFor('node1'));
    const shown = await adopt(root, { writeKubeconfig: true });
    t.equal(shown.file('/etc/kubernetes/kubelet.conf'), old);
    const { file, text, answer } = await adopt(root, { write: true });
    t.notMatch(`${early.text}${shown.text}${text}${JSON.stringify(answer)}`, /swordfish/);
    const written = file('/etc/kubernetes/kubelet.conf') ?? '';
    t.match(written, /certificate-authority-data: /, 'the service could change a CA in its own folder');
    t.match(written, `client-certificate: ${CURRENT}`);
    t.notMatch(written, /swordfish/);
    t.equal(statSync(join(root, '/etc/kubernetes/kubelet.conf')).mode & 0o777, 0o600);
    t.notOk(existsSync(join(root, '/etc/kubernetes/.kubelet.conf.0123456789abcdef.certlet-tmp')));
    t.match(file('/etc/certlet/config.yaml'), /^manageKubeconfig: false$/m, 'the first run wrote it down');
    t.notMatch((await adopt(root, {})).text, /written anew by root/, 'once');
  },
);

t.test('another CA of the cluster: whose business it is, told where the settings do not say so', async (t) => {
  const notes = async (settings: string, options: Parameters<typeof adopt>[1] = {}) => {
    const { answer } = await adopt(hostTree(t, { ...KUBEADM, [SETTINGS]: settings }), options);
    return (answer as { readonly notes: readonly string[] }).notes.filter((text) => text.startsWith('cluster CA: '));
  };
  t.match(await notes('{}\n'), [/followClusterCA: cluster-info in the settings/]);
  t.strictSame(await notes('followClusterCA: off\n'), []);
  t.strictSame(await notes('followClusterCA: cluster-info\n'), []);
  t.match(await notes('followClusterCA: cluster-info\n', { writeKubeconfig: true }), [
    /certlet join HOST:PORT --token-file FILE --discovery-token-ca-cert-hash sha256:HASH --force --write-kubeconfig && systemctl restart kubelet\.service$/,
  ]);
});
