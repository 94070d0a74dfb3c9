import fc from 'fast-check';
import t from 'tap';
import { CertletError } from '../../../src/errors.ts';
import {
  afterLook,
  endpointServers,
  faultOf,
  lookAt,
  moveTo,
  type ServerFacts,
  serverInUse,
  serverList,
  serversToTry,
} from '../../../src/rotation/rules/servers.ts';

const MINUTE = 60_000;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (minutes: number): Date => new Date(NOW.getTime() + minutes * MINUTE);
const [A, B, C] = ['https://a:6443', 'https://b:6443', 'https://c:6443'];
const DOWN = new CertletError('ERR_API_UNREACHABLE', 'connect ECONNREFUSED');

const facts = (server: string, parts: Partial<ServerFacts> = {}): ServerFacts => ({
  server,
  state: 'unknown',
  since: NOW,
  seenAt: NOW,
  times: 0,
  ...parts,
});
const paused = (server: string, minutes: number): ServerFacts =>
  facts(server, { state: 'down', pause: { setAt: at(-1), at: at(minutes) } });

for (const row of [
  { name: 'the one in use, then the list', servers: [facts(A), facts(B), facts(C)], inUse: B, order: [B, A, C] },
  { name: 'without those in a pause', servers: [facts(A), paused(B, 5), facts(C)], inUse: A, order: [A, C] },
  { name: 'a pause that is over', servers: [facts(A), paused(B, 0)], inUse: A, order: [A, B] },
  {
    name: 'all others in a pause: the one whose ends first',
    servers: [facts(A), paused(B, 5), paused(C, 2)],
    inUse: A,
    order: [A, C],
  },
  { name: 'the one in use is asked in its pause, too', servers: [paused(A, 5), facts(B)], inUse: A, order: [A, B] },
  { name: 'one alone', servers: [facts(A)], inUse: A, order: [A] },
]) {
  t.test(`serversToTry: ${row.name}`, async (t) => t.strictSame(serversToTry(row.servers, row.inUse, NOW), row.order));
}

t.test('serversToTry: never nobody, never one twice, the one in use first', async () => {
  const server = fc.record({ name: fc.constantFrom(B, C, 'https://d:1'), pause: fc.integer({ min: -5, max: 5 }) });
  fc.assert(
    fc.property(fc.uniqueArray(server, { selector: ({ name }) => name }), (others) => {
      const order = serversToTry([facts(A), ...others.map(({ name, pause }) => paused(name, pause))], A, NOW);
      return order[0] === A && new Set(order).size === order.length && (others.length === 0 || order.length > 1);
    }),
  );
});

t.test('faultOf: no answer and 5xx move, TLS is told apart, all else is an answer', async (t) => {
  t.equal(faultOf({ code: 'ERR_API_UNREACHABLE' }), 'down');
  t.equal(faultOf({ code: 'ERR_API_SERVER' }), 'down');
  for (const code of ['ERR_API_TLS', 'ERR_API_TLS_DATES', 'ERR_API_TLS_NO_NAMES'] as const)
    t.equal(faultOf({ code }), 'untrusted');
  for (const code of ['ERR_API_UNAUTHORIZED', 'ERR_API_THROTTLED', 'ERR_API_PROTOCOL', 'ERR_API_CONFLICT'] as const)
    t.equal(faultOf({ code }), 'none');
});

t.test('serverInUse: the one that answered last, as long as it is in the list', async (t) => {
  t.equal(serverInUse(A, [B], undefined), A);
  t.equal(serverInUse(A, [B], B), B);
  t.equal(serverInUse(A, [B], C), A);
});

t.test('serverList: each once, by where it leads', async (t) => {
  t.strictSame(serverList('https://a', ['https://A:443/', B, B]), ['https://a', B]);
});

t.test('afterLook: pauses double up to ten minutes, never longer, never shorter than three quarters', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.double({ min: 0, max: 0.99, noNaN: true }), (looks, roll) => {
      let known = facts(A);
      for (let look = 0; look < looks; look += 1)
        known = afterLook(known, { state: 'down', error: DOWN }, { now: at(look), roll });
      const pauseMs = (known.pause?.at.getTime() ?? 0) - at(looks - 1).getTime();
      const longest = Math.min(10, 2 ** (looks - 1)) * MINUTE;
      return pauseMs <= longest && pauseMs >= longest * 0.75 && known.since.getTime() === NOW.getTime();
    }),
  );
});

