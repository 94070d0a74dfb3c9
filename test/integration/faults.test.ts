import t from 'tap';
import { type FakeCluster, type FakeClusterOptions, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { NodeFolder } from './program.ts';

interface Row {
  readonly name: string;
  readonly options?: FakeClusterOptions;
  readonly break?: (cluster: FakeCluster) => void;
  /** Requests of this verb at least. */
  readonly sees?: string;
}

const watching = { verb: 'watch', times: 1 } as const;
const rows: readonly Row[] = [
  { name: 'a server of 1.9, which serves v1beta1 alone', options: { version: '1.9' } },
  { name: 'a server of 1.21 with v1beta1 alone', options: { version: '1.21', apiVersions: ['v1beta1'] } },
  { name: 'a server that uses v1beta1 for other resources', options: { betaForOtherResources: true } },
  {
    name: 'a server of 1.9 that hides from the token what it serves',
    options: { version: '1.9' },
    break: ({ faults }) =>
      void faults.add({ kind: 'status', code: 403 }, { path: /^\/apis\/certificates\.k8s\.io\/v1(beta1)?$/ }),
    sees: 'list',
  },
  { name: 'a chain of three', options: { chainLength: 3 } },
  {
    name: 'a create that is told to come back in a second',
    break: ({ faults }) =>
      void faults.add({ kind: 'status', code: 429, retryAfter: '1' }, { verb: 'create', times: 1 }),
  },
  {
    name: 'a create whose answer is lost',
    break: ({ faults }) => void faults.add({ kind: 'reset', at: 'answer' }, { verb: 'create', times: 1 }),
    sees: 'get',
  },
  {
    name: 'a server that fails at first',
    break: ({ faults }) => void faults.add({ kind: 'status', code: 503 }, { times: 2 }),
  },
  {
    name: 'a proxy that refuses watches',
    break: ({ faults }) => void faults.add({ kind: 'status', code: 403 }, { verb: 'watch' }),
    sees: 'get',
  },
  {
    name: 'a watch that ends in the middle of an event',
    break: ({ faults }) => void faults.add({ kind: 'half' }, watching),
  },
  {
    name: 'a watch whose connection breaks',
    break: ({ faults }) => void faults.add({ kind: 'reset', at: 'body' }, watching),
    sees: 'get',
  },
  {
    name: 'a watch that is a login page',
    break: ({ faults }) =>
      void faults.add({ kind: 'answer', body: '<html>Please sign in</html>', contentType: 'text/html' }, watching),
    sees: 'get',
  },
  {
    name: 'a watch from too old a version',
    break: ({ faults }) => void faults.add({ kind: 'status', code: 410 }, watching),
    sees: 'get',
  },
  {
    name: 'a watch in pieces of three bytes',
    break: ({ faults }) => void faults.add({ kind: 'pieces', bytes: 3 }, { verb: 'watch' }),
  },
];

for (const row of rows) {
  t.test(`once gets both certificates, one request for each, from ${row.name}`, async (t) => {
    const cluster = await startFakeCluster({ approveServing: true, ...row.options });
    t.teardown(() => cluster.close());
    row.break?.(cluster);
    const node = new NodeFolder(t.testdir({}));
    node.writeSettings();
    node.writeBootstrap(cluster.bootstrapKubeconfig());
    const program = node.run('once', '--timeout', '60s');
    t.equal(await program.exited, 0, JSON.stringify(program.lines.slice(-2)));
    t.equal(cluster.csrs.length, 2);
    t.equal(node.current('client')?.chain.leaf.commonName, 'system:node:n1');
    t.ok(cluster.requests.length < 25, `${String(cluster.requests.length)} requests`);
    if (row.sees !== undefined)
      t.ok(
        cluster.requests.some(({ verb, path }) => verb === row.sees && /signingrequests(\/node-csr|\?|$)/.test(path)),
      );
  });
}

t.test('run waits out a server that stops and starts, with one request', async (t) => {
  const cluster = await startFakeCluster({ approval: 'manual', approveServing: true });
  t.teardown(() => cluster.close());
  const node = new NodeFolder(t.testdir({}));
  node.writeSettings();
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  const program = node.run('run');
  t.teardown(() => program.end('SIGKILL'));
  await cluster.until(() => cluster.requests.some(({ verb }) => verb === 'watch'));
  await cluster.stop();
  await program.said('Failed while requesting a signed certificate');
  await cluster.start();
  cluster.approve(cluster.csrs[0]?.name ?? '');
  await program.said('Certificate is current', 2);
  t.equal(cluster.csrs.length, 2);
});
