import t, { type Test } from 'tap';
import type { CertificateSpec } from '../../src/csr/spec.ts';
import { CLUSTER_ENTRY } from '../../src/kubeconfig/trusted-ca.ts';
import { apiFault } from '../fixtures/fakes/api.ts';
import { CLUSTER, DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { clientSpec, exporterSpec, kubeletSpecs, proxySpec } from '../fixtures/specs.ts';

const PROXY = proxySpec();
const EXPORTER = exporterSpec();

function newHost(t: Test, ...more: readonly CertificateSpec[]): FakeHost {
  const host = new FakeHost({ specs: [...kubeletSpecs(), ...more] });
  host.api.lifetimeMs = 10 * HOUR;
  t.teardown(() => host.stop());
  return host;
}

t.test('two more certificates: the node asks, each has its subject, names, kubeconfig and reload', async (t) => {
  const host = newHost(t, PROXY, EXPORTER);
  await host.bootstrap();
  t.match(host.leaf('kube-proxy'), {
    commonName: 'system:kube-proxy',
    organizations: ['system:node-proxier'],
    dnsNames: [],
    ipAddresses: [],
  });
  t.match(host.leaf('exporter'), { commonName: 'n1', dnsNames: ['metrics.example', 'n1'], ipAddresses: ['10.0.0.7'] });
  const creators = host.api.calls.filter(({ what }) => what === 'create').map(({ as }) => as);
  t.strictSame(creators, ['bootstrap', 'node', 'node', 'node']);
  t.match(host.kubeconfigs.others.get('/etc/kubernetes/kube-proxy.kubeconfig'), {
    pairPath: '/pki/kube-proxy-current.pem',
  });
  t.strictSame(
    host.rotations
      .map(({ purpose, after }) => [purpose, after.reload])
      .sort(([a = ''], [b = '']) => a.localeCompare(b)),
    [
      ['client', undefined],
      ['exporter', undefined],
      ['kube-proxy', 'kube-proxy'],
      ['serving', undefined],
    ],
  );
});

t.test('all four are renewed for weeks, each in its window', async (t) => {
  const host = newHost(t, PROXY, { ...EXPORTER, window: { earliest: 0.4, latest: 0.5 } });
  await host.bootstrap();
  const before = host.count('create');
  await host.clock.advance(7 * DAY);
  for (const name of ['client', 'serving', 'kube-proxy', 'exporter']) {
    t.ok(host.leaf(name).notAfter > host.clock.now(), name);
  }
  const rotations = (name: string): number => host.rotations.filter(({ purpose }) => purpose === name).length;
  t.ok(rotations('exporter') > rotations('kube-proxy') * 1.4, 'the earlier window renews more often');
  t.equal(host.count('create') - before, host.rotations.length - 4, 'one request for each');
});

t.test('a signer that never answers holds up no other certificate', async (t) => {
  const host = newHost(t, EXPORTER, PROXY);
  const { create } = host.api;
  const waiting = new Set<string>();
  host.api.create = (body, username) => {
    const silent = body.signerName === 'example.com/monitoring';
    const { approve } = host.api;
    if (silent) host.api.approve = 'manual';
    const csr = create.call(host.api, body, username);
    host.api.approve = approve;
    if (silent) waiting.add(body.name);
    return csr;
  };
  host.start();
  await host.until(() => host.manager('kube-proxy').phase === 'valid', 10 * MINUTE);
  t.equal(host.manager('exporter').phase, 'waiting for approval');
  await host.clock.advance(5 * DAY);
  t.equal(waiting.size, 1, 'one live request, as always');
  for (const name of ['client', 'serving', 'kube-proxy']) t.ok(host.leaf(name).notAfter > host.clock.now(), name);
  t.match(host.log.of('Certificate signing request waits for approval').at(-1)?.fields, {
    purpose: 'exporter',
    why: 'requests for example.com/monitoring are approved by a person or a separate approver',
  });
});

t.test(
  'approved and left by its signer, then refused: told with that signer and the settings of this certificate',
  async (t) => {
    const host = newHost(t, EXPORTER);
    const { create } = host.api;
    let asked = '';
    host.api.create = (body, username) => {
      if (body.signerName !== EXPORTER.signerName) return create.call(host.api, body, username);
      host.api.approve = 'manual';
      asked = body.name;
      return create.call(host.api, body, username);
    };
    host.start();
    await host.until(() => host.manager('exporter').phase === 'waiting for approval', 10 * MINUTE);
    host.api.condition(asked, 'Approved', 'ByHand', '');
    await host.clock.advance(2 * HOUR);
    t.match(host.log.of('Certificate signing request is approved, waiting to be issued').at(-1)?.fields, {
      why: /^the signer example\.com\/monitoring has not signed it/,
    });
    t.match(host.manager('exporter').reason, /waiting for example\.com\/monitoring to issue it/);
    host.api.condition(asked, 'Failed', 'Policy', 'usages did not match');
    await host.clock.settle();
    t.match(host.manager('exporter').lastError, {
      code: 'ERR_CSR_FAILED',
      remedy:
        /^# Set usages of exporter in the settings to what the signer takes\. {3}# then systemctl reload certlet$/,
    });
  },
);

t.test('a hundred certificates are one loop: no request and hardly a step is made while all are good', async (t) => {
  const many = Array.from({ length: 100 }, (_, index) => ({ ...EXPORTER, name: `c${String(index)}` }));
  const host = newHost(t, ...many);
  host.api.lifetimeMs = 365 * DAY;
  await host.bootstrap();
  const before = host.api.calls.length;
  await host.clock.advance(HOUR);
  const calls = host.api.calls.slice(before).filter(({ what }) => what !== 'node');
  t.strictSame(calls, []);
});

t.test('a pair for somebody else behind the link of another certificate is not taken for it', async (t) => {
  const host = newHost(t, PROXY);
  await host.bootstrap();
  const client = await host.store.current('client');
  if (client === undefined) throw new Error('no pair');
  await host.stop();
  host.store.shelves['kube-proxy'] = {
    pairs: [{ path: '/certs/kube-proxy/kube-proxy-1.pem', origin: 'current', pair: client }],
    pending: undefined,
    history: {},
    foreign: [],
  };
  await host.restart();
  t.ok(host.log.of('The current kube-proxy certificate cannot be used').length > 0);
  await host.until(() => host.isUpToDate, HOUR);
  t.equal(host.leaf('kube-proxy').commonName, 'system:kube-proxy');
});

t.test('a kubeconfig that cannot be written was told as a failure of every other certificate', async (t) => {
  const host = newHost(t, PROXY, EXPORTER);
  await host.bootstrap();
  host.kubeconfigs.fail = (path) => (path === PROXY.kubeconfig ? apiFault('ERR_STORE_IO', 'no file') : undefined);
  host.agent?.filesChanged();
  await host.clock.advance(MINUTE);
  t.ok(host.log.of('Could not bring the files in order').length > 0);
  t.match(host.manager('kube-proxy'), { lastError: { code: 'ERR_STORE_IO' }, failing: { tries: Number } });
  for (const name of ['client', 'serving', 'exporter'])
    t.match(host.manager(name), { phase: 'valid', lastError: undefined, failing: undefined }, name);
  t.equal(host.isUpToDate, false, 'and yet something is to be done');
  host.kubeconfigs.fail = undefined;
  await host.until(() => host.isUpToDate, 20 * MINUTE);
  t.equal(host.manager('kube-proxy').lastError, undefined);
});

t.test('certlet renew of one certificate renews that one', async (t) => {
  const host = newHost(t, PROXY);
  await host.bootstrap();
  const serials = ['client', 'serving', 'kube-proxy'].map((name) => host.leaf(name).serial);
  await host.agent?.renew(['kube-proxy']);
  await host.until(() => host.leaf('kube-proxy').serial !== serials[2], 10 * MINUTE);
  t.strictSame([host.leaf('client').serial, host.leaf('serving').serial], serials.slice(0, 2));
});

t.test('the journal tells of gained names under a certificate that is not managed', async (t) => {
  const host = new FakeHost({ specs: [clientSpec(), EXPORTER, PROXY], addressDebounceMs: 0 });
  t.teardown(() => host.stop());
  await host.bootstrap();
  const { addresses = [], kubeletVersion = '' } = host.api.node ?? {};
  const address = { type: 'InternalIP', address: '10.0.0.99' };
  host.api.node = { addresses: [...addresses, address], kubeletVersion };
  await host.until(() => host.leaf('exporter').ipAddresses.includes('10.0.0.99'), HOUR);
  t.strictSame(
    host.log.of('Certificate template changed').map(({ fields }) => fields),
    [{ purpose: 'exporter', gained: ['10.0.0.99'] }],
  );
});

for (const { name, caFile } of [
  { name: 'inside of it', caFile: undefined },
  { name: 'in a file that it names', caFile: '/pki/cluster-ca.crt' },
]) {
  t.test(
    `a program was not told of its kubeconfig that got another CA, and went on by the old one: ${name}`,
    async (t) => {
      const host = new FakeHost({ specs: [...kubeletSpecs(), PROXY, EXPORTER], caFile });
      t.teardown(() => host.stop());
      await host.bootstrap();
      const told = host.rotations.length;
      await host.clock.advance(10 * MINUTE);
      t.strictSame(host.reconfigured, [], 'nothing has changed');
      const cluster = { ...CLUSTER, caPem: 'the CA of cluster.test, and another one' };
      host.offerToken('abcdef.0123456789abcdef', cluster);
      host.agent?.filesChanged([host.kubeconfigs.bootstrap.path]);
      await host.clock.advance(10 * MINUTE);
      t.match(host.kubeconfigs.others.get(PROXY.kubeconfig ?? ''), { cluster: { caPem: cluster.caPem } });
      t.strictSame(host.reconfigured, ['kube-proxy'], 'once, and only who has a kubeconfig');
      const since = host.rotations.slice(told).map(({ purpose }) => purpose);
      t.strictSame(since, [CLUSTER_ENTRY], 'no pair has changed, and the kubelet is told of its own kubeconfig');
    },
  );
}