t.test('afterLook: another state begins anew, an answer ends the pause', async (t) => {
  const down = afterLook(facts(A), { state: 'down', error: DOWN }, { now: at(0), roll: 0 });
  const up = afterLook(down, { state: 'up' }, { now: at(5), roll: 0 });
  t.has(up, { state: 'up', since: at(5), times: 1 });
  t.equal(up.pause, undefined);
  const back = afterLook(down, { state: 'down', error: DOWN }, { now: at(-60), roll: 0 });
  t.strictSame(back.since, at(-60), 'a clock that was set back');
});

const dead = (minutes: number, times = 5): ServerFacts =>
  facts(A, { state: 'down', since: NOW, seenAt: at(minutes), times });
const good = facts(B, { state: 'up' });
for (const row of [
  { name: 'long enough', own: dead(10), inUse: good, last: undefined, to: B },
  { name: 'not yet', own: dead(9), inUse: good, last: undefined, to: undefined },
  { name: 'seen only twice: the host slept', own: dead(600, 2), inUse: good, last: undefined, to: undefined },
  {
    name: 'the other one is down as well',
    own: dead(10),
    inUse: facts(B, { state: 'down' }),
    last: undefined,
    to: undefined,
  },
  { name: 'the other one was never asked', own: dead(10), inUse: facts(B), last: undefined, to: undefined },
  { name: 'its own is in use', own: dead(10), inUse: dead(10), last: undefined, to: undefined },
  {
    name: 'not trusted is not away',
    own: { ...dead(10), state: 'untrusted' as const },
    inUse: good,
    last: undefined,
    to: undefined,
  },
  { name: 'moved within the hour', own: dead(10), inUse: good, last: at(-49), to: undefined },
  { name: 'moved an hour ago', own: dead(10), inUse: good, last: at(-50), to: B },
  { name: 'moved in the future, by a clock that was ahead', own: dead(10), inUse: good, last: at(500), to: B },
  { name: 'nothing is known', own: undefined, inUse: good, last: undefined, to: undefined },
]) {
  t.test(`moveTo: ${row.name}`, async (t) => {
    const last = row.last && { at: row.last, from: C, to: A };
    t.equal(moveTo(row.own, row.inUse, { now: at(10), afterMs: 10 * MINUTE, last }), row.to);
  });
}

t.test('lookAt: at the moment that decides about a move, where the pause would go beyond it', async (t) => {
  const down = facts(A, { state: 'down', pause: { setAt: at(7), at: at(15) } });
  t.strictSame(lookAt(down, undefined), at(15));
  t.strictSame(lookAt(down, 10 * MINUTE), at(10));
  t.strictSame(lookAt({ ...down, pause: { setAt: at(10), at: at(20) } }, 10 * MINUTE), at(20));
  t.equal(lookAt(facts(A), 10 * MINUTE), undefined);
});

for (const row of [
  {
    name: 'both families, the port named https',
    body: {
      subsets: [
        {
          addresses: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }],
          ports: [
            { name: 'metrics', port: 1 },
            { name: 'https', port: 6443 },
          ],
        },
      ],
    },
    servers: ['https://10.0.0.1:6443', 'https://[fd00::1]:6443'],
  },
  {
    name: 'one twice',
    body: { subsets: [{ addresses: [{ ip: '1.1.1.1' }, { ip: '1.1.1.1' }], ports: [{ port: 1 }] }] },
    servers: ['https://1.1.1.1:1'],
  },
  {
    name: 'nothing ready',
    body: { subsets: [{ notReadyAddresses: [{ ip: '1.1.1.1' }], ports: [{ port: 1 }] }] },
    servers: [],
  },
  { name: 'no port', body: { subsets: [{ addresses: [{ ip: '1.1.1.1' }] }] }, servers: [] },
  {
    name: 'no address',
    body: { subsets: [{ addresses: [{ ip: 'a b' }, { ip: 7 }], ports: [{ port: 1 }] }] },
    servers: [],
  },
  { name: 'something else', body: 'x', servers: [] },
  {
    name: 'names and paths in place of addresses were dialled',
    body: {
      subsets: [
        { addresses: [{ ip: 'evil.example' }, { ip: '1.2.3.4/..' }, { ip: 'u@1.1.1.1' }], ports: [{ port: 1 }] },
      ],
    },
    servers: [],
  },
  {
    name: 'one address in two spellings counted as two servers',
    body: { subsets: [{ addresses: [{ ip: 'fd00::1' }, { ip: 'FD00:0:0::1' }], ports: [{ port: 1 }] }] },
    servers: ['https://[fd00::1]:1'],
  },
]) {
  t.test(`endpointServers: ${row.name}`, async (t) => t.strictSame(endpointServers(row.body), row.servers));
}
