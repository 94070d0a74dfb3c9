/** A balancer that strips client certificates, in front of an API server that lets nobody in without one. */
import t from 'tap';
import { refusalBackoffMs } from '../../src/rotation/rules/retry.ts';
import { apiFault } from '../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';

for (const { name, code, count, ms } of [
  { name: 'a denial: the base', code: 'ERR_CSR_DENIED', count: 1, ms: HOUR },
  { name: 'a third: four times the base', code: 'ERR_CSR_DENIED', count: 3, ms: 4 * HOUR },
  { name: 'the tenth: eight times at most', code: 'ERR_CSR_DENIED', count: 10, ms: 8 * HOUR },
  { name: 'a first pair that is refused: minutes', code: 'ERR_ISSUED_REFUSED', count: 1, ms: 15 * MINUTE },
  { name: 'a third one: the base', code: 'ERR_ISSUED_REFUSED', count: 3, ms: HOUR },
  { name: 'the twentieth', code: 'ERR_ISSUED_REFUSED', count: 20, ms: 8 * HOUR },
]) {
  t.test(`refusalBackoffMs: ${name}`, async (t) => t.equal(refusalBackoffMs(code, count, HOUR), ms));
}

const FAILED = 'Failed while requesting a signed certificate';
const stripped = (host: FakeHost): void => {
  host.api.fault = ({ as }) => (as === 'node' ? apiFault('ERR_API_UNAUTHORIZED', 'Unauthorized') : undefined);
};

t.test('behind such a balancer a node makes four to five signing requests an hour for ever', async (t) => {
  const host = new FakeHost({ serving: false });
  t.teardown(() => host.stop());
  stripped(host);
  host.start();
  await host.clock.advance(2 * HOUR);
  t.ok(host.count('create') <= 5, `${String(host.count('create'))} in the first two hours`);
  const before = host.count('create');
  await host.clock.advance(2 * DAY);
  t.ok(host.count('create') - before <= 10, `${String(host.count('create') - before)} in two days`);
  t.match(host.manager('client').lastError, { remedy: /load balancer between must pass TLS through/ });
  const given = host.log.of(FAILED).filter(({ fields }) => fields['code'] === 'ERR_ISSUED_REFUSED');
  t.equal(
    given.length,
    host.count('create') - (host.store.shelves.client.pending === undefined ? 0 : 1),
    'told once for each',
  );
  host.api.fault = () => undefined;
  host.offerToken('fedcba.0123456789abcdef');
  host.agent?.filesChanged();
  await host.until(() => host.isUpToDate, 10 * MINUTE);
});

t.test('… nor where it is started anew each hour', async (t) => {
  const host = new FakeHost({ serving: false });
  t.teardown(() => host.stop());
  stripped(host);
  for (let run = 0; run < 48; run += 1) {
    host.start();
    await host.clock.advance(10 * MINUTE);
    await host.stop();
    await host.clock.step(50 * MINUTE);
  }
  t.ok(host.count('create') <= 14, `${String(host.count('create'))} in two days`);
});
