import t, { type Test } from 'tap';
import { CertletError } from '../../../src/errors.ts';
import { CLUSTER_ENTRY } from '../../../src/kubeconfig/trusted-ca.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { CLUSTER, DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { absent, BOOTSTRAP_PATH, NODE_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';

const OTHER_CA = createAuthority({ name: 'kubernetes' }).pem;
const CHANGED = 'The bootstrap kubeconfig or a file that it names changed';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}): FakeHost {
  const host = new FakeHost(options);
  t.teardown(() => host.stop());
  return host;
}

t.test(
  'a kubeconfig that others could write since is put back as it was, without a bootstrap kubeconfig too',
  async (t) => {
    const host = newHost(t);
    await host.bootstrap();
    host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
    const error = new CertletError('ERR_KUBECONFIG_UNSAFE', 'kubelet.conf can be written by others (mode 666)');
    host.kubeconfigs.node = { kind: 'unusable', path: NODE_PATH, error };
    host.agent?.filesChanged([NODE_PATH]);
    await host.clock.settle();
    t.match(host.kubeconfigs.node, { kind: 'usable', config: { cluster: CLUSTER } });
    t.match(host.log.of('The kubeconfig is not believed and is written anew'), [{ fields: { why: error.message } }]);
  },
);

t.test('a kubeconfig that stays open to others is told as the error it is', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const error = new CertletError('ERR_KUBECONFIG_UNSAFE', '/etc/kubernetes can be written by others (mode 777)');
  const open = { kind: 'unusable', path: NODE_PATH, error } as const;
  host.kubeconfigs.node = open;
  host.kubeconfigs.writeNode = async () => false;
  host.agent?.filesChanged([NODE_PATH]);
  await host.clock.settle();
  t.equal(host.manager('client').lastError?.code, 'ERR_KUBECONFIG_UNSAFE');
});

for (const row of [
  { name: 'a kubeconfig without a credential', credential: { kind: 'none' } as const, text: /names no credential/ },
]) {
  t.test(`bootstrap by ${row.name}: says so`, async (t) => {
    const host = newHost(t);
    host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, CLUSTER, row.credential);
    host.start();
    await host.clock.settle();
    t.match(host.manager('client').reason, row.text);
  });
}

t.test('a node kubeconfig that nothing can replace is a fault, not a success', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.stop();
  const error = new CertletError('ERR_KUBECONFIG_INVALID', 'line 3: no');
  host.kubeconfigs.node = { kind: 'unusable', path: NODE_PATH, error };
  host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
  host.start();
  await host.clock.advance(5 * MINUTE);
  t.equal(host.isUpToDate, false);
  t.equal(host.manager('client').lastError?.code, 'ERR_KUBECONFIG_INVALID');
});

const OTHER = { ...CLUSTER, server: 'https://new.test:6443' };

t.test('another cluster in the bootstrap kubeconfig is taken over only after it has accepted the pair', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.api.fault = ({ server }) => (server === OTHER.server ? apiFault('ERR_API_UNREACHABLE', 'no route') : undefined);
  host.offerToken('fedcba.fedcba9876543210', OTHER);
  host.agent?.filesChanged([BOOTSTRAP_PATH]);
  const since = host.api.calls.length;
  await host.clock.advance(DAY);
  const tries = host.api.calls.slice(since).filter(({ server }) => server === OTHER.server).length;
  t.ok(tries > 20 && tries < 400, `${String(tries)} tries in a day: no hot loop`);
  t.equal(host.last?.server, CLUSTER.server);
  host.api.fault = () => undefined;
  await host.until(() => host.last?.server === OTHER.server, HOUR);
  t.match(host.log.of('Taking over the cluster entry of the bootstrap kubeconfig')[0]?.fields, {
    differences: ['server https://cluster.test:6443 became https://new.test:6443'],
  });
  const { node } = host.kubeconfigs;
  t.equal(node.kind === 'usable' && node.config.cluster.server, OTHER.server);
});

t.test('a cluster that refuses the pair is not taken over, and not asked for ever', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.api.fault = ({ server }) => (server === OTHER.server ? apiFault('ERR_API_UNAUTHORIZED', 'no') : undefined);
  host.offerToken('fedcba.fedcba9876543210', OTHER);
  host.agent?.filesChanged([BOOTSTRAP_PATH]);
  await host.clock.advance(DAY);
  t.equal(host.last?.server, CLUSTER.server);
  t.equal(host.api.calls.filter(({ server }) => server === OTHER.server).length, 1);
});

t.test('the old server is gone and the new one takes the pair: moved without a new certificate', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.api.fault = ({ server }) => (server === CLUSTER.server ? apiFault('ERR_API_UNREACHABLE', 'gone') : undefined);
  host.offerToken('fedcba.fedcba9876543210', OTHER);
  host.agent?.filesChanged([BOOTSTRAP_PATH]);
  await host.clock.advance(5 * MINUTE);
  t.equal(host.last?.server, OTHER.server);
  t.equal(host.count('create'), 2);
});

