/** Which of several approvers acts, when servers fail, answers hang and processes stand still. */
import t from 'tap';
import { ACTS_MS, LEASE_MS, RENEW_MS } from '../../src/approve/lease.ts';
import { CertletError } from '../../src/errors.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { Candidate, LeaseServer, unreachable } from './lease-server.ts';

function world() {
  const [clock, server, end] = [new FakeClock(), new LeaseServer(), new AbortController()];
  const candidate = (name: string) => new Candidate(server, name, clock);
  return { clock, server, end, candidate };
}

const hanging = (_method: string, signal: AbortSignal): Promise<void> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

t.test('nobody may act before the Lease is held', async (t) => {
  const { server, end, candidate } = world();
  const one = candidate('one');
  t.equal(one.election.mayAct(), false);
  t.equal(await one.election.acquire(end.signal), 'held');
  t.equal(one.election.mayAct(), true);
  t.equal(server.holder, 'one');
});

t.test('while one renews, the other waits, says so once, and never acts', async (t) => {
  const { clock, server, end, candidate } = world();
  const [one, two] = [candidate('one'), candidate('two')];
  await one.election.acquire(end.signal);
  const kept = one.election.keep(end.signal);
  const waiting = two.election.acquire(end.signal);
  for (let ms = 0; ms < 3 * LEASE_MS; ms += 500) {
    await clock.advance(500);
    t.strictSame([one.election.mayAct(), two.election.mayAct()], [true, false], `${String(ms)} ms`);
  }
  t.strictSame(
    two.log.entries.map(({ level, event, fields }) => [level, event, fields]),
    [['info', 'Another approver holds the Lease', { holder: 'one' }]],
  );
  t.equal(server.spec?.['leaseTransitions'], 0, 'a renewal is no transition');
  const why = new Error('stop');
  end.abort(why);
  await kept;
  await t.rejects(waiting, why);
  t.strictSame(one.log.events, [], 'an ordered end is no loss');
});

t.test('a process that stood still for longer than its Lease decides nothing when it wakes up', async (t) => {
  const { clock, server, end, candidate } = world();
  const [one, two] = [candidate('one'), candidate('two')];
  await one.election.acquire(end.signal);
  const taken = two.election.acquire(end.signal);
  await clock.advance(LEASE_MS);
  t.equal(await taken, 'held', 'the other has waited for the Lease to run out');
  one.stopMs = 1;
  t.strictSame([one.election.mayAct(), two.election.mayAct()], [false, true]);
  t.equal(server.spec?.['leaseTransitions'], 1);
  const kept = one.election.keep(end.signal);
  await clock.advance(RENEW_MS);
  await kept;
  t.strictSame(one.log.events, ['The Lease is lost'], 'the version it knows is an old one');
  t.equal(server.holder, 'two', 'what the other has taken stays');
});

for (const { stopMs, acts } of [
  { stopMs: ACTS_MS - 1, acts: true },
  { stopMs: ACTS_MS, acts: false },
  { stopMs: 24 * 3_600_000, acts: false },
]) {
  t.test(`a process that stood still for ${String(stopMs)} ms ${acts ? 'acts' : 'does not act'}`, async (t) => {
    const { end, candidate } = world();
    const one = candidate('one');
    await one.election.acquire(end.signal);
    one.stopMs = stopMs;
    t.equal(one.election.mayAct(), acts);
  });
}

t.test('renewals that fail are tried until the time to act is over', async (t) => {
  const { clock, server, end, candidate } = world();
  const one = candidate('one');
  await one.election.acquire(end.signal);
  server.before = () => {
    throw unreachable();
  };
  const kept = one.election.keep(end.signal);
  await clock.advance(3 * RENEW_MS);
  t.equal(one.election.mayAct(), true, 'six seconds after the last renewal');
  await clock.advance(RENEW_MS);
  await kept;
  t.equal(one.election.mayAct(), false);
  t.strictSame(one.log.events, [...Array(4).fill('The Lease was not renewed'), 'The Lease is lost']);
  t.match(one.log.entries[0], { level: 'debug', fields: { code: 'ERR_API_UNREACHABLE', error: 'no answer' } });
  t.equal(one.log.entries.at(-1)?.level, 'warn');
});

t.test('one renewal that fails loses nothing', async (t) => {
  const { clock, server, end, candidate } = world();
  const one = candidate('one');
  await one.election.acquire(end.signal);
  let failures = 1;
  server.before = () => {
    if (failures-- > 0) throw unreachable();
  };
  const kept = one.election.keep(end.signal);
  await clock.advance(4 * RENEW_MS);
  t.equal(one.election.mayAct(), true);
  t.strictSame(one.log.events, ['The Lease was not renewed']);
  end.abort();
  await kept;
});

t.test('a renewal that hangs is given up when it can no longer matter', async (t) => {
  const { clock, server, end, candidate } = world();
  const one = candidate('one');
  await one.election.acquire(end.signal);
  server.before = hanging;
  const kept = one.election.keep(end.signal);
  await clock.advance(RENEW_MS + ACTS_MS);
  await kept;
  t.strictSame(one.log.events, ['The Lease was not renewed', 'The Lease is lost']);
});

