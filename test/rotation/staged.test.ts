import t, { type Test } from 'tap';
import { apiFault } from '../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';

/** A client pair of twelve hours is issued, but its proof finds no answer; then the clock is set ahead by a day, and `fault` begins. */
async function doubted(t: Test, fault?: FakeHost['api']['fault']): Promise<FakeHost> {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = 12 * HOUR;
  host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_UNREACHABLE', 'no') : undefined);
  host.start();
  await host.clock.advance(5 * MINUTE);
  t.equal(host.manager('client').pending?.received, true);
  if (fault !== undefined) {
    host.api.fault = fault;
    // Nothing confirms the clock.
    host.api.onDate = () => undefined;
  }
  await host.setClock(DAY);
  return host;
}

for (const code of ['ERR_API_TLS_DATES', 'ERR_API_UNREACHABLE', 'ERR_API_SERVER'] as const) {
  t.test(
    `a staged pair that only an unconfirmed clock calls expired is kept while the server answers ${code}`,
    async (t) => {
      const host = await doubted(t, () => apiFault(code, 'a fault'));
      await host.clock.advance(HOUR);
      t.match(host.manager('client'), { pending: { received: true }, lastError: { code } });
      t.equal(host.count('create'), 1);
    },
  );
}

t.test('… is proven once the server has told the time', async (t) => {
  const host = await doubted(t);
  host.api.fault = () => undefined;
  await host.until(() => host.store.shelves.client.pending === undefined, 10 * MINUTE);
  t.equal(host.manager('client').certificate?.selfSigned, false);
  t.equal(host.api.calls.filter(({ what, as }) => what === 'create' && as === 'bootstrap').length, 1);
});

t.test('… is replaced when the server says that the clock is right', async (t) => {
  const host = await doubted(t);
  host.api.aheadMs = 0;
  host.api.fault = () => undefined;
  await host.until(() => host.isUpToDate, 10 * MINUTE);
  t.equal(host.count('create'), 3);
});

t.test('… a 401 on the way counts against the credential that asked', async (t) => {
  const host = await doubted(t, () => apiFault('ERR_API_UNAUTHORIZED', 'no'));
  await host.clock.advance(10 * MINUTE);
  t.match(host.manager('client'), { pending: { received: true }, lastError: { code: 'ERR_API_UNAUTHORIZED' } });
});
