import t, { type Test } from 'tap';
import { CertletError } from '../../src/errors.ts';
import { FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';

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
