/** `certlet approve --watch` against the fake cluster: as requests come, as Nodes come, one of several, and through troubles. */
import t, { type Test } from 'tap';
import type { ApproveArguments } from '../../src/cli/command.ts';
import { runApprove } from '../../src/cli/commands/approve.ts';
import type { FakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { adminHost, ask, conditionOf, fakeCluster, NODES } from './world.ts';

interface Service {
  readonly log: { readonly text: string; shows(pattern: RegExp): Promise<void> };
  readonly stop: () => Promise<void>;
}

function start(t: Test, cluster: FakeCluster, approve: Readonly<Record<string, unknown>> = {}): Service {
  const { host, admin } = adminHost(t, cluster, { approve, log: { level: 'debug', format: 'text' } });
  const { context, stderr, stop } = host.session();
  const command: ApproveArguments = {
    name: 'approve',
    output: 'text',
    names: [],
    force: [],
    yes: false,
    dryRun: false,
    watch: true,
    printRbac: false,
    serviceAccount: undefined,
    access: { kubeconfig: admin, context: undefined },
    settingsPath: host.settingsPath,
  };
  const running = runApprove(context, command);
  const ended = async (): Promise<void> => {
    stop.abort();
    await running;
  };
  t.teardown(ended);
  return { log: stderr, stop: ended };
}

const isApproved = (cluster: FakeCluster, name: string): boolean => conditionOf(cluster, name).startsWith('Approved');

t.test('what is pending and what comes later is approved, and what fails is told once', async (t) => {
  const cluster = await fakeCluster(t);
  ask(cluster, 'csr-before');
  ask(cluster, 'csr-bad', { node: 'n2', content: { ipAddresses: ['192.0.2.1'] } });
  const service = start(t, cluster);
  await cluster.until(() => isApproved(cluster, 'csr-before'));
  ask(cluster, 'csr-later', { node: 'n2' });
  await cluster.until(() => isApproved(cluster, 'csr-later'));
  await service.stop();
  t.equal(conditionOf(cluster, 'csr-bad'), '');
  t.equal(service.log.text.match(/Not approved/g)?.length, 1, service.log.text);
  t.match(service.log.text, /others-names: .*192.0.2.1.* stands in the Node n1/);
  t.match(cluster.events[0], { involvedObject: { kind: 'Node', name: 'n2' }, type: 'Warning', message: /csr-bad/ });
});

t.test(
  'requests with invented names of nodes filled the cluster with Events of Nodes that are not there',
  async (t) => {
    const cluster = await fakeCluster(t);
    for (const name of ['ghost-1', 'ghost-2'])
      ask(cluster, `csr-${name}`, { username: 'system:node:n1', content: { commonName: `system:node:${name}` } });
    ask(cluster, 'csr-of-n2', { node: 'n2', content: { ipAddresses: ['192.0.2.1'] } });
    const service = start(t, cluster);
    for (const name of ['csr-ghost-1', 'csr-ghost-2', 'csr-of-n2'])
      await service.log.shows(new RegExp(`Not approved.*${name}`));
    await cluster.until(() => cluster.events.length > 0);
    await service.stop();
    t.strictSame(
      cluster.events.map((event) => (event as { involvedObject: { name: string } }).involvedObject.name),
      ['n2'],
    );
  },
);

t.test(
  'a node got a certificate for the address of an API server whose host is no Node; its label or nobody gives it',
  async (t) => {
    const cluster = await fakeCluster(t, { own: { endpoints: ['192.0.2.2'] }, serverNames: ['api.example'] });
    cluster.setNode({
      name: 'n3',
      addresses: ['n3', 'api.example', '192.0.2.3'].map((address) => ({ type: 'InternalDNS', address })),
    });
    ask(cluster, 'csr-endpoint', { node: 'n2' });
    ask(cluster, 'csr-certificate', { node: 'n3', content: { dnsNames: ['n3', 'api.example'] } });
    ask(cluster, 'csr-service', { node: 'n1', content: { ipAddresses: ['10.96.7.7'] } });
    ask(cluster, 'csr-good', { node: 'n1' });
    const service = start(t, cluster);
    await cluster.until(() => isApproved(cluster, 'csr-good'));
    await service.log.shows(/csr-endpoint.*api-server: .*192\.0\.2\.2.* is the API server's/);
    await service.log.shows(/csr-certificate.*api-server: .*api\.example.* is the API server's/);
    await service.log.shows(/csr-service.*never: .*10\.96\.7\.7/);
    for (const name of ['csr-endpoint', 'csr-certificate', 'csr-service']) t.equal(conditionOf(cluster, name), '');
    cluster.setNode({
      name: 'n2',
      labels: { 'node-role.kubernetes.io/control-plane': '' },
      addresses: [{ type: 'InternalIP', address: '192.0.2.2' }],
    });
    await cluster.until(() => isApproved(cluster, 'csr-endpoint'));
    t.notMatch(service.log.text, /Addresses of Services may pass|Not allowed to find out/);
  },
);

t.test('a request waits for its Node and is approved when that is there', async (t) => {
  const cluster = await fakeCluster(t);
  ask(cluster, 'csr-n3', { node: 'n3' });
  const service = start(t, cluster);
  await service.log.shows(/Waiting before approval.*there is no Node n3 yet/);
  cluster.setNode({ name: 'n3', addresses: [{ type: 'InternalIP', address: '192.0.2.3' }] });
  await cluster.until(() => isApproved(cluster, 'csr-n3'));
});

t.test('deny: true denies with the reasons, but not what may pass by itself', async (t) => {
  const cluster = await fakeCluster(t);
  ask(cluster, 'csr-n3', { node: 'n3' });
  ask(cluster, 'csr-masters', { content: { organizations: ['system:masters'] } });
  const service = start(t, cluster, { deny: true });
  await cluster.until(() => conditionOf(cluster, 'csr-masters') !== '');
  await service.log.shows(/Waiting before approval/);
  t.match(conditionOf(cluster, 'csr-masters'), /^Denied CertletDenied: subject: .*"system:masters"/);
  t.equal(conditionOf(cluster, 'csr-n3'), '');
});

t.test('requests for signers that are not on are left alone, also with deny', async (t) => {
  const cluster = await fakeCluster(t, { approval: 'never' });
  ask(cluster, 'csr-foreign', { signerName: 'example.com/x' });
  ask(cluster, 'csr-good');
  start(t, cluster, { deny: true });
  await cluster.until(() => isApproved(cluster, 'csr-good'));
  t.equal(conditionOf(cluster, 'csr-foreign'), '');
});

t.test('in order of arrival', async (t) => {
  const cluster = await fakeCluster(t);
  const names = ['d', 'b', 'c', 'a'].map((letter) => `csr-${letter}`);
  const now = new Date();
  for (const [index, name] of names.entries()) {
    ask(cluster, name);
    const stored = cluster.csrs.find((request) => request.name === name);
    Object.assign(stored ?? {}, { creationTimestamp: new Date(now.getTime() - (10 - index) * 1000) });
  }
  start(t, cluster);
  await cluster.until(() => names.every((name) => isApproved(cluster, name)));
  const puts = cluster.requests.filter(({ method, path }) => method === 'PUT' && path.endsWith('/approval'));
  t.strictSame(
    puts.map(({ path }) => path.split('/').at(-2)),
    names,
  );
});

t.test('of two one acts; when that one stops, the other goes on at once', async (t) => {
  const cluster = await fakeCluster(t);
  const first = start(t, cluster);
  await first.log.shows(/Holding the Lease/);
  const second = start(t, cluster);
  await second.log.shows(/Another approver holds the Lease/);
  ask(cluster, 'csr-1');
  await cluster.until(() => isApproved(cluster, 'csr-1'));
  await first.stop();
  ask(cluster, 'csr-2', { node: 'n2' });
  await cluster.until(() => isApproved(cluster, 'csr-2'));
  t.match(second.log.text, /Holding the Lease/);
  t.match(cluster.leases[0], { spec: { leaseTransitions: 1, leaseDurationSeconds: 10 } });
});

t.test('before 1.14 there are no Leases: it says so and acts', async (t) => {
  const cluster = await fakeCluster(t, { version: '1.13' });
  ask(cluster, 'csr-1');
  const service = start(t, cluster);
  await cluster.until(() => isApproved(cluster, 'csr-1'));
  t.match(service.log.text, /no Leases \(before 1.14\): run one approver/);
});

for (const { name, trouble } of [
  { name: 'a watch that is gone (410)', trouble: (cluster: FakeCluster) => (cluster.compact(), cluster.watches.end()) },
  { name: 'watches that break', trouble: (cluster: FakeCluster) => cluster.watches.reset() },
  { name: 'connections that break', trouble: (cluster: FakeCluster) => cluster.closeConnections() },
  {
    name: '429 for a decision',
    trouble: (cluster: FakeCluster) =>
      cluster.faults.add(
        { kind: 'status', code: 429, retryAfter: '1' },
        { verb: 'update', resource: 'certificatesigningrequests/approval', times: 2 },
      ),
  },
  {
    name: '500 for a review',
    trouble: (cluster: FakeCluster) =>
      cluster.faults.add({ kind: 'status', code: 500 }, { resource: 'subjectaccessreviews', times: 1 }),
  },
]) {
  t.test(`goes on after ${name}`, async (t) => {
    const cluster = await fakeCluster(t);
    const service = start(t, cluster);
    ask(cluster, 'csr-1');
    await cluster.until(() => isApproved(cluster, 'csr-1'));
    trouble(cluster);
    ask(cluster, 'csr-2', { node: 'n2' });
    await cluster.until(() => isApproved(cluster, 'csr-2'));
    t.notMatch(service.log.text, /unexpected/);
  });
}

t.test('a request that the API server refuses to have decided does not keep the others', async (t) => {
  const cluster = await fakeCluster(t);
  cluster.faults.add({ kind: 'status', code: 403 }, { verb: 'update', path: /csr-1/ });
  ask(cluster, 'csr-1');
  ask(cluster, 'csr-2', { node: 'n2' });
  const service = start(t, cluster);
  await cluster.until(() => isApproved(cluster, 'csr-2'));
  t.match(service.log.text, /A request could not be decided.*ERR_API_FORBIDDEN/);
});

for (const message of [
  'etcdserver: request is too large',
  'rpc error: code = ResourceExhausted desc = trying to send message larger than max (2097200 vs. 2097152)',
]) {
  t.test(`a request without room for its decision kept all others for ever: ${message}`, async (t) => {
    const cluster = await fakeCluster(t);
    const body = JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code: 500 });
    cluster.faults.add({ kind: 'status', code: 500, body }, { verb: 'update', path: /csr-1/ });
    ask(cluster, 'csr-1');
    ask(cluster, 'csr-2', { node: 'n2' });
    const service = start(t, cluster);
    await cluster.until(() => isApproved(cluster, 'csr-2'));
    t.match(service.log.text, /A request could not be decided.*ERR_API_SERVER/);
  });
}

t.test('approvals of the last hour count, whoever wrote them', async (t) => {
  const cluster = await fakeCluster(t);
  for (const index of [1, 2]) {
    ask(cluster, `csr-${String(index)}`);
    cluster.approve(`csr-${String(index)}`);
  }
  ask(cluster, 'csr-3');
  ask(cluster, 'csr-4', { node: 'n2' });
  const service = start(t, cluster, { maxPerNodeAndHour: 2 });
  await cluster.until(() => isApproved(cluster, 'csr-4'));
  await service.log.shows(/Waiting before approval.*2 requests of this node were approved/);
  t.equal(conditionOf(cluster, 'csr-3'), '');
});

t.test('a labelled Node gets nothing until the label is gone', async (t) => {
  const cluster = await fakeCluster(t);
  const [node = NODES[0]] = NODES;
  const labels = { 'node-restriction.kubernetes.io/certlet-withhold': '' };
  cluster.setNode({ name: 'n1', ...node, labels });
  ask(cluster, 'csr-1');
  const service = start(t, cluster);
  await service.log.shows(/has the label node-restriction/);
  cluster.removeNode('n1');
  cluster.setNode({ name: 'n1', ...node });
  await cluster.until(() => isApproved(cluster, 'csr-1'));
});
