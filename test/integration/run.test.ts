import { copyFileSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type FakeClusterOptions, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { untilTimeLimit } from '../fixtures/time-limit.ts';
import { NodeFolder, asked, type Program } from './program.ts';

const NODE = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  ipAddresses: ['127.0.0.1'],
  dnsNames: ['n1'],
};
const PAST = { notBefore: new Date('2020-01-01T00:00:00Z'), notAfter: new Date('2021-01-01T00:00:00Z') };

async function prepare(t: Test, options: FakeClusterOptions = {}) {
  const cluster = await startFakeCluster({ approveServing: true, ...options });
  t.teardown(() => cluster.close());
  const node = new NodeFolder(t.testdir({}));
  node.writeSettings();
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  return { cluster, node };
}

function ended(t: Test, program: Program): Program {
  t.teardown(() => program.end('SIGKILL'));
  return program;
}

async function exited(program: Program): Promise<Program> {
  await program.exited;
  return program;
}

t.test('run: both certificates, seven requests, the kubeconfig, a clean end', async (t) => {
  const { cluster, node } = await prepare(t);
  const program = ended(t, node.run('run'));
  await program.said('Certificate rotation deadline determined', 2);
  t.equal(cluster.requests.length, 7, asked(cluster).join(', '));
  t.equal(node.current('client')?.chain.leaf.commonName, 'system:node:n1');
  t.strictSame(node.current('serving')?.chain.leaf.ipAddresses, ['127.0.0.1']);
  t.equal(statSync(node.file('kubelet.conf')).mode & 0o777, 0o600);
  t.match(readFileSync(node.file('kubelet.conf'), 'utf8'), /kubelet-client-current\.pem/);
  t.equal(await program.end(), 0);
  t.notMatch(JSON.stringify(program.lines), /0123456789abcdef/, 'no token in the log');
});

t.test('run: waits for a manual approval, is killed, resumes the same request', async (t) => {
  const { cluster, node } = await prepare(t, { approval: 'manual', approveServing: false });
  const first = ended(t, node.run('run'));
  await cluster.until(() => cluster.requests.some(({ verb }) => verb === 'watch'));
  t.equal(node.current('client'), undefined);
  t.equal(node.current('serving')?.chain.leaf.selfSigned, true);
  await first.end('SIGKILL');
  const second = ended(t, node.run('run'));
  await second.said('Resuming the pending certificate signing request');
  const [csr] = cluster.csrs;
  cluster.approve(csr?.name ?? '');
  await second.said('Certificate is current');
  await cluster.until(() => cluster.csrs.length === 2);
  const serving = cluster.csrs.find(({ name }) => name !== csr?.name);
  cluster.approve(serving?.name ?? '');
  await second.said('Certificate is current', 2);
  t.equal(cluster.csrs.length, 2);
  t.equal(await second.end(), 0);
});

t.test('run: a fresh token dropped into the bootstrap kubeconfig is noticed without a restart', async (t) => {
  const { cluster, node } = await prepare(t);
  node.writeBootstrap(cluster.bootstrapKubeconfig({ token: 'fedcba.fedcba9876543210' }));
  const program = ended(t, node.run('run'));
  await program.said('Failed while requesting a signed certificate');
  t.equal(program.of('Failed while requesting a signed certificate')[0]?.['code'], 'ERR_API_UNAUTHORIZED');
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  await program.said('Certificate is current', 2);
  t.equal(program.of('The bootstrap kubeconfig or a file that it names changed').length, 1);
});

t.test('run: a serving link that names another file was noticed after minutes', async (t) => {
  const { node } = await prepare(t);
  const program = ended(t, node.run('run'));
  await program.said('Certificate is current', 2);
  await program.said('Hook done');
  const link = node.file('pki/kubelet-server-current.pem');
  const other = node.file('other.pem');
  copyFileSync(link, other);
  symlinkSync(other, `${link}.new`);
  renameSync(`${link}.new`, link);
  const told = 'The kubelet rotates here too; leaving this certificate alone';
  await program.said(told);
  t.match(program.of(told), [{ purpose: 'serving', files: [other] }]);
});

t.test('run: starts without a bootstrap kubeconfig and goes on when it appears', async (t) => {
  const { cluster, node } = await prepare(t);
  rmSync(node.file('bootstrap.conf'));
  const program = ended(t, node.run('run'));
  await program.said('Failed while requesting a signed certificate');
  t.equal(cluster.requests.length, 0);
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  await program.said('Certificate is current', 2);
});

t.test('run: SIGHUP takes good settings, refuses bad ones, and does not end', async (t) => {
  const { cluster, node } = await prepare(t, { lifetimeMs: 30_000, backdateMs: 0 });
  const program = ended(t, node.run('run'));
  await program.said('Certificate is current', 2);
  node.writeSettings('servingNames: [web.example.org]');
  program.signal('SIGHUP');
  await program.said('Certificate is current', 3);
  t.strictSame(node.current('serving')?.chain.leaf.dnsNames, ['n1', 'web.example.org']);
  node.writeSettings('nonsense: true');
  program.signal('SIGHUP');
  await program.said('The new settings cannot be used; keeping the old ones');
  t.equal(cluster.csrs.length, 3);
  node.writeSettings('servingNames: [web.example.org]');
  const reloads = program.of('Settings reloaded').length;
  program.signal('SIGHUP');
  await program.said('Settings reloaded', reloads + 1);
  t.equal(await program.end(), 0);
});

