import t, { type Test } from 'tap';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { CertletError } from '../../../src/errors.ts';

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
  host.api.node = { addresses: [{ type: 'InternalIP', address: '10.0.0.99' }], kubeletVersion: 'v1.36.0' };
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

const FULL = new CertletError('ERR_STORE_FULL', 'no space left');

/** A disk that is full from the swap of the first client pair on; what is there can be read, linked and removed. */
function hostThatFills(t: Test): { readonly host: FakeHost; readonly empty: () => void } {
  const host = new FakeHost({ serving: false });
  t.teardown(() => host.stop());
  let full = false;
  let emptied = false;
  host.store.fail = (call) => {
    const error = full && !emptied && /^(write|accept)/.test(call) ? FULL : undefined;
    full ||= call === 'install client';
    return error;
  };
  return { host, empty: () => void (emptied = true) };
}

t.test('a disk that is full just after the swap leaves the kubeconfig unwritten', async (t) => {
  const { host, empty } = hostThatFills(t);
  host.start();
  await host.clock.advance(MINUTE);
  t.equal(host.kubeconfigs.node.kind, 'usable', 'the kubelet has what it starts by');
  t.equal(host.manager('client').lastError?.code, 'ERR_STORE_FULL', 'and the disk is told of');
  await host.clock.advance(HOUR);
  t.equal(host.rotations.length, 1, 'hooks are told of the pair, once for all the tries');
  t.equal(host.count('create'), 1);
  empty();
  await host.until(() => host.isUpToDate, HOUR);
  t.ok(host.store.shelves.client.history.lastSerial);
  t.equal(host.store.shelves.client.pending, undefined);
  t.equal(host.rotations.length, 1);
});

t.test('nor is it written at the starts after that', async (t) => {
  const { host } = hostThatFills(t);
  host.kubeconfigs.fail = () => new CertletError('ERR_STORE_READ_ONLY', 'not yet');
  host.start();
  await host.clock.advance(MINUTE);
  await host.stop();
  host.kubeconfigs.fail = undefined;
  host.start();
  await host.clock.settle();
  t.equal(host.kubeconfigs.node.kind, 'usable');
  t.equal(host.manager('client').lastError?.code, 'ERR_STORE_FULL');
});

t.test('what was found at the start is noted as soon as there is room', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.stop();
  let full = true;
  host.store.fail = (call) => (full && call.startsWith('accept') ? FULL : undefined);
  const from = host.store.calls.length;
  host.start();
  await host.clock.advance(HOUR);
  t.equal(host.manager('client').lastError?.code, 'ERR_STORE_FULL');
  full = false;
  await host.clock.advance(HOUR);
  t.equal(host.manager('client').lastError, undefined);
  const accepted = host.store.calls.slice(from).filter((call) => call.startsWith('accept'));
  t.strictSame(accepted.slice(-2), ['accept client', 'accept serving']);
  const done = accepted.length;
  await host.clock.advance(HOUR);
  t.equal(host.store.calls.slice(from).filter((call) => call.startsWith('accept')).length, done, 'once');
});

t.test('a wish that was answered on a full disk is asked again and again', async (t) => {
  const host = new FakeHost({ serving: false });
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.clock.advance(HOUR);
  let full = false;
  host.store.fail = (call) => {
    const error = full && call.startsWith('write history') ? FULL : undefined;
    full ||= call === 'install client';
    return error;
  };
  full = false;
  await host.agent?.renew(['client']);
  await host.clock.advance(6 * HOUR);
  t.equal(host.count('create'), 2, 'one request for one wish');
});
