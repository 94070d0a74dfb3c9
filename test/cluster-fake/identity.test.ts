import t, { type Test } from 'tap';
import { detachedSignature } from '../fixtures/cluster/core-api.ts';
import { type FakeCluster, type FakeClusterOptions, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { send } from '../fixtures/cluster/plain-client.ts';
import { asBootstrap, asNode, requestsPath, submit } from '../fixtures/cluster/scenario.ts';

const DAY_MS = 86_400_000;

async function started(t: Test, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await startFakeCluster(options);
  t.teardown(() => cluster.close());
  return cluster;
}

for (const row of [
  { name: 'a good bootstrap token', status: 200 },
  { name: 'bootstrap tokens switched off', change: { bootstrapTokenAuth: false }, status: 401 },
  {
    name: 'an expired bootstrap token',
    change: { bootstrapTokens: [{ id: 'abcdef', secret: '0123456789abcdef', expiration: new Date(0) }] },
    status: 401,
  },
  {
    name: 'a bootstrap token for signing only',
    change: { bootstrapTokens: [{ id: 'abcdef', secret: '0123456789abcdef', authentication: false }] },
    status: 401,
  },
  { name: 'a deleted bootstrap token', change: { bootstrapTokens: [] }, status: 401 },
  { name: 'a bootstrap token without binding', change: { bindings: [] }, status: 403 },
])
  t.test(`authentication: ${row.name} gives ${row.status}`, async (t) => {
    const cluster = await started(t);
    Object.assign(cluster.settings, row.change);
    t.equal((await send(asBootstrap(cluster), { path: requestsPath() })).status, row.status);
    t.equal(cluster.requests[0]?.user, row.status === 401 ? undefined : 'system:bootstrap:abcdef');
    t.equal(cluster.requests[0]?.status, row.status);
  });

t.test('a static token has its user, UID and groups; the last row of the same token wins', async (t) => {
  const staticTokens = [
    { token: 'x', user: 'first' },
    { token: 'x', user: 'second', uid: '7', groups: ['system:bootstrappers'] },
  ];
  const cluster = await started(t, { staticTokens });
  await submit({ ...asBootstrap(cluster), token: 'x' });
  t.match(cluster.csrs[0], {
    username: 'second',
    userUid: '7',
    groups: ['system:bootstrappers', 'system:authenticated'],
  });
});

t.test('anonymous callers', async (t) => {
  const cluster = await started(t);
  const nobody = { url: cluster.url, ca: cluster.serverCa.pem };
  t.equal((await send(nobody, { path: '/version' })).status, 200);
  t.equal(cluster.requests[0]?.user, 'system:anonymous');
  cluster.settings.anonymous = false;
  t.equal((await send(nobody, { path: '/version' })).status, 401);
});

t.test('a client certificate is judged at every request, by the clock of the cluster', async (t) => {
  let now = new Date();
  const cluster = await started(t, { now: () => now });
  const node = asNode(cluster, 'n1', new Date(now.getTime() + DAY_MS));
  t.equal((await send(node, { path: requestsPath() })).status, 200);
  now = new Date(now.getTime() + 2 * DAY_MS);
  t.equal((await send(node, { path: requestsPath() })).status, 401);
});

t.test('a balancer that ends TLS makes a node anonymous', async (t) => {
  const cluster = await started(t, { stripClientCertificates: true });
  const answer = await send(asNode(cluster), { path: requestsPath() });
  t.equal(answer.status, 403);
  t.match(answer.text, 'User \\"system:anonymous\\" cannot list');
});

t.test('a rotated client CA', async (t) => {
  const cluster = await started(t);
  const old = asNode(cluster);
  cluster.rotateClientCa({ keepOld: true });
  t.equal((await send(old, { path: requestsPath() })).status, 200, 'the old one is kept');
  cluster.rotateClientCa();
  t.equal((await send(old, { path: requestsPath() })).status, 401, 'the old one is gone');
  t.equal((await send(asNode(cluster), { path: requestsPath() })).status, 200, 'a certificate of the new one');
});

t.test('NodeRestriction: from 1.31 a node asks for itself only', async (t) => {
  for (const [version, status] of [
    ['1.30', 201],
    ['1.31', 403],
  ] as const) {
    const cluster = await started(t, { version });
    const answer = await submit(asNode(cluster), { commonName: 'system:node:n2' });
    t.equal(answer.status, status, version);
    if (status === 403) t.match(answer.text, 'can only create a node CSR with CN=system:node:n1');
    t.equal(
      (await submit(asBootstrap(cluster), { name: 'b', commonName: 'system:node:n2' })).status,
      201,
      'a token is no node',
    );
  }
});

t.test('from 1.32 a node reads its own Node only', async (t) => {
  const nodes = [{ name: 'n1', addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] }, { name: 'n2' }];
  for (const [version, status] of [
    ['1.31', 200],
    ['1.32', 403],
  ] as const) {
    const cluster = await started(t, { version, nodes });
    const node = asNode(cluster);
    const own = await send(node, { path: '/api/v1/nodes/n1' });
    t.match(JSON.parse(own.text).status, {
      addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
      nodeInfo: { kubeletVersion: `v${version}.0` },
    });
    const other = await send(node, { path: '/api/v1/nodes/n2' });
    t.equal(other.status, status, version);
    if (status === 403) t.match(other.text, "node 'n1' cannot read 'n2', only its own Node object");
    t.equal((await send(node, { path: '/api/v1/nodes' })).status, status, 'a list of all');
    const one = await send(node, { path: '/api/v1/nodes?fieldSelector=metadata.name%3Dn1' });
    t.strictSame(JSON.parse(one.text).items.length, 1);
  }
});

