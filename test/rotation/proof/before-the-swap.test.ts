import t, { type Test } from 'tap';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}, now?: string): FakeHost {
  const host = new FakeHost(options, now);
  t.teardown(() => host.stop());
  return host;
}

t.test(
  'no answer to the proof keeps the staged pair, for days, and over the loss of the bootstrap kubeconfig',
  async (t) => {
    const host = newHost(t);
    host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_SERVER', 'etcd') : undefined);
    host.start();
    await host.clock.advance(2 * DAY);
    t.equal(host.manager('client').certificate, undefined);
    t.equal(host.count('create'), 1);
    host.api.fault = () => undefined;
    const { bootstrap } = host.kubeconfigs;
    if (bootstrap.kind !== 'usable') return;
    host.kubeconfigs.bootstrap = { ...bootstrap, config: { ...bootstrap.config, credential: { kind: 'none' } } };
    await host.restart(MINUTE);
    await host.until(() => host.isUpToDate, 10 * MINUTE);
    t.equal(host.count('create'), 2);
  },
);

t.test('anonymous at the proof: waits for a person with the staged pair', async (t) => {
  const host = newHost(t);
  host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_ANONYMOUS', 'system:anonymous') : undefined);
  host.start();
  await host.clock.advance(DAY);
  t.equal(host.manager('client').lastError?.code, 'ERR_API_ANONYMOUS');
  t.equal(host.count('create'), 1);
  t.equal(host.manager('client').pending?.received, true);
});

t.test('a named user who may not ask is known: 403 passes', async (t) => {
  const host = newHost(t);
  host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_FORBIDDEN', 'forbidden') : undefined);
  await host.bootstrap();
  t.equal(host.count('create'), 2);
});

t.test(
  '401 at the proof: five minutes with the same pair, then another request, and from the third on hours',
  async (t) => {
    const host = newHost(t);
    host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_UNAUTHORIZED', 'no') : undefined);
    host.start();
    await host.clock.advance(4 * MINUTE);
    t.equal(host.count('create'), 1);
    t.equal(host.manager('client').lastError?.code, 'ERR_ISSUED_UNPROVEN');
    await host.clock.advance(6 * HOUR);
    const creates = host.count('create');
    t.ok(creates > 2 && creates < 10, `${String(creates)} requests in six hours`);
    host.api.fault = () => undefined;
    await host.until(() => host.isUpToDate, 9 * HOUR);
  },
);
