import t, { type Test } from 'tap';
import { CertletError } from '../../src/errors.ts';
import type { Credential } from '../../src/kubeconfig/client-config.ts';
import { Secret } from '../../src/secret.ts';
import { encodePrivateKey } from '../../src/pki/keys.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { apiFault, type FakeCall } from '../fixtures/fakes/api.ts';
import { CLUSTER, DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { absent, BOOTSTRAP_PATH, NODE_PATH, usable } from '../fixtures/fakes/kubeconfigs.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}): FakeHost {
  const host = new FakeHost(options);
  t.teardown(() => host.stop());
  return host;
}

const unauthorized = (call: FakeCall): CertletError | undefined =>
  call.as === 'node' ? apiFault('ERR_API_UNAUTHORIZED', 'Unauthorized') : undefined;

t.test('expired while off, with a token: comes back by itself', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  const since = host.api.calls.length;
  await host.restart(30 * DAY);
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(host.count('create'), 4);
  t.equal(host.count('review', since), 1, 'the new pair is proved once, the expired one not at all');
});

t.test(
  'expired while off, without a token: says what is missing, asks nothing, comes back when it is there',
  async (t) => {
    const host = newHost(t);
    host.api.lifetimeMs = DAY;
    await host.bootstrap();
    host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
    const since = host.api.calls.length;
    await host.restart(30 * DAY);
    await host.clock.advance(DAY);
    t.equal(host.api.calls.length, since, 'no request without a credential');
    const { phase, reason, command } = host.manager('client');
    t.equal(phase, 'waiting to retry');
    t.match(reason, /no bootstrap kubeconfig at .*bootstrap-kubelet.conf, and the client certificate expired at/);
    t.match(command, /kubeadm token create/);
    t.equal(host.manager('serving').phase, 'waiting for the client certificate');
    const lines = host.log.of('Failed while requesting a signed certificate').length;
    t.ok(lines > 100 && lines < 600, `${String(lines)} lines in a day`);
    host.offerToken('fedcba.fedcba9876543210');
    host.agent?.filesChanged([BOOTSTRAP_PATH]);
    await host.clock.settle();
    t.equal(host.isUpToDate, true);
  },
);

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

t.test('a bootstrap kubeconfig that cannot be read is the reason that is shown', async (t) => {
  const host = newHost(t);
  const error = new CertletError('ERR_KUBECONFIG_INVALID', 'line 3: no');
  host.kubeconfigs.bootstrap = { kind: 'unusable', path: BOOTSTRAP_PATH, error };
  host.start();
  await host.clock.settle();
  t.equal(host.manager('client').lastError?.code, 'ERR_KUBECONFIG_INVALID');
});

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

t.test('a refused bootstrap token: bounded requests, 401 told', async (t) => {
  const host = newHost(t);
  host.api.fault = () => apiFault('ERR_API_UNAUTHORIZED', 'Unauthorized');
  host.start();
  await host.clock.advance(DAY);
  const anHour = host.api.calls.length / 24;
  t.ok(anHour > 5 && anHour < 40, `${String(anHour)} requests an hour`);
  t.equal(host.manager('client').lastError?.code, 'ERR_API_UNAUTHORIZED');
});

t.test('a refused client certificate: minutes of proofs, then the bootstrap credential', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const since = host.api.calls.length;
  const refusedSince = host.clock.now();
  const { serial } = host.leaf('client');
  let healed = false;
  host.api.fault = (call) => (healed ? undefined : unauthorized(call));
  await host.until(() => host.count('create', since) > 0, 30 * MINUTE);
  const tookMs = host.clock.now().getTime() - refusedSince.getTime();
  t.ok(tookMs >= 5 * MINUTE, 'not before five minutes');
  healed = true;
  await host.until(() => host.isUpToDate, 10 * MINUTE);
  t.equal(host.api.calls.slice(since).find(({ what }) => what === 'create')?.as, 'bootstrap');
  t.not(host.leaf('client').serial, serial);
});

t.test(
  'refused in runs too short to judge it: the next runs go on counting, then the bootstrap credential',
  async (t) => {
    const host = newHost(t);
    await host.bootstrap();
    const since = host.api.calls.length;
    host.api.fault = unauthorized;
    for (let runs = 0; runs < 4 && host.count('create', since) === 0; runs += 1) {
      await host.restart(HOUR);
      await host.clock.advance(4 * MINUTE);
    }
    t.equal(host.api.calls.slice(since).find(({ what }) => what === 'create')?.as, 'bootstrap');
    host.api.fault = () => undefined;
    await host.until(() => host.isUpToDate, 2 * MINUTE);
    t.equal(host.count('create', since), 1, 'the new pair is proved already: nothing is left to wait for');
  },
);

t.test('refused before a restart and accepted after it: nothing is asked for, and nothing remembered', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const { serial } = host.leaf('client');
  host.api.fault = unauthorized;
  await host.restart(HOUR);
  await host.clock.advance(4 * MINUTE);
  t.ok((await host.store.readHistory('client')).refused !== undefined, 'written down');
  host.api.fault = () => undefined;
  await host.restart(HOUR);
  await host.clock.advance(HOUR);
  t.equal(host.leaf('client').serial, serial);
  t.equal(host.count('create'), 2);
  t.equal((await host.store.readHistory('client')).refused, undefined);
});