t.test('an end in the middle of a renewal is no loss', async (t) => {
  const { clock, server, end, candidate } = world();
  const one = candidate('one');
  await one.election.acquire(end.signal);
  server.before = hanging;
  const kept = one.election.keep(end.signal);
  await clock.advance(RENEW_MS);
  end.abort(new Error('stop'));
  await kept;
  t.strictSame(one.log.events, []);
});

t.test('of two that create it at once, one holds it and the other sees whom it has', async (t) => {
  const { clock, server, end, candidate } = world();
  const [one, two] = [candidate('one'), candidate('two')];
  const all = Promise.all([one.election.acquire(end.signal), two.election.acquire(end.signal).catch(() => 'ended')]);
  await clock.advance(RENEW_MS);
  const holders = [one, two].filter(({ election }) => election.mayAct());
  t.equal(holders.length, 1);
  t.equal(server.holder, 'one');
  t.strictSame(two.log.of('Another approver holds the Lease')[0]?.fields, { holder: 'one' });
  end.abort();
  t.strictSame(await all, ['held', 'ended']);
});

t.test('a Lease that was given up is taken at once', async (t) => {
  const { clock, server, end, candidate } = world();
  const [one, two] = [candidate('one'), candidate('two')];
  await one.election.acquire(end.signal);
  await one.election.release(end.signal);
  t.equal(server.holder, '');
  t.equal(one.election.mayAct(), false);
  const before = clock.now();
  t.equal(await two.election.acquire(end.signal), 'held');
  t.strictSame(clock.now(), before, 'no time has passed');
  await one.election.release(end.signal);
  t.equal(server.holder, 'two', 'who holds nothing gives up nothing');
});

t.test('a Lease that cannot be given up runs out by itself', async (t) => {
  const { server, end, candidate } = world();
  const one = candidate('one');
  await one.election.acquire(end.signal);
  server.before = () => {
    throw unreachable();
  };
  await one.election.release(end.signal);
  t.equal(one.election.mayAct(), false);
  t.strictSame(
    one.log.entries.map(({ level, event, fields }) => [level, event, fields]),
    [['debug', 'The Lease was not given up', { error: 'no answer' }]],
  );
});

for (const row of [
  { name: 'has no Leases', message: 'the server could not find the requested resource', gives: 'unsupported' },
  { name: 'has no such Lease yet', message: 'leases.coordination.k8s.io "x" not found', gives: 'held' },
]) {
  t.test(`a server that ${row.name}: ${row.gives}`, async (t) => {
    const { server, end, candidate } = world();
    server.before = (method) => {
      if (method === 'GET') throw new CertletError('ERR_API_NOT_FOUND', row.message, { status: 404 });
    };
    t.equal(await candidate('one').election.acquire(end.signal), row.gives);
  });
}

t.test(
  'an approver whose namespace for the Lease is not there asked for it four times a second and said nothing',
  async (t) => {
    const { clock, server, end, candidate } = world();
    server.before = (method) => {
      const what = method === 'POST' ? 'namespaces "ns"' : 'leases "x"';
      throw new CertletError('ERR_API_NOT_FOUND', `${what} not found`, { status: 404 });
    };
    const taken = candidate('one')
      .election.acquire(end.signal)
      .catch((thrown: unknown) => thrown);
    t.match(await Promise.race([taken, clock.settle()]), {
      code: 'ERR_API_NOT_FOUND',
      message: 'namespaces "ns" not found',
    });
  },
);

t.test('a Lease that has changed hands as often as an API server can count was never taken', async (t) => {
  const { server, end, candidate } = world();
  server.spec = { holderIdentity: '', leaseTransitions: 2_147_483_647 };
  t.equal(await candidate('one').election.acquire(end.signal), 'held');
  t.equal(server.spec['leaseTransitions'], 2_147_483_647, 'the field is an int32');
});

for (const row of [
  { name: 'no object', spec: 7, message: 'Lease.spec: expected an object, found number' },
  { name: 'a holder that is no text', spec: { holderIdentity: 7 }, message: 'Lease.spec.holderIdentity' },
  { name: 'a part of a transition', spec: { leaseTransitions: 0.5 }, message: 'Lease.spec.leaseTransitions' },
]) {
  t.test(`a Lease with ${row.name} is told and not taken`, async (t) => {
    const { server, end, candidate } = world();
    server.spec = row.spec as unknown as Readonly<Record<string, unknown>>;
    const error = await candidate('one')
      .election.acquire(end.signal)
      .catch((thrown: unknown) => thrown);
    t.match(error, { code: 'ERR_API_PROTOCOL' });
    t.ok((error as Error).message.startsWith(row.message.split(':')[0] ?? ''), (error as Error).message);
  });
}

t.test('who is told to stop before it begins asks nobody', async (t) => {
  const { server, end, candidate } = world();
  server.before = () => {
    t.fail('asked');
  };
  end.abort(new Error('stop'));
  await t.rejects(candidate('one').election.acquire(end.signal), new Error('stop'));
});
