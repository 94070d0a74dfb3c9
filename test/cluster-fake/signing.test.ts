import { X509Certificate } from 'node:crypto';
import t, { type Test } from 'tap';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { type FakeCluster, type FakeClusterOptions, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { send } from '../fixtures/cluster/plain-client.ts';
import { asBootstrap, asNode, requestsPath, submit } from '../fixtures/cluster/scenario.ts';
import { SIGNER_CASES } from '../fixtures/cluster/signer-cases.ts';
import type { SigningRequest } from '../fixtures/cluster/signing-request.ts';
import { testRequestPem } from '../fixtures/cluster/test-request.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const NOW = new Date('2030-01-01T12:00:00Z');

async function started(t: Test, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await startFakeCluster(options);
  t.teardown(() => cluster.close());
  return cluster;
}

function only(cluster: FakeCluster): SigningRequest {
  const [request] = cluster.csrs;
  if (request === undefined) throw new Error('no signing request');
  return request;
}

function states(cluster: FakeCluster): readonly string[] {
  return only(cluster).conditions.map((row) => `${row.type} ${row.reason}: ${row.message}`);
}

for (const row of SIGNER_CASES)
  t.test(`signer of 1.20: ${row.name}`, async (t) => {
    const cluster = await started(t, { version: '1.20', approval: 'manual' });
    const { request, usages } = row;
    const body = JSON.stringify({
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name: 'case' },
      spec: { request: Buffer.from(testRequestPem(request)).toString('base64'), signerName: row.signerName, usages },
    });
    const answer = await send(asBootstrap(cluster), { method: 'POST', path: requestsPath(), body });
    t.equal(answer.status, 201);
    cluster.approve('case');
    const failure = only(cluster).conditions.find((condition) => condition.type === 'Failed');
    t.equal(failure?.message, row.failure);
    t.equal(failure?.reason, row.failure === undefined ? undefined : 'SignerValidationFailure');
    t.equal(only(cluster).certificatePem === undefined, row.failure !== undefined);
  });

for (const row of [
  { name: '1.24 wants three usages', version: '1.24', issued: false },
  { name: '1.25 takes two', version: '1.25', issued: true },
  { name: 'before 1.18 the signer checks nothing', version: '1.17', apiVersion: 'v1beta1', issued: true },
] as const)
  t.test(`usages: ${row.name}`, async (t) => {
    const version = 'apiVersion' in row ? row.apiVersion : 'v1';
    const cluster = await started(t, { version: row.version, approval: 'manual' });
    await submit(asBootstrap(cluster), { usages: ['digital signature', 'client auth'], version });
    cluster.approve('request');
    t.equal(only(cluster).certificatePem !== undefined, row.issued);
  });

t.test('approver', async (t) => {
  t.test('a client request is approved and signed by itself', async (t) => {
    const cluster = await started(t);
    await submit(asBootstrap(cluster));
    await cluster.until(() => only(cluster).certificatePem !== undefined);
    t.strictSame(states(cluster), [
      'Approved AutoApproved: Auto approving kubelet client certificate after SubjectAccessReview.',
    ]);
  });
  t.test('a node renews for itself', async (t) => {
    const cluster = await started(t);
    await submit(asNode(cluster));
    await cluster.until(() => only(cluster).certificatePem !== undefined);
    t.strictSame(states(cluster), [
      'Approved AutoApproved: Auto approving self kubelet client certificate after SubjectAccessReview.',
    ]);
  });
  for (const row of [
    { name: 'a serving request waits', options: {}, purpose: 'serving', pending: true },
    {
      name: 'a serving request is approved where a serving approver runs',
      options: { approveServing: true },
      purpose: 'serving',
      pending: false,
    },
    { name: 'manual: a client request waits', options: { approval: 'manual' }, purpose: 'client', pending: true },
    { name: 'never: a client request waits', options: { approval: 'never' }, purpose: 'client', pending: true },
    {
      name: 'without binding a client request waits',
      options: { bindings: [{ role: 'system:node-bootstrapper', groups: ['system:nodes'] }] },
      purpose: 'client',
      pending: true,
    },
  ] as const)
    t.test(row.name, async (t) => {
      const cluster = await started(t, row.options);
      await submit(asNode(cluster), { purpose: row.purpose });
      cluster.sync();
      t.equal(only(cluster).conditions.length === 0, row.pending);
    });
  t.test('denying: the reason and message of the setting', async (t) => {
    const cluster = await started(t, { approval: 'denying', denial: { reason: 'No', message: 'not here' } });
    await submit(asBootstrap(cluster));
    cluster.sync();
    t.strictSame(states(cluster), ['Denied No: not here']);
  });
  t.test('a later binding is seen by the next look', async (t) => {
    const cluster = await started(t, { approval: 'never' });
    await submit(asBootstrap(cluster));
    cluster.settings.approval = 'automatic';
    cluster.sync();
    t.ok(only(cluster).certificatePem);
  });
});

