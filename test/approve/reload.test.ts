/** `certlet approve --watch` while its settings change: what a reload takes over, and what keeps the old ones. */
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { clientConfigFor, openCluster } from '../../src/cli/cluster-access.ts';
import type { ApproveArguments } from '../../src/cli/command.ts';
import { runApprove } from '../../src/cli/commands/approve.ts';
import type { FakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { adminHost, ask, conditionOf, fakeCluster } from './world.ts';

type Approve = Readonly<Record<string, unknown>>;

class Watching {
  readonly log: { readonly text: string; shows(pattern: RegExp): Promise<void> };
  readonly folder: string;
  readonly ended: Promise<number>;
  readonly stop: () => Promise<number>;
  readonly #settingsPath: string;
  #listener: (() => void) | undefined;

  constructor(t: Test, cluster: FakeCluster, approve: Approve = {}) {
    const { host, admin } = adminHost(t, cluster);
    const { context, stderr, stop } = host.session();
    this.log = stderr;
    this.folder = host.folder;
    this.#settingsPath = host.settingsPath;
    this.write(approve);
    const onReload = (listener: () => void) => {
      this.#listener = listener;
      return () => (this.#listener = undefined);
    };
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
    this.ended = runApprove({ ...context, onReload }, command);
    this.stop = () => {
      stop.abort();
      return this.ended;
    };
    t.teardown(() => this.stop().catch(() => undefined));
  }

  write(approve: Approve | string, log: Approve = {}): void {
    const text = JSON.stringify({ approve, log: { level: 'debug', format: 'text', ...log } });
    writeFileSync(this.#settingsPath, typeof approve === 'string' ? approve : text);
  }

  reload(): void {
    this.#listener?.();
  }

  get listens(): boolean {
    return this.#listener !== undefined;
  }

  count(pattern: RegExp): number {
    return [...this.log.text.matchAll(pattern)].length;
  }
}

const isApproved = (cluster: FakeCluster, name: string): boolean => conditionOf(cluster, name).startsWith('Approved');

async function get(port: number, path: string, method = 'GET'): Promise<{ status: number | undefined; text: string }> {
  return new Promise((done, failed) => {
    const sent = request({ host: '127.0.0.1', port, path, method, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => done({ status: answer.statusCode, text }));
    });
    sent.on('error', failed).end();
  });
}

/** A port that somebody else has. */
async function heldPort(t: Test): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const address = server.address();
  t.teardown(() => server.close());
  return typeof address === 'object' && address !== null ? address.port : 0;
}

t.test('a reload is the settings of the file: what was left pending before is approved', async (t) => {
  const cluster = await fakeCluster(t);
  ask(cluster, 'csr-1', { content: { dnsNames: ['n1', 'N1'] } });
  const watching = new Watching(t, cluster, { maxNames: 1 });
  await watching.log.shows(/Not approved.*names/);
  t.equal(conditionOf(cluster, 'csr-1'), '');
  watching.write({ maxNames: 9 });
  watching.reload();
  await cluster.until(() => isApproved(cluster, 'csr-1'));
  t.match(watching.log.text, /Settings of the approver reloaded/);
  t.equal(await watching.stop(), 0);
  t.notOk(watching.listens, 'nobody listens any more');
  t.match(watching.log.text, /Stopped\n$/);
});

for (const { name, settings, says } of [
  { name: 'a value of the wrong kind', settings: { maxNames: 'many' }, says: /ERR_CONFIG_INVALID.*maxNames/ },
  { name: 'no YAML', settings: 'approve: [', says: /ERR_CONFIG_INVALID/ },
  {
    name: 'an inventory that is missing',
    settings: { namesFrom: 'inventory', inventory: '/nonexistent/i.yaml' },
    says: /inventory: \/nonexistent\/i\.yaml: there is no such file/,
  },
]) {
  t.test(`a reload with ${name} keeps the old settings, and says so each time it is asked for`, async (t) => {
    const cluster = await fakeCluster(t);
    const watching = new Watching(t, cluster);
    await watching.log.shows(/Holding the Lease/);
    watching.write(settings);
    const kept = /The new settings of the approver cannot be used; keeping the old ones/g;
    for (const times of [1, 2]) {
      watching.reload();
      await watching.log.shows(new RegExp(`(?:${kept.source}[^]*){${String(times)}}`));
      t.equal(watching.count(kept), times);
    }
    t.match(watching.log.text, says);
    ask(cluster, 'csr-1');
    await cluster.until(() => isApproved(cluster, 'csr-1'));
    t.notMatch(watching.log.text, /Settings of the approver reloaded/);
    watching.write({});
    watching.reload();
    await watching.log.shows(/Settings of the approver reloaded/);
  });
}

t.test('a reload sets the level of the log', async (t) => {
  const cluster = await fakeCluster(t);
  const watching = new Watching(t, cluster);
  await watching.log.shows(/Holding the Lease/);
  watching.write({ maxNames: 'many' }, { level: 'error' });
  watching.reload();
  await watching.log.shows(/keeping the old ones/);
  watching.write({ inventory: '/nonexistent', namesFrom: 'inventory' }, { level: 'error' });
  watching.reload();
  await watching.log.shows(/\/nonexistent: there is no such file/);
  watching.write({}, { level: 'error' });
  watching.reload();
  ask(cluster, 'csr-1');
  await cluster.until(() => isApproved(cluster, 'csr-1'));
  t.notMatch(watching.log.text, /Settings of the approver reloaded|Approved/, 'what is less than an error is not told');
});

t.test('alone, with an empty leaseNamespace, there is no Lease, and it acts', async (t) => {
  const cluster = await fakeCluster(t);
  ask(cluster, 'csr-1');
  const watching = new Watching(t, cluster, { leaseNamespace: '' });
  await cluster.until(() => isApproved(cluster, 'csr-1'));
  t.equal(cluster.leases.length, 0);
  t.notMatch(watching.log.text, /Lease/);
});

t.test('metrics and health are served, count what was done, and go with a reload', async (t) => {
  const cluster = await fakeCluster(t);
  ask(cluster, 'csr-1');
  const watching = new Watching(t, cluster, { metricsAddress: '127.0.0.1:0' });
  const served = /Metrics are served.*port=(\d+)/;
  await watching.log.shows(served);
  const port = Number(served.exec(watching.log.text)?.[1]);
  await cluster.until(() => isApproved(cluster, 'csr-1'));
  await watching.log.shows(/^.* Approved .*csr-1/m);
  t.match(await get(port, '/healthz'), { status: 200, text: 'ok\n' });
  const { text } = await get(port, '/metrics');
  t.match(text, /^certlet_approver_is_leader 1$/m);
  t.match(text, /^certlet_approver_nodes 2$/m);
  t.match(text, /^certlet_approver_info\{version="[^"]+"\} 1$/m);
  t.match(text, /^certlet_approver_decisions_total\{.*outcome="approved"\} 1$/m);
  t.match(await get(port, '/'), { status: 404 });
  t.match(await get(port, '/metrics', 'POST'), { status: 405 });
  watching.reload();
  await watching.log.shows(/Settings of the approver reloaded/);
  ask(cluster, 'csr-3', { node: 'n2' });
  await cluster.until(() => isApproved(cluster, 'csr-3'));
  t.match(await get(port, '/healthz'), { status: 200 }, 'a reload that leaves the address leaves the server');
  watching.write({});
  watching.reload();
  await watching.log.shows(/(?:Settings of the approver reloaded[^]*){2}/);
  ask(cluster, 'csr-2', { node: 'n2' });
  await cluster.until(() => isApproved(cluster, 'csr-2'));
  await t.rejects(get(port, '/metrics'), { code: 'ECONNREFUSED' });
});

t.test('one that lost the Lease went on telling the pending requests and Nodes of when it acted', async (t) => {
  const cluster = await fakeCluster(t);
  ask(cluster, 'csr-bad', { content: { dnsNames: ['kubernetes'] } });
  const watching = new Watching(t, cluster, { metricsAddress: '127.0.0.1:0' });
  await watching.log.shows(/Not approved/);
  const port = Number(/Metrics are served.*port=(\d+)/.exec(watching.log.text)?.[1]);
  const acting = (await get(port, '/metrics')).text;
  t.match(acting, /^certlet_approver_pending_requests 1$/m);
  t.match(acting, /^certlet_approver_oldest_pending_request_timestamp_seconds \d+/m);
  t.match(acting, /^certlet_approver_objections_total\{rule="never"\} 1$/m);
  t.match(acting, /^certlet_approver_objections_total\{rule="subject"\} 0$/m, 'zero before the first, or none shows');
  const { context, stop } = adminHost(t, cluster).host.session();
  const kubeconfig = join(watching.folder, 'admin.conf');
  const api = openCluster(
    await clientConfigFor({ kubeconfig, context: undefined }, context.edge),
    context.edge,
    () => undefined,
  );
  t.teardown(() => api.close());
  const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/certlet-approver';
  for (let isTaken = false; !isTaken; ) {
    const lease = (await api.request('GET', path, undefined, stop.signal)) as { readonly spec: object };
    const body = { ...lease, spec: { ...lease.spec, holderIdentity: 'other' } };
    // The holder may renew it in between.
    isTaken = await api.request('PUT', path, body, stop.signal).then(
      () => true,
      () => false,
    );
  }
  await watching.log.shows(/The Lease is lost[^]*Another approver holds the Lease/);
  const { text } = await get(port, '/metrics');
  t.match(text, /^certlet_approver_is_leader 0$/m);
  t.match(text, /^certlet_approver_pending_requests 0$/m);
  t.match(text, /^certlet_approver_nodes 0$/m);
  t.notMatch(text, /oldest_pending/);
  t.match(text, /^certlet_approver_objections_total\{rule="never"\} 1$/m, 'counters go on');
});

t.test('metrics that cannot be served end it at the start', async (t) => {
  const port = await heldPort(t);
  const watching = new Watching(t, await fakeCluster(t), { metricsAddress: `127.0.0.1:${String(port)}` });
  await t.rejects(watching.ended, {
    code: 'ERR_CONTROL',
    message: `cannot serve metrics at 127.0.0.1:${String(port)}: EADDRINUSE`,
    remedy: /or set approve\.metricsAddress to a free port$/,
  });
  t.notOk(watching.listens);
});
