import t, { type Test } from 'tap';
import { generateTestKey } from '../fixtures/cluster/authority.ts';
import { type FakeCluster, type FakeClusterOptions, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { send } from '../fixtures/cluster/plain-client.ts';
import { asBootstrap, asNode, requestsPath, submission, submit } from '../fixtures/cluster/scenario.ts';
import { serverFeatures } from '../fixtures/cluster/version.ts';

async function started(t: Test, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await startFakeCluster(options);
  t.teardown(() => cluster.close());
  return cluster;
}

/** Which versions the group names, and which of them serve signing requests. */
async function served(cluster: FakeCluster): Promise<object> {
  const get = async (path: string) => send(asBootstrap(cluster), { path });
  const group = JSON.parse((await get('/apis/certificates.k8s.io')).text);
  const lists: string[] = [];
  const creates: string[] = [];
  for (const version of ['v1', 'v1beta1'] as const) {
    const list = await get(`/apis/certificates.k8s.io/${version}`);
    if (list.text.includes('certificatesigningrequests')) lists.push(version);
    const created = await submit(asBootstrap(cluster), { name: version, version });
    if (created.status === 201) creates.push(version);
    else t.match(created.text, 'the server could not find the requested resource');
  }
  return { group: group.versions.map((row: { version: string }) => row.version), lists, creates };
}

for (const row of [
  { version: '1.9', group: ['v1beta1'], serves: ['v1beta1'] },
  { version: '1.18', group: ['v1beta1'], serves: ['v1beta1'] },
  { version: '1.19', group: ['v1', 'v1beta1'], serves: ['v1', 'v1beta1'] },
  { version: '1.21.3', group: ['v1', 'v1beta1'], serves: ['v1', 'v1beta1'] },
  { version: '1.22', group: ['v1'], serves: ['v1'] },
  { version: '1.36', group: ['v1'], serves: ['v1'] },
  { version: '1.36', betaForOtherResources: true, group: ['v1', 'v1beta1'], serves: ['v1'] },
  { version: '1.20', apiVersions: ['v1beta1'], group: ['v1beta1'], serves: ['v1beta1'] },
] as const)
  t.test(
    `discovery of ${row.version} ${'betaForOtherResources' in row ? 'with other beta resources' : ''}`,
    async (t) => {
      const { group, serves, ...options } = row;
      const cluster = await started(t, options);
      t.strictSame(await served(cluster), { group, lists: serves, creates: serves });
      const version = await send(asBootstrap(cluster), { path: '/version' });
      t.equal(JSON.parse(version.text).gitVersion, `v${row.version}${row.version.split('.').length === 2 ? '.0' : ''}`);
    },
  );

for (const row of [
  { version: '1.17', signerName: undefined, warning: false },
  { version: '1.18', signerName: 'kubernetes.io/kube-apiserver-client-kubelet', warning: false },
  { version: '1.19', signerName: 'kubernetes.io/kube-apiserver-client-kubelet', warning: true },
])
  t.test(`v1beta1 of ${row.version}`, async (t) => {
    const cluster = await started(t, { version: row.version });
    const answer = await submit(asBootstrap(cluster), { version: 'v1beta1' });
    t.equal(JSON.parse(answer.text).spec.signerName, row.signerName);
    t.equal(answer.headers['warning'] !== undefined, row.warning);
    await cluster.until(() => cluster.csrs[0]?.certificatePem !== undefined);
    const read = JSON.parse((await send(asBootstrap(cluster), { path: requestsPath('request', 'v1beta1') })).text);
    t.equal(read.status.conditions[0].status, row.version === '1.19' ? 'True' : undefined);
    t.match(Buffer.from(read.status.certificate, 'base64').toString(), /^-----BEGIN CERTIFICATE-----/);
  });

t.test('before 1.18 a signerName does not select either', async (t) => {
  const cluster = await started(t, { version: '1.17' });
  const path = `${requestsPath('', 'v1beta1')}?fieldSelector=spec.signerName%3Dx`;
  t.equal((await send(asBootstrap(cluster), { path })).status, 400);
});

t.test('expirationSeconds', async (t) => {
  for (const [version, seconds, status, kept] of [
    ['1.21', 60, 201, undefined],
    ['1.22', 600, 201, 600],
    ['1.22', 599, 422, undefined],
  ] as const) {
    const cluster = await started(t, { version });
    const answer = await submit(asBootstrap(cluster), { expirationSeconds: seconds });
    t.equal(answer.status, status, `${version} ${String(seconds)}`);
    t.equal(cluster.csrs[0]?.expirationSeconds, kept);
    if (status === 422)
      t.match(
        answer.text,
        'spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)',
      );
  }
});

t.test('access reviews in v1beta1 end with 1.21', async (t) => {
  for (const [version, status] of [
    ['1.21', 201],
    ['1.22', 404],
  ] as const) {
    const cluster = await started(t, { version });
    const path = '/apis/authorization.k8s.io/v1beta1/selfsubjectaccessreviews';
    const body = JSON.stringify({
      spec: { resourceAttributes: { verb: 'get', resource: 'nodes', name: 'n1', namespace: 'x', version: 'v1' } },
    });
    t.equal((await send(asNode(cluster), { method: 'POST', path, body })).status, status);
  }
});

t.test('refused by form', async (t) => {
  const cluster = await started(t);
  const target = asBootstrap(cluster);
  const review = { method: 'POST', path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews' };
  t.equal((await send(target, { ...review, body: '{}' })).status, 422);
  t.equal((await send(target, { ...review, body: '{' })).status, 400);
  const request = JSON.parse(submission());
  request.spec.request = '!!!';
  const bad = await send(target, { method: 'POST', path: requestsPath(), body: JSON.stringify(request) });
  t.match(bad.text, 'illegal base64 data');
  request.spec.request = Buffer.from(
    '-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n',
  ).toString('base64');
  const broken = await send(target, { method: 'POST', path: requestsPath(), body: JSON.stringify(request) });
  t.match(broken.text, 'asn1: structure error');
  t.throws(() => serverFeatures('2.0'), TypeError);
});

t.test('paths beside signing requests', async (t) => {
  const cluster = await started(t);
  const issued = cluster.clientCa.issue({ commonName: 'admin', organizations: ['system:masters'] });
  const admin = { url: cluster.url, ca: cluster.serverCa.pem, cert: issued.chainPem, key: issued.keyPem };
  const get = async (path: string, method = 'GET') => send(admin, { path, method });
  t.match((await get('/api')).text, '"versions":["v1"]');
  t.match((await get('/apis')).text, '"name":"certificates.k8s.io"');
  for (const path of [
    '/other',
    '/apis/other.io/v1/things',
    '/api/v1/pods',
    '/api/v2/nodes/n1',
    `${requestsPath('x')}/other`,
  ])
    t.equal((await get(path)).status, 404, path);
  t.equal((await get('/api/v1/namespaces/kube-public/configmaps/other')).status, 404);
  t.equal((await get(requestsPath('x'), 'DELETE')).status, 404);
  t.equal((await get(requestsPath('x'), 'PATCH')).status, 405);
  t.equal((await get(`${requestsPath('x')}/approval`, 'PUT')).status, 404);
});

t.test('a proof of possession with RSA is checked too', async (t) => {
  const cluster = await started(t);
  const key = generateTestKey('RSA-2048');
  t.equal((await submit(asBootstrap(cluster), { name: 'good', key })).status, 201);
  const forged = await submit(asBootstrap(cluster), { key, signingKey: generateTestKey('RSA-2048') });
  t.match(forged.text, 'crypto/rsa: verification error');
});
