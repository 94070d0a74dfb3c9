import t, { type Test } from 'tap';
import type { Credential } from '../../../src/kubeconfig/client-config.ts';
import { Secret } from '../../../src/secret.ts';
import { encodePrivateKey } from '../../../src/pki/keys.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { CLUSTER, DAY, FakeHost, MINUTE } from '../../fixtures/fakes/host.ts';
import { absent, BOOTSTRAP_PATH, NODE_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}): FakeHost {
  const host = new FakeHost(options);
  t.teardown(() => host.stop());
  return host;
}

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