t.test(
  'run: a Node that its cloud provider has not initialized makes one serving request, with its addresses',
  async (t) => {
    const taints = ['node.cloudprovider.kubernetes.io/uninitialized'];
    const { cluster, node } = await prepare(t, { nodes: [{ name: 'n1', taints }] });
    const program = ended(t, node.run('run'));
    await program.said('Waiting for the cloud provider before the first request');
    t.equal(node.current('serving')?.chain.leaf.selfSigned, true, 'the kubelet can start');
    t.equal(cluster.csrs.length, 1);
    cluster.setNode({ name: 'n1', taints: [], addresses: [{ type: 'ExternalIP', address: '198.51.100.1' }] });
    await program.said('Certificate is current', 2);
    t.strictSame(node.current('serving')?.chain.leaf.ipAddresses, ['127.0.0.1', '198.51.100.1']);
    t.equal(cluster.csrs.length, 2);
    t.equal(await program.end(), 0);
  },
);

t.test('run: a second one says who holds the cert-dir', async (t) => {
  const { node } = await prepare(t);
  const first = ended(t, node.run('run'));
  await first.said('Certificate is current', 2);
  const second = ended(t, node.run('run'));
  t.equal(await second.exited, 75);
  t.match(JSON.stringify(second.lines), /is managed by process \d+ \(certlet run/);
});

t.test('certificates that expired while nothing ran: back by itself with the bootstrap token', async (t) => {
  const { cluster, node } = await prepare(t);
  t.equal(await node.run('once').exited, 0);
  for (const purpose of ['client', 'serving']) {
    node.replaceCurrent(purpose, cluster.clientCa.issue({ ...NODE, ...PAST }));
    t.ok(
      (node.current(purpose)?.chain.leaf.notAfter ?? new Date()) < new Date(),
      `${purpose}: as after a long time off`,
    );
  }
  t.equal(await node.run('once').exited, 0);
  for (const purpose of ['client', 'serving'])
    t.ok((node.current(purpose)?.chain.leaf.notAfter ?? 0) > new Date(), purpose);
  const askedBy = cluster.csrs.map(({ username }) => username.replace(/^(system:bootstrap):.*/, '$1')).sort();
  t.strictSame(askedBy, ['system:bootstrap', 'system:bootstrap', 'system:node:n1', 'system:node:n1']);
});

t.test('once: 0 when all is up to date, and again with next to no request', async (t) => {
  const { cluster, node } = await prepare(t);
  t.equal(await node.run('once').exited, 0);
  t.equal(cluster.requests.length, 7);
  cluster.forgetRequests();
  t.equal(await node.run('once').exited, 0);
  t.equal(cluster.csrs.length, 2);
  t.ok(cluster.requests.length <= 3, asked(cluster).join(', '));
});

t.test('once: 75 when it waits for approval, and the next run resumes', async (t) => {
  const { cluster, node } = await prepare(t, { approval: 'manual' });
  const waiting = await untilTimeLimit(
    (limit) => exited(node.run('once', '--timeout', limit)),
    ({ lines }) => JSON.stringify(lines).includes('certificate approve'),
  );
  t.equal(await waiting.exited, 75);
  t.match(JSON.stringify(waiting.lines), /kubectl certificate approve node-csr-/);
  t.equal(cluster.csrs.length, 1);
  cluster.approve(cluster.csrs[0]?.name ?? '');
  t.equal(await node.run('once').exited, 0);
  t.equal(cluster.csrs.length, 2);
});

for (const row of [
  { name: 'API unreachable', break: 'server' },
  { name: 'credential refused', break: 'token' },
]) {
  t.test(`once: 75 after the timeout, ${row.name}`, async (t) => {
    const { cluster, node } = await prepare(t);
    if (row.break === 'server') await cluster.stop();
    else node.writeBootstrap(cluster.bootstrapKubeconfig({ token: 'fedcba.fedcba9876543210' }));
    const program = await untilTimeLimit(
      (limit) => exited(node.run('once', '--timeout', limit)),
      () => node.current('serving') !== undefined,
    );
    t.equal(await program.exited, 75);
    t.equal(node.current('serving')?.chain.leaf.selfSigned, true);
  });
}

for (const row of [
  { name: 'a settings error', file: 'config.yaml' },
  { name: 'a kubeconfig that cannot be parsed', file: 'bootstrap.conf' },
]) {
  t.test(`once: 78 at once for ${row.name}`, async (t) => {
    const { node } = await prepare(t);
    writeFileSync(node.file(row.file), '{', { mode: 0o600 });
    t.equal(await node.run('once').exited, 78);
  });
}

t.test('once: 78 for a broken node kubeconfig that nothing can replace', async (t) => {
  const { node } = await prepare(t);
  t.equal(await node.run('once').exited, 0);
  writeFileSync(node.file('kubelet.conf'), '{', { mode: 0o600 });
  writeFileSync(node.file('bootstrap.conf'), '{', { mode: 0o600 });
  t.equal(await node.run('once').exited, 78);
});
