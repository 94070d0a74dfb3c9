import t, { type Test } from 'tap';
import { apiFault, type FakeCall } from '../../fixtures/fakes/api.ts';
import { FakeHost, HOUR, MINUTE, DAY } from '../../fixtures/fakes/host.ts';
import { refusalBackoffMs } from '../../../src/rotation/rules/retry.ts';

const FAILED = 'Failed while requesting a signed certificate';
const refusedProof = ({ what }: FakeCall) => (what === 'review' ? apiFault('ERR_API_UNAUTHORIZED', 'no') : undefined);

/** A client pair is issued that the API server refuses at its proof. */
function refusingHost(t: Test): FakeHost {
  const host = new FakeHost({ serving: false });
  t.teardown(() => host.stop());
  host.api.fault = refusedProof;
  return host;
}

/** As the timer's `certlet once --timeout 4m`. */
async function shortRun(host: FakeHost): Promise<void> {
  host.start();
  await host.clock.advance(4 * MINUTE);
  await host.stop();
}

const codes = (host: FakeHost): readonly unknown[] => host.log.of(FAILED).map(({ fields }) => fields['code']);

t.test('short runs of once show the same refused pair for ever', async (t) => {
  const host = refusingHost(t);
  await shortRun(host);
  t.equal(host.count('create'), 1);
  const first = host.store.shelves.client.pending;
  t.type(first?.refusedAt, Date);
  t.equal(host.store.calls.filter((call) => call === 'write pending client').length, 4, 'one write for all refusals');
  t.notOk(codes(host).includes('ERR_ISSUED_REFUSED'));
  await host.clock.advance(10 * MINUTE);
  await shortRun(host);
  t.ok(codes(host).includes('ERR_ISSUED_REFUSED'));
  t.not(host.store.shelves.client.pending?.name, first?.name);
  t.equal(host.count('create'), 2, 'and asked anew');
  host.api.fault = () => undefined;
  host.start();
  await host.until(() => host.isUpToDate, 20 * MINUTE);
});

t.test('a record of before there was a moment of refusal is kept for as long as a new one', async (t) => {
  const host = refusingHost(t);
  await shortRun(host);
  const { pending } = host.store.shelves.client;
  if (pending === undefined) throw new Error('no record');
  const { refusedAt: _new, ...old } = pending;
  host.store.shelves.client.pending = old;
  await host.clock.advance(HOUR);
  await shortRun(host);
  t.equal(host.store.shelves.client.pending?.name, old.name);
});

t.test('a first refusal in the future is a clock that was set back: the time begins anew', async (t) => {
  const host = refusingHost(t);
  await shortRun(host);
  const first = host.store.shelves.client.pending;
  await host.setClock(-6 * MINUTE);
  await shortRun(host);
  const second = host.store.shelves.client.pending;
  t.equal(second?.name, first?.name);
  if (first?.refusedAt === undefined || second?.refusedAt === undefined) throw new Error('no moment of refusal');
  t.ok(second.refusedAt < first.refusedAt);
  await shortRun(host);
  t.ok(codes(host).includes('ERR_ISSUED_REFUSED'));
});

t.test('a pass between two refusals begins the time anew', async (t) => {
  const host = refusingHost(t);
  await shortRun(host);
  const name = host.store.shelves.client.pending?.name;
  host.store.fail = (call) => (call === 'install client' ? apiFault('ERR_STORE_FULL', 'ENOSPC') : undefined);
  host.api.fault = () => undefined;
  await shortRun(host);
  t.match(host.store.shelves.client.pending, { name, refusedAt: undefined });
  host.api.fault = refusedProof;
  await host.clock.advance(HOUR);
  await shortRun(host);
  t.equal(host.store.shelves.client.pending?.name, name);
});

t.test('a disk that cannot take the note hides neither the refusal nor the pass', async (t) => {
  const host = refusingHost(t);
  host.start();
  await host.until(() => codes(host).includes('ERR_ISSUED_UNPROVEN'), MINUTE);
  await host.stop();
  const { pending } = host.store.shelves.client;
  if (pending === undefined) throw new Error('no record');
  const { refusedAt: _noted, ...bare } = pending;
  host.store.shelves.client.pending = bare;
  host.store.fail = (call) => (call === 'write pending client' ? apiFault('ERR_STORE_FULL', 'ENOSPC') : undefined);
  host.start();
  await host.clock.advance(MINUTE);
  t.match(host.manager('client').lastError, { code: 'ERR_ISSUED_UNPROVEN' });
  t.match(host.log.of('Could not write down since when the issued certificate is refused')[0]?.level, 'debug');
  host.api.fault = () => undefined;
  await host.until(() => host.isUpToDate, 5 * MINUTE);
});

/** A balancer that strips client certificates, in front of an API server that lets nobody in without one. */

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
