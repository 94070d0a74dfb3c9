/** `certlet approve --watch` on a real control plane: what is approved, what is left, who takes over, and a burst. */
import { readFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { STAGED_FOLDER } from '../fixtures/program.ts';
import { ApproverHost, bindSelfNodeServer } from './fixtures/approver.ts';
import { eventually } from '../fixtures/eventually.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';

const BURST_NODES = 200;
const REQUESTS_EACH = 10;

await withControlPlane(t, { rbac: ['static-token', 'auto-approve'] }, async (plane) => {
  const host = await ApproverHost.create(plane, { never: ['10.96.0.0/16', '192.0.2.100'], maxPerNodeAndHour: 100 });
  await host.apply(await host.roles());
  await host.node('n1', ['192.0.2.1']);
  await host.node('n2', ['192.0.2.2']);

  t.test(
    'the binding of the guides alone makes serving certificates issue; without it they wait, with the reason',
    async (t) => {
      await host.node('node-of-certlet', ['192.0.2.7']);
      const approver = host.start();
      t.teardown(() => approver.end('SIGKILL'));
      const node = hostFor(t, plane, 'node-of-certlet', { nodeIP: ['192.0.2.7'] });
      node.bootstrapWith(staticUsers.automatic.token);
      node.start();
      const pending = await plane.pendingCsr('serving', node.nodeName);
      await approver.line(new RegExp(`Not approved.*${pending.metadata.name}.*selfnodeserver`));
      await bindSelfNodeServer(plane);
      // A binding gives no event: the next start, or the next list within five minutes, sees it.
      await approver.end();
      const next = host.start();
      t.teardown(() => next.end('SIGKILL'));
      const issued = await node.issued('serving');
      t.match(issued.leaf.subjectAltName, /192.0.2.7/);
      await next.end();
    },
  );

  t.test(
    'no node gives itself the label of a control plane, and none gets the address of an API server without',
    async (t) => {
      const label = 'node-role.kubernetes.io/control-plane';
      const who = { user: 'system:node:poser', groups: ['system:nodes', 'system:authenticated'] };
      const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'poser', labels: { [label]: '' } } };
      await t.rejects(host.as(who, '/api/v1/nodes', node), {
        message: /not allowed to set.*node-role\.kubernetes\.io/,
      });
      const address = '192.0.2.60';
      await plane.admin.want('/api/v1/namespaces/default/endpoints', {
        method: 'POST',
        body: {
          apiVersion: 'v1',
          kind: 'Endpoints',
          metadata: { name: 'kubernetes' },
          subsets: [{ addresses: [{ ip: address }], ports: [{ name: 'https', port: 6443 }] }],
        },
      });
      const configuration = 'networking: {serviceSubnet: 10.96.0.0/16, podSubnet: 10.244.0.0/16}\n';
      await plane.admin.want('/api/v1/namespaces/kube-system/configmaps', {
        method: 'POST',
        body: {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'kubeadm-config' },
          data: { ClusterConfiguration: configuration },
        },
      });
      await host.node('cp1', [address]);
      await host.ask('of-an-api-server', 'cp1', { content: { ipAddresses: [address] } });
      await host.ask('of-a-pod', 'n2', { content: { ipAddresses: ['10.244.3.3'] } });
      const approver = host.start();
      t.teardown(() => approver.end('SIGKILL'));
      await approver.line(/"of-an-api-server".*api-server: .*192\.0\.2\.60.* is the API server's/);
      await approver.line(/Not approved.*"of-a-pod".*never: .*10\.244\.3\.3/);
      await plane.kubectl(['label', 'node', 'cp1', `${label}=`]);
      t.match(await host.decided('of-an-api-server'), /^Approved/);
      await approver.end();
    },
  );

  t.test('what no node may have is left pending, with the reason', async (t) => {
    const approver = host.start();
    t.teardown(() => approver.end('SIGKILL'));
    const ten = Array.from({ length: 10 }, (_, index) => `n1-${String(index)}`);
    const rows = [
      { name: 'name-of-n2', content: { dnsNames: ['n2'] }, rule: 'others-names' },
      { name: 'address-of-n2', content: { ipAddresses: ['192.0.2.2'] }, rule: 'others-names' },
      { name: 'a-vip', content: { ipAddresses: ['192.0.2.100'] }, rule: 'never' },
      { name: 'a-service', content: { ipAddresses: ['10.96.0.1'] }, rule: 'never' },
      { name: 'ten-names', content: { dnsNames: ten }, rule: 'name-kinds' },
      { name: 'masters', content: { organizations: ['system:masters'] }, rule: 'subject' },
      { name: 'poses-as-n2', content: { commonName: 'system:node:n2' }, rule: 'subject' },
    ];
    for (const { name, content } of rows) await host.ask(name, 'n1', { content });
    await host.ask('by-token', 'n1', {
      user: 'system:bootstrap:abcdef',
      groups: ['system:bootstrappers', 'system:authenticated'],
    });
    await host.ask('good', 'n1', { content: { ipAddresses: ['192.0.2.1'] } });
    t.match(await host.decided('good'), /^Approved/);
    for (const { name, rule } of [...rows, { name: 'by-token', rule: 'requester' }]) {
      await approver.line(new RegExp(`Not approved.*"${name}".*${rule}: `));
      t.equal(await host.condition(name), undefined, name);
    }
    await approver.end();
  });

  t.test('of two one acts; killed, the other takes over within 15 seconds, and nothing is decided twice', async (t) => {
    const [first, second] = [host.start(), host.start()];
    t.teardown(() => Promise.all([first.end('SIGKILL'), second.end('SIGKILL')]));
    const leader = await Promise.race([
      first.line(/Holding the Lease/).then(() => first),
      second.line(/Holding the Lease/).then(() => second),
    ]);
    const other = leader === first ? second : first;
    await other.line(/Another approver holds the Lease/);
    await host.ask('before-kill', 'n1');
    await host.decided('before-kill');
    await leader.end('SIGKILL');
    const killedAt = Date.now();
    await host.ask('after-kill', 'n1');
    t.match(await host.decided('after-kill', 30), /^Approved/);
    const seconds = (Date.now() - killedAt) / 1000;
    t.ok(seconds < 15, `taken over after ${seconds.toFixed(1)} s`);
    t.comment(`taken over after ${seconds.toFixed(1)} s`);
    const puts = plane
      .requests({ user: 'certlet-approver', resource: 'certificatesigningrequests' })
      .filter(({ verb, status }) => verb === 'update' && status === 200)
      .map(({ name }) => name);
    t.equal(new Set(puts).size, puts.length, 'one decision each');
    await other.end();
  });

  t.test('a burst of 2,000 requests is decided, in order of arrival', async (t) => {
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const nodes = Array.from({ length: BURST_NODES }, (_, index) => `burst-${String(index)}`);
    for (const [index, node] of nodes.entries())
      await host.node(node, [`198.51.${String(100 + (index >> 8))}.${String(index & 255)}`]);
    const names = nodes.flatMap((node) =>
      Array.from({ length: REQUESTS_EACH }, (_, index) => ({ node, name: `${node}-${String(index)}` })),
    );
    for (let at = 0; at < names.length; at += 20) {
      await Promise.all(names.slice(at, at + 20).map(({ node, name }) => host.ask(name, node, { content: { key } })));
    }
    const approver = host.start();
    t.teardown(() => approver.end('SIGKILL'));
    await approver.line(/Holding the Lease/);
    const startedAt = Date.now();
    await eventually(
      'every request to be decided',
      () => (approver.count(/"Approved"/) >= names.length ? true : undefined),
      240,
    );
    const seconds = (Date.now() - startedAt) / 1000;
    const peakKiB = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${String(approver.pid)}/status`, 'utf8'))?.[1]);
    const of = plane
      .requests({ user: 'certlet-approver' })
      .filter(({ receivedAt }) => receivedAt.getTime() >= startedAt);
    t.comment(
      `${String(names.length)} decisions in ${seconds.toFixed(1)} s, peak ${String(Math.round(peakKiB / 1024))} MiB, ${(of.length / names.length).toFixed(2)} requests a decision`,
    );
    // The sources bring a compiler with them; what ships has the flags and the limit of the unit.
    if (STAGED_FOLDER !== undefined) t.ok(peakKiB < 192 * 1024, 'well within the memory of the unit');
    t.ok(of.length / names.length < 3.2, 'three requests a decision');
    const decided = of
      .filter(({ verb }) => verb === 'update')
      .map(({ name = '' }) => name)
      .filter((name) => name.startsWith('burst'));
    const created = await plane.csrs();
    const order = new Map(created.map(({ metadata }) => [metadata.name, metadata.creationTimestamp]));
    const times = decided.map((name) => order.get(name) ?? '');
    t.strictSame(times, times.toSorted(), 'oldest first');
    await approver.end();
  });
});
