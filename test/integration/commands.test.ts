/** The commands and the exec plugins as processes. */
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { COMMANDS } from '../../src/cli/commands.ts';
import { caPinOf } from '../../src/discovery/ca-pin.ts';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { certletCommand, quoted, SOURCES, STAGED_FOLDER } from '../fixtures/program.ts';
import { NodeFolder, type Program } from './program.ts';

const TOKEN = 'abcdef.0123456789abcdef';
const root = resolve(import.meta.dirname, '../..');

async function prepare(t: Test): Promise<{ readonly cluster: FakeCluster; readonly node: NodeFolder }> {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  const node = new NodeFolder(t.testdir({ bin: {} }));
  node.writeSettings();
  return { cluster, node };
}

/** What a command printed, and what it ended with. */
async function said(program: Program): Promise<{ readonly code: number | string | null; readonly text: string }> {
  const code = await program.exited;
  return { code, text: [...program.text, ...program.lines.map((line) => JSON.stringify(line))].join('\n') };
}

for (const row of [
  { name: 'by its path', command: (node: NodeFolder) => node.file('bin/login'), env: {} },
  { name: 'by its name', command: () => 'login', env: { PATH: ':/usr/bin:/bin' } },
]) {
  t.test(`an exec plugin named ${row.name} gives the bootstrap credential`, async (t) => {
    const { cluster, node } = await prepare(t);
    const apiVersion = 'client.authentication.k8s.io/v1';
    const credential = JSON.stringify({ apiVersion, kind: 'ExecCredential', status: { token: TOKEN } });
    writeFileSync(node.file('bin/login'), `#!/bin/sh\ntest "$1" = word && echo '${credential}'\n`, { mode: 0o755 });
    const exec = JSON.stringify({ apiVersion, command: row.command(node), args: ['word'], interactiveMode: 'Never' });
    node.writeBootstrap(cluster.bootstrapKubeconfig().replace(/user:\n {4}token: .*/, `user: {exec: ${exec}}`));
    const env = row.env.PATH === undefined ? {} : { PATH: `${node.file('bin')}${row.env.PATH}` };
    const { code, text } = await said(node.runWith({ env }, 'once', '--timeout', '90s'));
    t.equal(code, 0, text);
    t.equal(node.current('client')?.chain.leaf.commonName, 'system:node:n1');
    t.notMatch(text, TOKEN.slice(7));
  });
}

t.test('a warning that a library emits while a command runs is no line of it', async (t) => {
  const { cluster, node } = await prepare(t);
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  const warn = 'setInterval(() => process.emitWarning("about a secret"), 5).unref()';
  const nodeFlags = [`--import=data:text/javascript,${encodeURIComponent(warn)}`];
  const { code, text } = await said(node.runWith({ nodeFlags }, 'once'));
  t.equal(code, 0, text);
  t.notMatch(text, 'about a secret');
});

t.test('an exec plugin that fails is told, and not what it said', async (t) => {
  const { cluster, node } = await prepare(t);
  const exec = `{apiVersion: client.authentication.k8s.io/v1, command: /bin/false, interactiveMode: Never}`;
  node.writeBootstrap(cluster.bootstrapKubeconfig().replace(/user:\n {4}token: .*/, `user: {exec: ${exec}}`));
  const program = node.run('run');
  t.teardown(() => program.end('SIGKILL'));
  const event = 'Failed while requesting a signed certificate';
  await program.said(event);
  t.match(program.of(event)[0], { code: 'ERR_EXEC_PLUGIN', error: /\/bin\/false/ });
});

t.test('join, check, once, check, status, reset: a node from nothing and back', async (t) => {
  const { cluster, node } = await prepare(t);
  const endpoint = new URL(cluster.url).host;
  const pin = caPinOf(new X509Certificate(cluster.serverCa.pem));
  writeFileSync(node.file('token'), `${TOKEN}\n`, { mode: 0o600 });
  const words = [endpoint, '--token-file', node.file('token'), '--discovery-token-ca-cert-hash', pin];
  const joined = await said(node.run('join', ...words));
  t.equal(joined.code, 0, joined.text);
  t.match(readFileSync(node.file('bootstrap.conf'), 'utf8'), new RegExp(`server: .*${endpoint}`));
  const before = await said(node.run('check'));
  t.match(before.text, endpoint);
  t.notMatch(before.text, TOKEN.slice(7));
  t.equal((await said(node.run('once', '--timeout', '90s'))).code, 0);
  const after = await said(node.run('check', '--output', 'json'));
  t.notMatch(after.text, /ERR_INTERNAL/);
  const status = await said(node.run('status', '--output', 'json'));
  t.match(status.text, /system:node:n1|"n1"/);
  const reset = await said(node.run('reset', '--yes'));
  t.equal(reset.code, 0, reset.text);
  t.equal(node.current('client'), undefined);
});