t.test('Nodes come, change and go', async (t) => {
  const cluster = await started(t);
  const node = asNode(cluster);
  const status = async () => (await send(node, { path: '/api/v1/nodes/n1' })).status;
  t.equal(await status(), 404);
  cluster.setNode({ name: 'n1' });
  cluster.setNode({ name: 'n1', kubeletVersion: 'v1.20.2' });
  t.match((await send(node, { path: '/api/v1/nodes/n1' })).text, '"kubeletVersion":"v1.20.2"');
  cluster.removeNode('n1');
  t.equal(await status(), 404);
});

t.test('events are stored, and patches change them', async (t) => {
  const cluster = await started(t);
  const node = asNode(cluster);
  const path = '/api/v1/namespaces/default/events';
  const event = (metadata: object): string => JSON.stringify({ metadata, reason: 'Issued', count: 1 });
  t.equal((await send(node, { method: 'POST', path, body: event({ name: 'e' }) })).status, 201);
  t.equal((await send(node, { method: 'POST', path, body: event({ generateName: 'e.' }) })).status, 201);
  t.equal((await send(node, { method: 'POST', path, body: 'x' })).status, 400);
  const patch = { method: 'PATCH', path: `${path}/e`, body: '{"count":2}' };
  t.equal((await send(node, { ...patch, contentType: 'application/strategic-merge-patch+json' })).status, 200);
  t.equal((await send(node, patch)).status, 415);
  t.match(cluster.events, [
    { reason: 'Issued', count: 2 },
    { reason: 'Issued', count: 1 },
  ]);
});

t.test('cluster-info', async (t) => {
  t.equal(
    detachedSignature('Hello from the other side. I must have called a thousand times.', {
      id: 'joshua',
      secret: 'my voice is my passcode',
    }),
    'eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8',
    'as in the test vector of Kubernetes',
  );
  const bootstrapTokens = [
    { id: 'aaaaaa', secret: '0123456789abcdef' },
    { id: 'bbbbbb', secret: '0123456789abcdef', signing: false },
    { id: 'cccccc', secret: '0123456789abcdef', expiration: new Date(0) },
  ];
  const cluster = await started(t, { bootstrapTokens });
  const path = '/api/v1/namespaces/kube-public/configmaps/cluster-info';
  const nobody = { url: cluster.url, ca: cluster.serverCa.pem };
  const { data } = JSON.parse((await send(nobody, { path })).text);
  t.strictSame(Object.keys(data).toSorted(), ['jws-kubeconfig-aaaaaa', 'kubeconfig']);
  t.equal(
    data['jws-kubeconfig-aaaaaa'],
    detachedSignature(data.kubeconfig, { id: 'aaaaaa', secret: '0123456789abcdef' }),
  );
  t.match(data.kubeconfig, `server: ${cluster.url}`);
});

t.test('bootstrap kubeconfigs', async (t) => {
  const cluster = await started(t);
  const ca = Buffer.from(cluster.serverCa.pem).toString('base64');
  const usual = cluster.bootstrapKubeconfig();
  t.match(usual, `server: ${cluster.url}`);
  t.match(usual, `certificate-authority-data: ${ca}`);
  t.match(usual, 'token: "abcdef.0123456789abcdef"');
  const special = cluster.bootstrapKubeconfig({
    tokenFile: '/t',
    caFile: '/ca',
    tlsServerName: 'kubernetes',
    proxyUrl: 'http://p',
  });
  t.notMatch(special, /token: |authority-data/);
  t.match(special, /tokenFile: "\/t"/);
  t.match(special, /certificate-authority: "\/ca"\n {4}tls-server-name: "kubernetes"\n {4}proxy-url: "http:\/\/p"/);
  t.match(cluster.bootstrapKubeconfig({ token: 'other' }), 'token: "other"');
  t.match(cluster.bootstrapKubeconfig({ insecureSkipTlsVerify: true }), 'insecure-skip-tls-verify: true');
  cluster.settings.bootstrapTokens = [];
  t.match(cluster.bootstrapKubeconfig(), / {2}user: \{\}/);
});