t.test('status does not call a certificate valid that the API server refuses', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.api.fault = unauthorized;
  await host.restart(HOUR);
  await host.clock.advance(MINUTE);
  t.match(host.manager('client'), {
    phase: 'waiting to retry',
    reason: /^the API server refuses the client certificate: \d+ times since /,
    command: 'certlet check',
  });
  host.api.fault = () => undefined;
  await host.clock.advance(HOUR);
  t.equal(host.manager('client').phase, 'valid');
});

t.test('a control plane that recovers before that is forgiven', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const { serial } = host.leaf('client');
  host.api.fault = unauthorized;
  await host.clock.advance(8 * MINUTE);
  host.api.fault = () => undefined;
  await host.clock.advance(HOUR);
  t.equal(host.leaf('client').serial, serial);
  t.equal(host.count('create'), 2);
  t.ok(host.log.of('The API server refused the client certificate').length > 0);
});

t.test(
  'refused for good and no bootstrap credential: goes on proving, and lives on when it is accepted again',
  async (t) => {
    const host = newHost(t);
    await host.bootstrap();
    host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
    host.api.fault = unauthorized;
    const since = host.api.calls.length;
    await host.clock.advance(DAY);
    const anHour = (host.api.calls.length - since) / 24;
    t.ok(anHour > 2 && anHour < 40, `${String(anHour)} requests an hour`);
    t.equal(host.manager('client').lastError?.code, 'ERR_CREDENTIAL_MISSING');
    host.api.fault = () => undefined;
    await host.until(() => host.isUpToDate, HOUR);
    t.equal(host.count('create'), 2, 'nothing was asked');
  },
);

t.test('three replicas that take a new CA in turns never send the node back to bootstrapping', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  let call = 0;
  host.api.fault = ({ as }) => {
    call += 1;
    return as === 'node' && call % 3 !== 0 ? apiFault('ERR_API_UNAUTHORIZED', 'Unauthorized') : undefined;
  };
  await host.clock.advance(6 * HOUR);
  t.equal(host.count('create'), 2);
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

t.test('a pair embedded in the kubeconfig is adopted', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const pair = host.store.shelves.client.pairs[0]?.pair;
  if (pair === undefined) throw new Error('no pair');
  await host.stop();
  host.store.shelves.client.pairs = [];
  const credential = {
    kind: 'certificate',
    chainPem: pair.chain.pem,
    keyPem: encodePrivateKey(pair.key),
  } as const;
  host.kubeconfigs.node = usable(NODE_PATH, CLUSTER, credential);
  host.start();
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(host.store.shelves.client.pairs[0]?.pair.chain.leaf.serial, pair.chain.leaf.serial);
  t.equal(host.count('create'), 2);
});

for (const [name, usages] of [
  ['without extended key usage, as openssl makes it,', ['digital signature']],
  ['for any usage', ['digital signature', 'any']],
] as const) {
  t.test(`a node that has nothing but a client certificate ${name} asks with it`, async (t) => {
    const host = newHost(t);
    host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
    host.kubeconfigs.node = usable(NODE_PATH, CLUSTER, legacyPair('system:node:n1', usages));
    host.start();
    await host.until(() => host.store.shelves.client.pairs.length > 0, 5 * MINUTE);
    t.equal(host.store.shelves.client.pairs[0]?.pair.chain.leaf.commonName, 'system:node:n1');
    t.match(host.log.of('Loading cert/key pair'), [{ fields: { from: 'kubeconfig' } }]);
  });
}

t.test("an administrator's certificate in kubelet.conf is named as the reason that nothing is asked", async (t) => {
  const host = newHost(t);
  host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
  host.kubeconfigs.node = usable(
    NODE_PATH,
    CLUSTER,
    legacyPair('kubernetes-admin', ['digital signature', 'client auth']),
  );
  host.start();
  await host.clock.settle();
  t.match(
    host.manager('client').reason,
    /no bootstrap kubeconfig at .*, and the client certificate .*CN=kubernetes-admin of .*kubelet\.conf is not used: for kubernetes-admin$/,
  );
});

function legacyPair(commonName: string, usages: readonly string[]): Credential {
  const [notBefore, notAfter] = [new Date('2030-05-01T00:00:00Z'), new Date('2030-08-01T00:00:00Z')];
  const { chainPem, keyPem } = createAuthority({ name: 'old', notBefore, notAfter }).issue({
    commonName,
    organizations: ['system:nodes'],
    usages,
    notBefore,
    notAfter,
  });
  return { kind: 'certificate', chainPem, keyPem: new Secret(keyPem) };
}

t.test('an embedded pair that does not match is told and done without', async (t) => {
  const host = newHost(t);
  const credential = { kind: 'certificate', chainPem: 'no', keyPem: new Secret('no') } as const;
  host.kubeconfigs.node = usable(NODE_PATH, CLUSTER, credential);
  await host.bootstrap();
  t.equal(host.log.of('The pair in the kubeconfig cannot be used').length > 0, true);
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
});

t.test('the best of several pairs is adopted, the link repaired', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  host.api.lifetimeMs = 300 * DAY;
  await host.agent?.renew(['client', 'serving']);
  await host.clock.settle();
  await host.stop();
  for (const shelf of Object.values(host.store.shelves)) {
    const [newest, ...older] = shelf.pairs;
    if (newest === undefined) throw new Error('no pair');
    // The link names the old one, as after a restored backup.
    shelf.pairs = [
      ...older.map((pair, index) => ({ ...pair, origin: index === 0 ? ('current' as const) : pair.origin })),
      { ...newest, origin: 'timestamped' },
    ];
  }
  await host.clock.advance(2 * DAY);
  host.start();
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(host.count('create'), 4, 'the longer-lived pairs were found');
});

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