t.test('by hand', async (t) => {
  const cluster = await started(t, { approval: 'manual' });
  for (const name of ['a', 'b', 'c', 'd']) await submit(asBootstrap(cluster), { name });
  cluster.approve('a');
  cluster.deny('b', 'Policy', 'no');
  cluster.fail('c', 'Broken', 'cannot');
  const rows = cluster.csrs.map((row) => [
    row.name,
    row.conditions.map((one) => one.reason).join(),
    row.certificatePem !== undefined,
  ]);
  t.strictSame(rows, [
    ['a', 'KubectlApprove', true],
    ['b', 'Policy', false],
    ['c', 'Broken', false],
    ['d', '', false],
  ]);
  t.throws(() => cluster.approve('x'), RangeError);
  const before = cluster.csrs.find((row) => row.name === 'a');
  cluster.recreate('a');
  const after = cluster.csrs.find((row) => row.name === 'a');
  t.not(after?.uid, before?.uid);
  t.equal(after?.certificatePem, undefined);
  t.equal(after?.requestPem, before?.requestPem);
  cluster.remove('a');
  t.strictSame(
    cluster.csrs.map((row) => row.name),
    ['b', 'c', 'd'],
  );
  t.throws(() => cluster.recreate('a'), RangeError);
});

t.test('approval over the API, as kubectl does it', async (t) => {
  const cluster = await started(t, { approval: 'manual' });
  await submit(asBootstrap(cluster));
  const issued = cluster.clientCa.issue({ commonName: 'admin', organizations: ['system:masters'] });
  const admin = { url: cluster.url, ca: cluster.serverCa.pem, cert: issued.chainPem, key: issued.keyPem };
  const read = JSON.parse((await send(admin, { path: requestsPath('request') })).text);
  const put = (object: object) =>
    send(admin, { method: 'PUT', path: `${requestsPath('request')}/approval`, body: JSON.stringify(object) });
  const old = { ...read, metadata: { ...read.metadata, resourceVersion: '1' } };
  t.equal((await put(old)).status, 409, 'an older object is a conflict');
  read.status = { conditions: [{ type: 'Approved', status: 'True', reason: 'KubectlApprove', message: 'by hand' }] };
  t.equal((await put(read)).status, 200);
  await cluster.until(() => only(cluster).certificatePem !== undefined);
  t.strictSame(states(cluster), ['Approved KubectlApprove: by hand']);
});

t.test('signer modes', async (t) => {
  const cluster = await started(t, { signing: 'off' });
  await submit(asBootstrap(cluster));
  cluster.sync();
  t.equal(only(cluster).conditions.length, 1);
  t.equal(only(cluster).certificatePem, undefined, 'off: approved, not issued');
  cluster.settings.signing = 'delayed';
  cluster.sync();
  t.equal(only(cluster).certificatePem, undefined, 'delayed: waits');
  cluster.issue('request');
  t.ok(only(cluster).certificatePem, '… until it is told to issue');
});

for (const row of [
  { name: '1.20 takes the backdate from the end', version: '1.20', lifetimeMs: 10 * MINUTE_MS, from: -5, to: 5 },
  {
    name: '1.22 gives short certificates their whole time',
    version: '1.22',
    lifetimeMs: 10 * MINUTE_MS,
    from: -5,
    to: 10,
  },
  {
    name: '1.36 takes the backdate from the end of long ones',
    version: '1.36',
    lifetimeMs: 24 * HOUR_MS,
    from: -5,
    to: 24 * 60 - 5,
  },
  {
    name: 'a requested time is granted',
    version: '1.36',
    lifetimeMs: 24 * HOUR_MS,
    expirationSeconds: 3600,
    from: -5,
    to: 60,
  },
  {
    name: 'a requested time is cut to the longest',
    version: '1.36',
    lifetimeMs: HOUR_MS,
    expirationSeconds: 7200,
    from: -5,
    to: 60,
  },
  {
    name: 'a requested time is dropped before 1.22',
    version: '1.21',
    lifetimeMs: 2 * HOUR_MS,
    expirationSeconds: 3600,
    from: -5,
    to: 115,
  },
  { name: 'a backdate of one minute', version: '1.36', lifetimeMs: 30_000, backdateMs: MINUTE_MS, from: -1, to: 0.5 },
])
  t.test(`validity: ${row.name}`, async (t) => {
    const { version, lifetimeMs } = row;
    const backdate = row.backdateMs === undefined ? {} : { backdateMs: row.backdateMs };
    const cluster = await started(t, { version, lifetimeMs, ...backdate, now: () => NOW });
    cluster.settings.approval = 'manual';
    const seconds = row.expirationSeconds === undefined ? {} : { expirationSeconds: row.expirationSeconds };
    // The server certificate lives by the cluster's clock, the client here by the real one.
    const target = { ...asBootstrap(cluster), insecure: true };
    await submit(target, seconds);
    cluster.approve('request');
    const leaf = new X509Certificate(only(cluster).certificatePem ?? '');
    const minutes = (date: Date): number => (date.getTime() - NOW.getTime()) / MINUTE_MS;
    t.strictSame([minutes(leaf.validFromDate), minutes(leaf.validToDate)], [row.from, row.to]);
  });

