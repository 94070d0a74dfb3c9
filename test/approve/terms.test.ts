/** One term after another: failures before it, the loss of the Lease in it, and the end. */
import t from 'tap';
import { ROLES_REMEDY } from '../../src/approve/complaint.ts';
import { RENEW_MS } from '../../src/approve/lease.ts';
import { serveTerms, type TermParts } from '../../src/approve/terms.ts';
import { CertletError } from '../../src/errors.ts';
import { fixedChance } from '../fixtures/fakes/chance.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { Candidate, LeaseServer, unreachable } from './lease-server.ts';
import { Troubles } from '../../src/trouble.ts';

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve())));

function office(
  over: Partial<TermParts> = {},
  before: LeaseServer['before'] = () => undefined,
  clock = new FakeClock(),
) {
  const [server, end] = [new LeaseServer(), new AbortController()];
  const candidate = new Candidate(server, 'one', clock);
  server.before = before;
  const told: unknown[] = [];
  const parts: TermParts = {
    troubles: new Troubles(),
    election: candidate.election,
    times: candidate.times,
    chance: fixedChance(0.5),
    log: candidate.log,
    serve: async (mayAct, signal) => {
      told.push(['serves', mayAct()]);
      await aborted(signal);
    },
    becameLeader: (isLeader) => told.push(['leader', isLeader]),
    failed: (code) => told.push(['failed', code]),
    ...over,
  };
  return { clock, server, end, candidate, told, done: serveTerms(parts, end.signal) };
}

t.test('an approver that is alone acts at once, and has no Lease to give up', async (t) => {
  const { clock, server, end, told, done } = office({ election: undefined });
  await clock.settle();
  t.strictSame(told, [
    ['leader', true],
    ['serves', true],
  ]);
  end.abort();
  await done;
  t.equal(server.spec, undefined);
});

t.test('a cluster without Leases: it acts, and warns of a second one', async (t) => {
  const { clock, end, candidate, told, done } = office({}, () => {
    throw new CertletError('ERR_API_NOT_FOUND', 'the server could not find the requested resource', { status: 404 });
  });
  await clock.settle();
  end.abort();
  await done;
  t.strictSame(told, [
    ['leader', true],
    ['serves', true],
    ['leader', false],
  ]);
  t.strictSame(
    candidate.log.entries.map(({ level, event }) => [level, event]),
    [['warn', 'This cluster has no Leases (before 1.14): run one approver and no more']],
  );
});

t.test('at the end the Lease is given up, after the work under it has ended', async (t) => {
  const { clock, server, end, told, done } = office();
  await clock.settle();
  t.equal(server.holder, 'one');
  end.abort();
  await done;
  t.equal(server.holder, '');
  t.strictSame(told, [
    ['leader', true],
    ['serves', true],
    ['leader', false],
  ]);
});

t.test('a Lease that another has taken ends the term; the next one begins when that one gives it up', async (t) => {
  const { clock, server, end, told, done } = office();
  await clock.settle();
  const { spec } = server;
  await server.request(
    'PUT',
    '',
    { metadata: { resourceVersion: '1' }, spec: { ...spec, holderIdentity: 'two' } },
    end.signal,
  );
  await clock.advance(RENEW_MS);
  t.strictSame(told.splice(0), [
    ['leader', true],
    ['serves', true],
    ['leader', false],
  ]);
  await server.request(
    'PUT',
    '',
    { metadata: { resourceVersion: '2' }, spec: { ...spec, holderIdentity: '' } },
    end.signal,
  );
  await clock.advance(RENEW_MS);
  t.strictSame(told, [
    ['leader', true],
    ['serves', true],
  ]);
  end.abort();
  await done;
});

t.test('a server that cannot be reached is asked again, and each failure is told with its code', async (t) => {
  const faults = [
    unreachable(),
    unreachable({ retryAfterMs: 60_000 }),
    new CertletError('ERR_API_FORBIDDEN', 'no', { remedy: '# Bind it.' }),
  ];
  const asked: number[] = [];
  const clock = new FakeClock();
  const { server, end, candidate, told, done } = office(
    {},
    (method) => {
      if (method !== 'GET') return;
      asked.push(clock.now().getTime());
      const fault = faults.shift();
      if (fault !== undefined) throw fault;
    },
    clock,
  );
  await clock.advanceUntil(() => server.holder === 'one', 600_000);
  await clock.settle();
  t.strictSame(told.slice(0, 3), [
    ['failed', 'ERR_API_UNREACHABLE'],
    ['failed', 'ERR_API_UNREACHABLE'],
    ['failed', 'ERR_API_FORBIDDEN'],
  ]);
  const [first = 0, second = 0, third = 0, fourth = 0] = asked;
  t.equal(third - second, 60_000, 'as long as the server asked for');
  t.ok(fourth - third > second - first, 'longer after each failure');
  // A role for the one right would be for all Leases, and not for all that it lacks.
  t.strictSame(candidate.log.of('Cannot begin to approve')[2], {
    level: 'warn',
    event: 'Cannot begin to approve',
    fields: { code: 'ERR_API_FORBIDDEN', error: 'no', remedy: ROLES_REMEDY },
  });
  end.abort();
  await done;
});

for (const { name, over } of [
  { name: 'one that is alone', over: { election: undefined } },
  { name: 'one that holds the Lease', over: {} },
]) {
  t.test(
    `a server that cannot be reached was asked once a second, and its approver called a leader: ${name}`,
    async (t) => {
      const clock = new FakeClock();
      const asked: number[] = [];
      const serve: TermParts['serve'] = async (_mayAct, signal, began) => {
        asked.push(clock.now().getTime());
        if (asked.length !== 5) throw unreachable();
        began();
        await aborted(signal);
      };
      const { end, told, done } = office({ ...over, serve }, undefined, clock);
      await clock.advanceUntil(() => asked.length === 5, 60_000);
      const pauses = asked.slice(1).map((ms, index) => ms - (asked[index] ?? 0));
      t.strictSame(pauses, [750, 1500, 3000, 6000]);
      t.strictSame(told.slice(0, 4), [
        ['leader', true],
        ['leader', false],
        ['failed', 'ERR_API_UNREACHABLE'],
        ['leader', true],
      ]);
      end.abort();
      await done;
      t.strictSame(told.at(-1), ['leader', false], 'nor is it one when it has ended');
    },
  );
}

t.test('a mistake of the program is thrown and not tried again', async (t) => {
  const { done, told, server } = office({ serve: async () => Promise.reject(new TypeError('x is not a function')) });
  await t.rejects(done, { code: 'ERR_INTERNAL', message: 'unexpected: x is not a function' });
  t.strictSame(told.at(-1), ['leader', false], 'no more a leader');
  t.equal(server.holder, 'one', 'what is left of the Lease runs out');
});

t.test('what fails because it is told to stop is no failure', async (t) => {
  const { clock, end, candidate, told, done } = office({
    serve: async (_mayAct, signal) => {
      await aborted(signal);
      throw unreachable();
    },
  });
  await clock.settle();
  end.abort();
  await done;
  t.strictSame(told, [
    ['leader', true],
    ['leader', false],
  ]);
  t.strictSame(candidate.log.of('Cannot begin to approve'), []);
});

t.test('a server that takes forever to take the Lease back does not hold up the end', async (t) => {
  const { clock, server, end, candidate, done } = office();
  await clock.settle();
  server.before = (_method, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
  end.abort();
  await clock.advance(3_000);
  await done;
  t.equal(candidate.log.of('The Lease was not given up').length, 1);
});
