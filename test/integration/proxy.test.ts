/** The program behind a proxy: each way of naming one, and what it says when the proxy refuses. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { caPinOf } from '../../src/discovery/ca-pin.ts';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { loopbackLeaf } from '../fixtures/http/api.ts';
import { type ConnectProxy, type ConnectProxyOptions, startProxy } from '../fixtures/http/connect-proxy.ts';
import { NodeFolder } from './program.ts';

const PASSWORD = 'pass-of-the-proxy';
const FAILED = 'Failed while requesting a signed certificate';

interface Row {
  readonly name: string;
  readonly proxy: ConnectProxyOptions & { readonly tls?: boolean; readonly resolves?: boolean };
  /** Stands before the proxy's `host:port`. */
  readonly prefix: string;
  /** The variable that names it; without one `proxy-url` of the kubeconfig does. */
  readonly variable?: string;
}

const rows: readonly Row[] = [
  { name: 'http, in the kubeconfig', proxy: {}, prefix: 'http://' },
  {
    name: 'http with a password, in the kubeconfig',
    proxy: { credentials: `us er:${PASSWORD}` },
    prefix: `http://us%20er:${PASSWORD}@`,
  },
  { name: 'https, in the kubeconfig', proxy: { tls: true }, prefix: 'https://' },
  {
    name: 'https with a password, in the kubeconfig',
    proxy: { tls: true, credentials: `user:${PASSWORD}` },
    prefix: `https://user:${PASSWORD}@`,
  },
  { name: 'HTTPS_PROXY', proxy: {}, prefix: 'http://', variable: 'HTTPS_PROXY' },
  {
    name: 'https_proxy with a password',
    proxy: { credentials: `user:${PASSWORD}` },
    prefix: `http://user:${PASSWORD}@`,
    variable: 'https_proxy',
  },
];

interface World {
  readonly cluster: FakeCluster;
  readonly proxy: ConnectProxy;
  readonly node: NodeFolder;
  /** `host:port` of the API server as the kubeconfig names it. */
  readonly target: string;
}

/** A node whose kubeconfig has `parts`. The address is no loopback address by its look, for which no variable would name a proxy, and yet leads here. */
async function world(
  t: Test,
  { tls = false, resolves = false, ...options }: Row['proxy'],
  parts: (proxy: ConnectProxy) => { readonly proxyUrl?: string } = () => ({}),
): Promise<World> {
  const cluster = await startFakeCluster({ approveServing: true });
  const proxy = await startProxy({
    ...options,
    ...(tls ? { leaf: loopbackLeaf(cluster.serverCa) } : {}),
    ...(resolves ? { to: Number(new URL(cluster.url).port) } : {}),
  });
  t.teardown(() => Promise.all([cluster.close(), proxy.close()]));
  const target = `0.0.0.0:${new URL(cluster.url).port}`;
  const node = new NodeFolder(t.testdir({}));
  node.writeSettings();
  const server = `https://${target}`;
  node.writeBootstrap(cluster.bootstrapKubeconfig({ server, tlsServerName: 'kubernetes', ...parts(proxy) }));
  return { cluster, proxy, node, target };
}

for (const { name, proxy: options, prefix, variable } of rows) {
  t.test(`a node behind a proxy gets both certificates: ${name}`, async (t) => {
    const { proxy, node, target } = await world(t, options, ({ host }) =>
      variable === undefined ? { proxyUrl: `${prefix}${host}` } : {},
    );
    const env = variable === undefined ? {} : { [variable]: `${prefix}${proxy.host}` };
    const program = node.runWith({ env }, 'once', '--timeout', '90s');
    t.equal(await program.exited, 0, JSON.stringify(program.lines.slice(-2)));
    t.equal(node.current('client')?.chain.leaf.commonName, 'system:node:n1');
    t.equal(node.current('serving')?.chain.leaf.selfSigned, false);
    t.strictSame([...new Set(proxy.targets)], [target], 'through the proxy');
    t.equal(readFileSync(node.file('kubelet.conf'), 'utf8').includes('proxy-url'), variable === undefined);
    t.notMatch(JSON.stringify(program.lines) + program.text.join('\n'), PASSWORD);
  });
}

t.test('join finds the cluster through a proxy that alone can resolve its name', async (t) => {
  const { cluster, proxy, node } = await world(t, { credentials: `user:${PASSWORD}`, resolves: true });
  const env = { HTTPS_PROXY: `http://user:${PASSWORD}@${proxy.host}` };
  const target = `kubernetes:${new URL(cluster.url).port}`;
  writeFileSync(node.file('token'), 'abcdef.0123456789abcdef\n', { mode: 0o600 });
  rmSync(node.file('bootstrap.conf'));
  const pin = caPinOf(new X509Certificate(cluster.serverCa.pem));
  const words = ['--token-file', node.file('token'), '--discovery-token-ca-cert-hash', pin];
  const join = node.runWith({ env }, 'join', target, ...words);
  t.equal(await join.exited, 0, join.text.join('\n'));
  t.strictSame([...new Set(proxy.targets)], [target]);
  t.notMatch(join.text.join('\n'), PASSWORD);
});

t.test('NO_PROXY leaves a server out', async (t) => {
  const { proxy, node } = await world(t, {});
  const env = { HTTPS_PROXY: `http://${proxy.host}`, NO_PROXY: 'example.test,0.0.0.0/8' };
  t.equal(await node.runWith({ env }, 'once', '--timeout', '90s').exited, 0);
  t.strictSame(proxy.targets, []);
});

t.test('a proxy that wants another password is told as that, not as a defect', async (t) => {
  const { proxy, node } = await world(t, { credentials: 'user:other' });
  const env = { HTTPS_PROXY: `http://user:${PASSWORD}@${proxy.host}` };
  const program = node.runWith({ env }, 'run');
  t.teardown(() => program.end('SIGKILL'));
  await program.said(FAILED);
  t.match(program.of(FAILED)[0], {
    code: 'ERR_API_UNREACHABLE',
    error: new RegExp(`the proxy ${proxy.host} refuses the connection \\(407\\)`),
    do: /user and password/,
  });
  t.notMatch(JSON.stringify(program.lines), PASSWORD);
  t.equal(await program.end(), 0);
});

t.test('the look at a server whose certificate has expired goes through the proxy, too', async (t) => {
  const { cluster, proxy, node, target } = await world(t, {}, ({ host }) => ({ proxyUrl: `http://${host}` }));
  cluster.useServerCertificate('expired');
  const program = node.run('run');
  t.teardown(() => program.end('SIGKILL'));
  await program.said(FAILED);
  t.match(program.of(FAILED)[0], {
    code: 'ERR_API_TLS_DATES',
    error: /the server's certificate is valid from \S+ to \S+; this node's clock \(\S+\) agrees with the server's/,
  });
  t.strictSame([...new Set(proxy.targets)], [target]);
  t.ok(proxy.targets.length > 1, 'the request, and the look');
  t.equal(await program.end(), 0);
});