t.test('chains and wrong certificates', async (t) => {
  const cluster = await started(t, { chainLength: 3 });
  const blocks = (): number => (only(cluster).certificatePem?.match(/BEGIN CERTIFICATE/g) ?? []).length;
  await submit(asBootstrap(cluster));
  cluster.sync();
  t.equal(blocks(), 3);
  cluster.remove('request');
  cluster.settings.sign = (task) => `text before\n${task.issue({ organizations: ['wrong'] }).certPem}`;
  await submit(asBootstrap(cluster));
  cluster.sync();
  t.match(only(cluster).certificatePem, /^text before/);
  t.equal(new X509Certificate(only(cluster).certificatePem ?? '').subject, 'O=wrong\nCN=system:node:n1');
});

t.test('a certificate with intermediates is accepted as client certificate', async (t) => {
  const cluster = await started(t);
  const middle = cluster.clientCa.intermediate({ name: 'middle' });
  const { chainPem, certPem, keyPem } = middle.issue({ commonName: 'system:node:n1', organizations: ['system:nodes'] });
  const path = '/apis/certificates.k8s.io/v1';
  const target = { url: cluster.url, ca: cluster.serverCa.pem, key: keyPem };
  t.equal((await send({ ...target, cert: chainPem }, { path })).status, 200);
  t.equal((await send({ ...target, cert: certPem }, { path })).status, 401, 'not without them');
});

t.test('cleaner', async (t) => {
  let nowMs = Date.now();
  const cluster = await started(t, { approval: 'manual', version: '1.36', now: () => new Date(nowMs) });
  cluster.settings.signing = 'delayed';
  const names = ['approved', 'denied', 'failed', 'issued', 'pending'];
  for (const name of names) await submit(asBootstrap(cluster), { name });
  cluster.approve('approved');
  cluster.deny('denied');
  cluster.fail('failed');
  cluster.approve('issued');
  cluster.issue('issued');
  t.strictSame(cluster.clean(), []);
  nowMs += 61 * MINUTE_MS;
  t.strictSame(cluster.clean(), ['denied', 'failed', 'issued'], 'after an hour');
  nowMs += 24 * HOUR_MS;
  t.strictSame(cluster.clean(), ['approved', 'pending'], 'after a day');
});

t.test('cleaner before 1.35: an approved request without certificate stays', async (t) => {
  const cluster = await started(t, { version: '1.20', signing: 'off' });
  await submit(asBootstrap(cluster));
  cluster.sync();
  t.strictSame(cluster.clean(new Date(Date.now() + 48 * HOUR_MS)), []);
});

t.test('cleaner: an expired certificate goes at once', async (t) => {
  const cluster = await started(t, { lifetimeMs: 10 * MINUTE_MS });
  await submit(asBootstrap(cluster));
  cluster.sync();
  t.strictSame(cluster.clean(new Date(Date.now() + 11 * MINUTE_MS)), ['request']);
});

t.test('an expired client CA leaves requests approved without certificate', async (t) => {
  const cluster = await started(t, { approval: 'manual' });
  await submit(asBootstrap(cluster));
  cluster.rotateClientCa({ authority: createAuthority({ name: 'old', notAfter: new Date(Date.now() - 1000) }) });
  cluster.approve('request');
  t.strictSame(
    only(cluster).conditions.map((row) => row.type),
    ['Approved'],
  );
  t.equal(only(cluster).certificatePem, undefined);
});

t.test('a certificate ends with its CA', async (t) => {
  const cluster = await started(t, { approval: 'manual' });
  const notAfter = new Date(Math.floor(Date.now() / 1000) * 1000 + HOUR_MS);
  cluster.rotateClientCa({ authority: createAuthority({ name: 'short', notAfter }) });
  await submit(asBootstrap(cluster));
  cluster.approve('request');
  t.strictSame(new X509Certificate(only(cluster).certificatePem ?? '').validToDate, notAfter);
  const before = only(cluster);
  cluster.approve('request');
  cluster.issue('request');
  t.equal(only(cluster), before, 'a second approval changes nothing');
});

t.test('another signer is another program: only a hook signs for it', async (t) => {
  const cluster = await started(t);
  const spec = {
    request: Buffer.from(testRequestPem({ commonName: 'jane', organizations: [] })).toString('base64'),
    signerName: 'example.com/other',
    usages: ['client auth'],
  };
  const body = JSON.stringify({ metadata: { generateName: 'csr-' }, spec });
  t.equal((await send(asBootstrap(cluster), { method: 'POST', path: requestsPath(), body })).status, 201);
  t.match(only(cluster).name, /^csr-[a-z0-9]{5}$/);
  cluster.sync();
  t.equal(only(cluster).conditions.length, 0, 'nobody approves it');
  cluster.approve(only(cluster).name);
  t.equal(only(cluster).certificatePem, undefined);
  cluster.settings.sign = (task) => task.issue().chainPem;
  cluster.sync();
  t.ok(only(cluster).certificatePem);
});
