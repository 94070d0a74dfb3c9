/** `certlet approve` by hand, against the fake cluster over real TLS. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ApproveArguments } from '../../src/cli/command.ts';
import { runApprove } from '../../src/cli/commands/approve.ts';
import type { FakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import type { FakeClusterOptions } from '../fixtures/cluster/settings.ts';
import type { SessionOptions } from '../fixtures/command-host.ts';
import { adminHost, ask, conditionOf, fakeCluster } from './world.ts';

interface Run {
  readonly args?: Partial<ApproveArguments>;
  readonly session?: SessionOptions;
  readonly said?: string;
  readonly approve?: Readonly<Record<string, unknown>>;
}

async function run(t: Test, cluster: FakeCluster, { args, session, said, approve = {} }: Run = {}) {
  const { host, admin } = adminHost(t, cluster, { approve });
  const { context, stdout, stderr, stdin } = host.session(session);
  if (said !== undefined) stdin.write(said);
  const command: ApproveArguments = {
    name: 'approve',
    output: 'text',
    names: [],
    force: [],
    yes: false,
    dryRun: false,
    watch: false,
    printRbac: false,
    serviceAccount: undefined,
    access: { kubeconfig: admin, context: undefined },
    settingsPath: host.settingsPath,
    ...args,
  };
  const code = await runApprove(context, command);
  return { code, out: stdout.text, err: stderr.text };
}

async function world(t: Test, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await fakeCluster(t, options);
  ask(cluster, 'csr-good');
  ask(cluster, 'csr-bad', { node: 'n2', content: { ipAddresses: ['192.0.2.1'] } });
  return cluster;
}

t.test('the table tells age, requester, node, names and verdict with reasons', async (t) => {
  const { code, out } = await run(t, await world(t), { args: { dryRun: true } });
  t.equal(code, 0);
  const [headings, ...rows] = out.split('\n');
  t.match(headings, /^NAME +AGE +REQUESTER +NODE +ASKS FOR +VERDICT$/);
  t.ok(
    rows.some((row) => /^csr-good +\d+ seconds? +system:node:n1 +n1 +n1, 192.0.2.1 +approve$/.test(row)),
    out,
  );
  t.match(out, / {4}others-names: "192.0.2.1" stands in the Node n1/);
});

t.test(
  'addresses of Services could pass, and nobody said so: the range that is not known is told, and what sets it',
  async (t) => {
    const unknown = await world(t, { version: '1.20' });
    const { err, out } = await run(t, unknown, { args: { dryRun: true } });
    t.match(err, /^certlet: addresses of Services may pass: the Service kubernetes has 10\.96\.0\.1, and no range/);
    t.match(err, /service-cluster-ip-range\n +why: .*approve\.never/);
    t.match(out, /^NAME/, 'the answer is as ever');
    const set = await run(t, unknown, { args: { dryRun: true }, approve: { never: ['10.96.0.0/12'] } });
    t.equal(set.err, '');
    t.equal((await run(t, await world(t), { args: { dryRun: true } })).err, '', 'from 1.33 on the cluster tells it');
  },
);

t.test('--dry-run approves nothing', async (t) => {
  const cluster = await world(t);
  t.equal((await run(t, cluster, { args: { dryRun: true, yes: true } })).code, 0);
  t.equal(conditionOf(cluster, 'csr-good'), '');
});

t.test('--yes approves what passes, names the rules in the condition and leaves the rest pending', async (t) => {
  const cluster = await world(t);
  const { code, out } = await run(t, cluster, { args: { yes: true } });
  t.equal(code, 0);
  t.match(out, /csr-good: approved\n/);
  t.match(conditionOf(cluster, 'csr-good'), /^Approved CertletApproved: passed the rules form, usages, .*pace$/);
  t.equal(conditionOf(cluster, 'csr-bad'), '');
});

for (const { said, code, done } of [
  { said: 'y\n', code: 0, done: 'Approved' },
  { said: '\n', code: 1, done: '' },
  { said: 'nonsense\n', code: 1, done: '' },
]) {
  t.test(`at a terminal ${JSON.stringify(said)} ends with ${String(code)}`, async (t) => {
    const cluster = await world(t);
    const answer = await run(t, cluster, { session: { terminal: true }, said });
    t.equal(answer.code, code);
    t.match(answer.out, /Approve 1 request\? \[y\/N\]/);
    t.equal(conditionOf(cluster, 'csr-good').split(' ')[0], done);
  });
}

t.test('nobody can be asked and --yes is missing', async (t) => {
  const argv = ['approve', '--force', 'csr-bad', 'csr-good', '--config', '/srv/a b.yaml'];
  await t.rejects(run(t, await world(t), { args: { force: ['csr-bad'], names: ['csr-good'] }, session: { argv } }), {
    code: 'ERR_USAGE',
    remedy: "certlet approve --force csr-bad csr-good --config '/srv/a b.yaml' --yes",
  });
});

t.test('a named request that fails a rule is left, and the exit code tells', async (t) => {
  const cluster = await world(t);
  const { code } = await run(t, cluster, { args: { names: ['csr-bad'], yes: true } });
  t.equal(code, 1);
  t.equal(conditionOf(cluster, 'csr-bad'), '');
  t.equal(conditionOf(cluster, 'csr-good'), '', 'nobody named it');
});

t.test('--force approves it, tells what is overridden, and writes that down', async (t) => {
  const cluster = await world(t);
  const { code, out } = await run(t, cluster, { args: { force: ['csr-bad'], yes: true } });
  t.equal(code, 0);
  t.match(out, /csr-bad: --force overrides own-names, others-names\n/);
  t.match(conditionOf(cluster, 'csr-bad'), /^Approved CertletForced: approved by hand against the rules: own-names: /);
});

t.test('a request for a signer that is not on is told so, and can be forced', async (t) => {
  const cluster = await fakeCluster(t, { signing: 'off' });
  ask(cluster, 'csr-x', { signerName: 'example.com/x' });
  const { out } = await run(t, cluster, { args: { names: ['csr-x'], dryRun: true } });
  t.match(out, /signer: nothing in the settings is about .* example.com\/x/);
  t.equal((await run(t, cluster, { args: { force: ['csr-x'], yes: true } })).code, 0);
  t.match(conditionOf(cluster, 'csr-x'), /^Approved CertletForced/);
});

t.test('a name that is no request', async (t) => {
  await t.rejects(run(t, await world(t), { args: { names: ['csr-none'] } }), { code: 'ERR_API_NOT_FOUND' });
});

t.test('a request that is decided', async (t) => {
  const cluster = await world(t);
  cluster.deny('csr-good');
  await t.rejects(run(t, cluster, { args: { names: ['csr-good'] } }), { message: /decided already: Denied/ });
});

t.test('nothing pending', async (t) => {
  const { code, out } = await run(t, await fakeCluster(t));
  t.equal(code, 0);
  t.match(out, /Nothing to approve/);
});

t.test('JSON: one document with reasons and what was done', async (t) => {
  const { code, out } = await run(t, await world(t), { args: { output: 'json', yes: true } });
  t.equal(code, 0);
  const { requests } = JSON.parse(out) as { requests: readonly Record<string, unknown>[] };
  const [good, bad] = ['csr-good', 'csr-bad'].map((name) => requests.find((row) => row['name'] === name));
  t.match(good, { verdict: 'approve', done: 'approved', node: 'n1', names: ['n1', '192.0.2.1'], reasons: [] });
  t.match(bad, { verdict: 'refuse', reasons: [{ rule: 'own-names' }, { rule: 'others-names' }] });
  t.notOk(bad !== undefined && 'done' in bad);
});

t.test('without the role of the guides nothing passes, with permission: false it does', async (t) => {
  const cluster = await fakeCluster(t, { bindings: [] });
  ask(cluster, 'csr-good');
  const { out } = await run(t, cluster, { args: { dryRun: true } });
  t.match(out, /permission: "system:node:n1" may not create certificatesigningrequests\/selfnodeserver/);
  t.equal((await run(t, cluster, { args: { yes: true }, approve: { permission: false } })).code, 0);
  t.match(conditionOf(cluster, 'csr-good'), /^Approved/);
});

t.test('an inventory that others can write is refused', async (t) => {
  const { host } = adminHost(t, await world(t));
  const inventory = join(host.folder, 'inventory.yaml');
  writeFileSync(inventory, 'nodes: []\n');
  chmodSync(inventory, 0o666);
  const approve = { namesFrom: 'inventory', inventory };
  await t.rejects(run(t, await world(t), { approve }), { code: 'ERR_CONFIG_INVALID' });
});

t.test('servers of 1.17 know no signer: usages and subject tell', async (t) => {
  const cluster = await fakeCluster(t, { version: '1.17' });
  ask(cluster, 'csr-good');
  const { out, code } = await run(t, cluster, { args: { yes: true } });
  t.equal(code, 0, out);
  t.match(conditionOf(cluster, 'csr-good'), /^Approved/);
});

t.test('somebody else approves while ours is on its way: no error, and theirs stands', async (t) => {
  const cluster = await world(t);
  const fault = cluster.faults.add({ kind: 'hold' }, { verb: 'update', times: 1 });
  const running = run(t, cluster, { args: { yes: true } });
  await fault.reached;
  cluster.approve('csr-good');
  fault.release();
  const { out, code } = await running;
  t.equal(code, 0, out);
  t.match(out, /csr-good: approved by others/);
  t.match(conditionOf(cluster, 'csr-good'), /KubectlApprove/);
});

t.test('a request that is deleted meanwhile, and one of the same name that comes after it', async (t) => {
  const cluster = await world(t);
  const fault = cluster.faults.add({ kind: 'hold' }, { verb: 'update', times: 1 });
  const running = run(t, cluster, { args: { yes: true } });
  await fault.reached;
  cluster.recreate('csr-good');
  fault.release();
  t.match((await running).out, /csr-good: gone/);
  t.equal(conditionOf(cluster, 'csr-good'), '');
});