t.test('the old server is gone and the new one does not know the pair: bootstraps there after minutes', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const { issuer } = host.leaf('client');
  host.api.authority = createAuthority({
    name: 'new client CA',
    notBefore: new Date(0),
    notAfter: new Date('2100-01-01'),
  });
  host.api.fault = ({ server }) => (server === CLUSTER.server ? apiFault('ERR_API_UNREACHABLE', 'gone') : undefined);
  host.offerToken('fedcba.fedcba9876543210', OTHER);
  host.agent?.filesChanged([BOOTSTRAP_PATH]);
  await host.until(() => host.leaf('client').issuer !== issuer, HOUR);
  t.equal(host.last?.server, OTHER.server);
});

const entries = ({ rotations }: FakeHost) => rotations.filter(({ purpose }) => purpose === CLUSTER_ENTRY);

for (const { what, to } of [
  { what: 'server', to: OTHER },
  { what: 'CA', to: { ...CLUSTER, caPem: OTHER_CA } },
]) {
  t.test(`a kubelet went on with the ${what} of before, which its kubeconfig did not name any more`, async (t) => {
    const host = newHost(t);
    await host.bootstrap();
    t.strictSame(entries(host), [], 'a first kubeconfig restarts nothing');
    host.offerToken('fedcba.fedcba9876543210', to);
    host.agent?.filesChanged([BOOTSTRAP_PATH]);
    await host.clock.advance(5 * MINUTE);
    t.match(entries(host), [{ after: { lastStaticKubelet: Number.POSITIVE_INFINITY }, kubeconfigPath: NODE_PATH }]);
    t.strictSame(host.announced, entries(host), 'on disk before the kubeconfig was written');
    await host.clock.advance(DAY);
    t.equal(entries(host).length, 1);
  });
}

t.test('a kubelet went on with the server of before, after a bootstrap at another one', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.api.authority = createAuthority({ name: 'new client CA', notAfter: new Date('2100-01-01') });
  host.api.fault = ({ server }) => (server === CLUSTER.server ? apiFault('ERR_API_UNREACHABLE', 'gone') : undefined);
  host.offerToken('fedcba.fedcba9876543210', OTHER);
  host.agent?.filesChanged([BOOTSTRAP_PATH]);
  await host.until(() => host.last?.server === OTHER.server && entries(host).length > 0, HOUR);
  t.equal(entries(host).length, 1);
});

t.test('a kubeconfig of root with another entry is told to root, who restarts the kubelet with it', async (t) => {
  const host = newHost(t, { manageKubeconfig: false });
  await host.bootstrap();
  host.offerToken('fedcba.fedcba9876543210', OTHER);
  host.agent?.filesChanged([BOOTSTRAP_PATH]);
  await host.clock.advance(HOUR);
  t.strictSame([entries(host), host.announced], [[], []]);
});

t.test('a deleted kubeconfig is written again; a stale one is repaired', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.kubeconfigs.node = absent(NODE_PATH);
  host.agent?.filesChanged([NODE_PATH]);
  await host.clock.settle();
  t.equal(host.kubeconfigs.node.kind, 'usable');
  host.kubeconfigs.node = usable(NODE_PATH, CLUSTER, { kind: 'token', token: new Secret('t') });
  host.agent?.filesChanged([NODE_PATH]);
  await host.clock.settle();
  t.match(host.kubeconfigs.node, { config: { credential: { kind: 'certificate' } } });
  t.equal(host.count('create'), 2);
});

t.test('warnings of a kubeconfig are said once', async (t) => {
  const host = newHost(t);
  const { bootstrap } = host.kubeconfigs;
  if (bootstrap.kind !== 'usable') return;
  host.kubeconfigs.bootstrap = { ...bootstrap, config: { ...bootstrap.config, warnings: ['insecure'] } };
  await host.bootstrap();
  await host.clock.advance(HOUR);
  t.equal(host.log.of('insecure').length, 1);
});

t.test('the bootstrap kubeconfig is deleted once its certificate is proven', async (t) => {
  const host = newHost(t, { deleteBootstrapKubeconfig: true });
  await host.bootstrap();
  t.equal(host.kubeconfigs.bootstrap.kind, 'absent');
  t.equal(host.log.of('Deleted the bootstrap kubeconfig: its certificate is proven').length, 1);
  await host.agent?.renew(['client']);
  await host.clock.settle();
  t.equal(host.count('create'), 3, 'a renewal needs it no more');
  await host.clock.advance(10 * MINUTE);
  t.strictSame(host.log.of(CHANGED), [], 'what certlet does itself is no news');
});

