/** What a node without a certificate does before the disk has been read: it meets its server. */
import t from 'tap';
import { apiFault } from '../fixtures/fakes/api.ts';
import { FakeHost, MINUTE } from '../fixtures/fakes/host.ts';

/** Calls to the server that began before the placeholder of the serving certificate was written. */
async function callsBeforePlaceholder(host: FakeHost): Promise<readonly string[]> {
  let before: readonly string[] | undefined;
  const { install } = host.store;
  host.store.install = async (...args) => {
    before ??= [...host.callsSince(0)];
    return install.apply(host.store, args);
  };
  host.start();
  await host.clock.settle();
  return before ?? [];
}

t.test('the connection was made only when the last file had been read', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  t.strictSame(await callsBeforePlaceholder(host), ['discover as bootstrap']);
  t.equal(host.count('discover'), 1, 'what was asked ahead is not asked again');
  t.equal(host.isUpToDate, true);
});

t.test('a server that is not there is asked as often as without that, and told once', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.fault = () => apiFault('ERR_API_UNREACHABLE', 'down');
  host.start();
  await host.clock.settle();
  t.strictSame(host.callsSince(0), ['discover as bootstrap']);
  t.equal(host.manager('client').lastError?.code, 'ERR_API_UNREACHABLE');
  t.equal(host.log.entries.filter(({ level }) => level === 'error' || level === 'warn').length, 1);
});

t.test('nothing is asked ahead where nothing is to be asked', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.stop();
  const since = host.api.calls.length;
  host.start();
  await host.clock.settle();
  t.strictSame(host.callsSince(since), [], 'a start with a pair in hand is spread');
});

t.test('without a credential it is the attempt that says so', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.kubeconfigs.bootstrap = { kind: 'absent', path: '/etc/kubernetes/bootstrap-kubelet.conf' };
  host.start();
  await host.clock.settle();
  t.equal(host.manager('client').lastError?.code, 'ERR_CREDENTIAL_MISSING');
  t.strictSame(host.log.of('Could not bring the files in order'), []);
});

t.test('an agent that is stopped before anybody has heard the answer ends quietly', async (t) => {
  const host = new FakeHost();
  host.api.called = () => new Promise(() => undefined);
  host.start();
  await host.stop();
  t.equal(host.thrown, undefined);
  t.ok(host.clock.now().getTime() < new FakeHost().clock.now().getTime() + MINUTE);
});