t.test('check names the expired certificate that it has seen at the server, and a token that is refused', async (t) => {
  const { cluster, node } = await prepare(t);
  node.writeBootstrap(cluster.bootstrapKubeconfig({ token: 'fedcba.fedcba9876543210' }));
  const refused = await said(node.run('check'));
  t.equal(refused.code, 1);
  t.match(refused.text, /the API server rejects the bootstrap token fedcba/);
  cluster.useServerCertificate('expired');
  const expired = await said(node.run('check'));
  t.equal(expired.code, 1);
  t.match(expired.text, /kube-apiserver/, 'what the look has shown');
});

/** A root folder of its own for a command that reads the host: the host's programs, and nothing else of it. */
function inTree(tree: string, command: readonly string[], mounts: readonly string[]): readonly string[] {
  const binds = ['/usr', '/bin', '/lib', '/lib64', '/proc', ...mounts].flatMap((path) => [
    `if test -L ${quoted(path)}; then ln -s "$(readlink ${quoted(path)})" "$1"${quoted(path)}`,
    `elif test -e ${quoted(path)}; then mkdir -p "$1"${quoted(path)}; mount --rbind ${quoted(path)} "$1"${quoted(path)}; fi`,
  ]);
  const script = [...binds, 'root=$1; shift; cd /', 'exec chroot "$root" "$@"'].join('\n');
  return ['unshare', '--user', '--map-root-user', '--mount', '/bin/sh', '-ec', script, 'sh', tree, ...command];
}

const runIn = (tree: string, command: readonly string[], mounts: readonly string[]) => {
  const [program = '', ...words] = inTree(tree, command, mounts);
  return spawnSync(program, words, { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
};

t.test('adopt reads the kubelet of the host and writes settings for it', async (t) => {
  const folders = {
    etc: { systemd: { system: {} }, kubernetes: {}, certlet: {} },
    var: { lib: { kubelet: {} } },
    tmp: {},
  };
  const folder = t.testdir({ tree: folders, probe: {} });
  const tree = join(folder, 'tree');
  if (runIn(join(folder, 'probe'), ['/bin/true'], []).status !== 0) {
    t.pass('the command', { skip: 'no user namespaces with mounts here' });
    return;
  }
  const words =
    '--kubeconfig=/etc/kubernetes/kubelet.conf --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf';
  const unit = `[Service]\nExecStart=/usr/bin/kubelet ${words} --config=/var/lib/kubelet/config.yaml --hostname-override=n7\n`;
  writeFileSync(join(tree, 'etc/systemd/system/kubelet.service'), unit);
  const configuration =
    'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nserverTLSBootstrap: true\n';
  writeFileSync(join(tree, 'var/lib/kubelet/config.yaml'), configuration);
  const command = certletCommand(['adopt', '--write'], { file: SOURCES });
  const { status, stdout, stderr } = runIn(tree, command, [STAGED_FOLDER ?? root]);
  t.equal(status, 0, stdout + stderr);
  t.match(readFileSync(join(tree, 'etc/certlet/config.yaml'), 'utf8'), /hostnameOverride: n7/);
});

t.test('the shipped program says of itself what the sources say', { skip: STAGED_FOLDER === undefined }, async (t) => {
  const node = join(root, 'node_modules/.bin/node');
  // A language that the library of the command line has texts for.
  const env = { PATH: process.env['PATH'], LANG: 'de_DE.UTF-8', COLUMNS: '80' };
  const told = (command: readonly string[], args: readonly string[]): object => {
    const [program = '', ...words] = command;
    const { status, stdout, stderr } = spawnSync(program, [...words, ...args], { encoding: 'utf8', env });
    return { status, stdout, stderr };
  };
  const sources = [node, '--disable-warning=ExperimentalWarning', SOURCES];
  const lines = [
    ...COMMANDS.map(({ name }) => [name, '--help']),
    ['--help'],
    ['--version'],
    ['nonsense'],
    ['run', '--nonsense'],
  ];
  for (const args of lines) t.strictSame(told(certletCommand([]), args), told(sources, args), args.join(' '));
});
