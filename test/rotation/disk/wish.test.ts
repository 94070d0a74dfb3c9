import t, { type Test } from 'tap';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

async function freshHost(t: Test): Promise<FakeHost> {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.clock.advance(HOUR);
  return host;
}

const noted = (host: FakeHost): Date | undefined => host.store.shelves.client.history.renewWantedAt;

t.test('a wish that a restart came before is fulfilled after it', async (t) => {
  const host = await freshHost(t);
  const { serial } = host.leaf('client');
  host.store.fail = (call) => (call === 'write pending client' ? apiFault('ERR_STORE_FULL', 'full') : undefined);
  await host.agent?.renew(['client']);
  await host.clock.advance(MINUTE);
  t.ok(noted(host));
  await host.stop();
  t.equal(host.store.shelves.client.pending, undefined, 'no request has come of it');
  host.store.fail = () => undefined;
  await host.restart(MINUTE);
  await host.until(() => host.isUpToDate && host.leaf('client').serial !== serial, 20 * MINUTE);
  t.match(host.log.of('Rotating certificates').at(-1)?.fields['reasons'], ['asked for by an administrator']);
  t.equal(noted(host), undefined);
  const since = host.count('create');
  await host.restart(MINUTE);
  await host.clock.advance(DAY);
  t.equal(host.count('create'), since, 'once');
});

t.test('the serving certificate is not meant', async (t) => {
  const host = await freshHost(t);
  await host.agent?.renew(['client']);
  t.equal(host.store.shelves.serving.history.renewWantedAt, undefined);
});

t.test('a wish after a refusal goes at once, also over a restart', async (t) => {
  const host = await freshHost(t);
  const { serial } = host.leaf('client');
  host.api.approve = 'deny';
  await host.agent?.renew(['client']);
  await host.clock.advance(MINUTE);
  t.match(host.store.shelves.client.history, { refusal: { count: 1 }, renewWantedAt: undefined });
  t.equal(host.count('create'), 3);
  host.api.fault = () => apiFault('ERR_API_UNREACHABLE', 'down');
  await host.agent?.renew(['client']);
  await host.restart(MINUTE);
  host.api.approve = 'automatic';
  host.api.fault = () => undefined;
  await host.until(() => host.leaf('client').serial !== serial, 10 * MINUTE);
  t.match(host.store.shelves.client.history, { refusal: undefined, renewWantedAt: undefined });
});

t.test('a refusal ends the wish: a restart does not ask again', async (t) => {
  const host = await freshHost(t);
  host.api.approve = 'deny';
  await host.agent?.renew(['client']);
  await host.clock.advance(MINUTE);
  t.equal(host.count('create'), 3);
  await host.restart(MINUTE);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.count('create'), 3);
});

t.test('a wish while its request is pending survives restarts without a second request', async (t) => {
  const host = await freshHost(t);
  host.api.approve = 'manual';
  await host.agent?.renew(['client']);
  await host.clock.advance(MINUTE);
  for (let count = 0; count < 3; count += 1) await host.restart(2 * MINUTE);
  await host.clock.advance(2 * MINUTE);
  t.ok(noted(host));
  t.equal(host.count('create'), 3);
  for (const name of host.api.pendingNames) host.api.approveRequest(name);
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(noted(host), undefined);
  t.equal(host.count('create'), 3);
});

t.test('a crash between the swap and the note of it: the wish is fulfilled, no second certificate', async (t) => {
  const host = await freshHost(t);
  let installed = false;
  host.store.fail = (call) => {
    installed ||= call === 'install client';
    return installed && call === 'write history client' ? apiFault('ERR_STORE_FULL', 'full') : undefined;
  };
  await host.agent?.renew(['client']);
  await host.clock.settle();
  t.ok(noted(host), 'the disk did not take it');
  host.store.fail = () => undefined;
  await host.restart(MINUTE);
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(noted(host), undefined);
  t.equal(host.count('create'), 3);
});

t.test('a wish that came after the pair was issued is one of its own', async (t) => {
  const host = await freshHost(t);
  let full = true;
  host.store.fail = (call) =>
    full && call === 'remove pending client' ? apiFault('ERR_STORE_FULL', 'full') : undefined;
  await host.agent?.renew(['client']);
  await host.clock.settle();
  const { serial } = host.leaf('client');
  await host.clock.advance(1000);
  await host.agent?.renew(['client']);
  await host.stop();
  full = false;
  await host.restart(MINUTE);
  await host.until(() => host.isUpToDate && host.leaf('client').serial !== serial, 5 * MINUTE);
  t.equal(host.count('create'), 4);
});

t.test('a disk that cannot take the note: told, and the certificate comes all the same', async (t) => {
  const host = await freshHost(t);
  const { serial } = host.leaf('client');
  let failures = 1;
  host.store.fail = (call) =>
    call === 'write history client' && failures-- > 0 ? apiFault('ERR_STORE_FULL', 'full') : undefined;
  await host.agent?.renew(['client']);
  await host.clock.settle();
  t.not(host.leaf('client').serial, serial);
  const [line] = host.log.of('Could not write down that a new certificate is wanted');
  t.match(line, { level: 'warn', fields: { purpose: 'client', code: 'ERR_STORE_FULL', error: 'full' } });
});

t.test('asked for before the files were read: what is known of earlier requests stays', async (t) => {
  const host = await freshHost(t);
  const { lastSerial } = host.store.shelves.client.history;
  await host.stop();
  host.api.fault = () => apiFault('ERR_API_UNREACHABLE', 'down');
  const agent = host.start();
  await agent.renew(['client']);
  t.match(host.store.shelves.client.history, { lastSerial, renewWantedAt: Date });
});

t.test('no other writer of the history drops the wish', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  // The request is about to be written down when the wish comes.
  const { writePending } = host.store;
  host.api.fault = ({ what }) => (what === 'create' ? apiFault('ERR_API_UNREACHABLE', 'down') : undefined);
  let wished: Promise<void> | undefined;
  host.store.writePending = async (purpose, record) => {
    wished ??= host.agent?.renew(['client']);
    await writePending.call(host.store, purpose, record);
  };
  await host.until(() => host.count('create') > 2, DAY);
  await wished;
  t.ok(noted(host));
  t.ok(host.store.shelves.client.history.lastRequestAt);
});
