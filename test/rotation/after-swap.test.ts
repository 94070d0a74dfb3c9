import t, { type Test } from 'tap';
import { apiFault } from '../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';

type Setup = ConstructorParameters<typeof FakeHost>[0];

function newHost(t: Test, options: Setup = {}): FakeHost {
  const host = new FakeHost(options);
  host.api.lifetimeMs = 10 * HOUR;
  t.teardown(() => host.stop());
  return host;
}

t.test(
  'a bootstrap kubeconfig that cannot be deleted does not stop renewal until the certificate is dead',
  async (t) => {
    const host = newHost(t, { deleteBootstrapKubeconfig: true });
    host.kubeconfigs.removeBootstrap = async () => {
      throw apiFault('ERR_STORE_READ_ONLY', 'unlink /etc/certlet/bootstrap.conf: EROFS');
    };
    host.start();
    await host.clock.advance(3 * DAY);
    t.ok(host.leaf('client').notAfter > host.clock.now(), 'still valid after three days of ten-hour certificates');
    t.equal(host.store.shelves.client.pending, undefined);
    t.ok(host.log.of('Could not delete the bootstrap kubeconfig').length > 0, 'and it is told');
    t.ok(host.count('review') < 200, `${String(host.count('review'))} proofs`);
  },
);

t.test('a kubeconfig that cannot be written for days does not stop renewal', async (t) => {
  const host = newHost(t);
  host.start();
  await host.until(() => host.isUpToDate, HOUR);
  host.kubeconfigs.node = { kind: 'absent', path: '/etc/kubernetes/kubelet.conf' };
  host.kubeconfigs.fail = () => apiFault('ERR_STORE_READ_ONLY', 'open /etc/kubernetes/kubelet.conf: EROFS');
  await host.clock.advance(3 * DAY);
  t.ok(host.leaf('client').notAfter > host.clock.now());
  host.kubeconfigs.fail = undefined;
  await host.until(() => host.isUpToDate, 2 * HOUR);
  t.equal(host.kubeconfigs.node.kind, 'usable', 'and it is written when it can be');
});

t.test('superseding a request while the disk is full is paced', async (t) => {
  const host = newHost(t);
  host.api.approveServing = 'manual';
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('serving').phase, 'waiting for approval');
  host.store.fail = (call) =>
    call === 'write history serving' ? apiFault('ERR_STORE_FULL', 'write: ENOSPC') : undefined;
  host.api.node = { addresses: [{ type: 'InternalIP', address: '10.0.0.99' }], kubeletVersion: 'v1.36.0', uid: 'u' };
  const before = host.count('get');
  await host.clock.advance(HOUR);
  t.ok(host.count('get') - before < 60, `${String(host.count('get') - before)} reads in an hour`);
  host.store.fail = () => undefined;
  host.api.approveServing = 'automatic';
  await host.until(() => host.leaf('serving').ipAddresses.includes('10.0.0.99'), 2 * HOUR);
});

t.test('a signer that was upgraded twice: the usages refused long ago are asked for again', async (t) => {
  const host = newHost(t, { serving: false });
  host.start();
  await host.until(() => host.isUpToDate, HOUR);
  host.store.shelves.client.history = { ...host.store.shelves.client.history, keyEncipherment: false };
  await host.restart(MINUTE);
  host.api.sign = false;
  await host.agent?.renew(['client']);
  await host.clock.advance(MINUTE);
  host.api.condition(
    [...host.api.requests.keys()].at(-1) ?? '',
    'Failed',
    'SignerValidationFailure',
    'usages did not match',
  );
  await host.clock.settle();
  t.equal(host.manager('client').lastError?.code, 'ERR_CSR_FAILED');
  const refused = host.count('create');
  await host.clock.advance(30 * MINUTE);
  t.equal(host.count('create'), refused, 'the hours of a refusal hold');
  host.api.sign = true;
  await host.clock.advance(9 * HOUR);
  t.match([...host.api.requests.values()].at(-1)?.csr.usages, ['digital signature', 'key encipherment', 'client auth']);
});