t.test(
  'a change of the bootstrap kubeconfig that a renewal reads first is told and acted on all the same',
  async (t) => {
    const host = newHost(t);
    await host.bootstrap();
    await host.clock.advance(HOUR);
    const token = { kind: 'token', token: new Secret('fedcba.fedcba9876543210') } as const;
    host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, CLUSTER, token);
    const { serial } = host.leaf('client');
    await host.agent?.renew(['client']);
    await host.until(() => host.leaf('client').serial !== serial, MINUTE);
    t.strictSame(host.log.of(CHANGED), [], 'nobody has looked after the files since');
    await host.clock.advance(10 * MINUTE);
    t.match(host.log.of(CHANGED), [{ fields: { file: BOOTSTRAP_PATH, changes: ['credential changed'] } }]);
    t.equal(host.log.of(CHANGED).length, 1);
  },
);

const KUBECONFIG_LEFT = 'The kubeconfig has to be written anew, which is left to root';

t.test('a kubeconfig that is left to root is never written, and what it needs is told once', async (t) => {
  const host = newHost(t, { manageKubeconfig: false, kubeconfigCommand: 'certlet join' });
  await host.bootstrap();
  t.equal(host.kubeconfigs.writes, 0);
  t.match(host.last?.kubeconfig, {
    path: NODE_PATH,
    reason: 'it is not there',
    command: 'certlet join',
  });
  await host.clock.advance(DAY);
  t.equal(host.log.of(KUBECONFIG_LEFT).length, 1);
  const pairPath = host.store.currentPath('client');
  const credential = { kind: 'certificate', chainPem: '', keyPem: new Secret('') } as const;
  host.kubeconfigs.node = usable(NODE_PATH, CLUSTER, credential, [pairPath]);
  host.agent?.filesChanged([NODE_PATH]);
  await host.until(() => host.last?.kubeconfig === undefined, HOUR);
  t.equal(host.kubeconfigs.writes, 0);
});

t.test(
  'a changed server while the kubeconfig is left to root: certlet goes on with it and says what the file needs',
  async (t) => {
    const host = newHost(t, { manageKubeconfig: false });
    const credential = { kind: 'certificate', chainPem: '', keyPem: new Secret('') } as const;
    host.kubeconfigs.node = usable(NODE_PATH, CLUSTER, credential, [host.store.currentPath('client')]);
    await host.bootstrap();
    t.equal(host.last?.kubeconfig, undefined);
    host.offerToken('fedcba.fedcba9876543210', OTHER);
    host.agent?.filesChanged([BOOTSTRAP_PATH]);
    await host.until(() => host.last?.kubeconfig !== undefined, HOUR);
    t.match(host.last?.kubeconfig?.reason, 'server https://cluster.test:6443 became https://new.test:6443');
    t.equal(host.last?.server, OTHER.server);
    const proofs = host.api.calls.filter(({ server }) => server === OTHER.server).length;
    host.api.fault = ({ server }) => (server === CLUSTER.server ? apiFault('ERR_API_UNREACHABLE', 'gone') : undefined);
    await host.clock.advance(DAY);
    t.equal(host.last?.server, OTHER.server, 'the old one is not asked any more');
    t.ok(host.api.calls.filter(({ server }) => server === OTHER.server).length >= proofs);
    t.equal(host.log.of(KUBECONFIG_LEFT).length, 1);
    host.kubeconfigs.node = usable(NODE_PATH, OTHER, credential, [host.store.currentPath('client')]);
    host.agent?.filesChanged([NODE_PATH]);
    await host.until(() => host.last?.kubeconfig === undefined, HOUR);
    t.equal(host.kubeconfigs.writes, 0);
  },
);

t.test(
  'a first pair beside a kubeconfig that somebody left restarts no kubelet for its entry: none can have used it',
  async (t) => {
    const host = newHost(t);
    const left = { ...CLUSTER, server: 'https://before.test:6443' };
    const error = new CertletError('ERR_KUBECONFIG_INVALID', 'the pair that kubelet.conf names cannot be read');
    const { kubeconfigs, store } = host;
    const read = kubeconfigs.readNode.bind(kubeconfigs);
    // It names the link, behind which nothing is before the first pair.
    kubeconfigs.readNode = async () => {
      if (kubeconfigs.writes > 0) return read();
      const pair = await store.current('client');
      if (pair === undefined) return { kind: 'unusable', path: NODE_PATH, error };
      return usable(NODE_PATH, left, { kind: 'certificate', chainPem: '', keyPem: new Secret('') }, [
        store.currentPath('client'),
      ]);
    };
    await host.bootstrap();
    t.match(host.kubeconfigs.node, { kind: 'usable', config: { cluster: CLUSTER } });
    t.strictSame([host.announced, host.rotations.map(({ purpose }) => purpose)], [[], ['client', 'serving']]);
  },
);
