import t from 'tap';
import { CertletError, type ErrorCode } from '../src/errors.ts';
import { NodeEvents } from '../src/node-events.ts';
import type { AgentEvent, ApiConnection, LogFields } from '../src/ports.ts';

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** A connection of which only `request` is of interest. */
class FakeConnection {
  readonly sent: Sent[] = [];
  /** Thrown by the next requests, in this order; undefined lets one through. */
  readonly faults: (ErrorCode | undefined)[] = [];

  async request(method: string, path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    this.sent.push({ method, path, body });
    const code = this.faults.shift();
    if (code !== undefined) throw new CertletError(code, `fault ${code}`);
    return {};
  }
}

interface Setting {
  readonly api: FakeConnection;
  readonly events: NodeEvents;
  readonly logged: (LogFields | undefined)[];
  connected: boolean;
}

function setting(): Setting {
  const api = new FakeConnection();
  const logged: (LogFields | undefined)[] = [];
  const s: Setting = {
    api,
    logged,
    connected: true,
    events: new NodeEvents({
      nodeName: 'n1',
      log: { log: (_level, _event, fields) => void logged.push(fields) },
      connection: () => (s.connected ? (api as unknown as ApiConnection) : undefined),
    }),
  };
  return s;
}

const event = (text: string, kind: AgentEvent['kind'] = 'denied'): AgentEvent => ({
  kind,
  purpose: 'client',
  at: new Date('2026-11-21T04:11:00Z'),
  text,
});

const EVENTS = '/api/v1/namespaces/default/events';

t.test('a new event is created, the same again patches its count', async (t) => {
  const s = setting();
  s.events.observe(event('client no'));
  s.events.observe(event('client no'));
  s.events.observe(event('no route', 'error'));
  await s.events.settled();
  t.match(s.api.sent, [
    { method: 'POST', path: EVENTS, body: { reason: 'CertificateRequestDenied', count: 1 } },
    { method: 'PATCH', path: /^\/api\/v1\/namespaces\/default\/events\/n1\.[0-9a-f]{16}$/, body: { count: 2 } },
  ]);
  t.equal(s.api.sent.length, 2);
});

t.test('an event that the server has forgotten is created anew', async (t) => {
  const s = setting();
  s.api.faults.push(undefined, 'ERR_API_NOT_FOUND');
  s.events.observe(event('client no'));
  s.events.observe(event('client no'));
  await s.events.settled();
  t.match(s.api.sent, [{ method: 'POST' }, { method: 'PATCH' }, { method: 'POST', body: { count: 2 } }]);
  t.strictSame(s.logged, []);
});

t.test('without a connection it waits for the next flush', async (t) => {
  const s = setting();
  s.connected = false;
  s.events.observe(event('client no'));
  await s.events.settled();
  t.strictSame(s.api.sent, []);
  s.connected = true;
  s.events.flush();
  await s.events.settled();
  t.equal(s.api.sent.length, 1);
  s.events.flush();
  await s.events.settled();
  t.equal(s.api.sent.length, 1);
});

t.test('a failure that passes is tried again at each flush, told once, and given up after twelve tries', async (t) => {
  const s = setting();
  for (let index = 0; index < 12; index += 1) s.api.faults.push('ERR_API_UNREACHABLE');
  s.events.observe(event('client no'));
  for (let index = 0; index < 20; index += 1) {
    await s.events.settled();
    s.events.flush();
  }
  t.equal(s.api.sent.length, 12);
  t.match(s.logged, [{ code: 'ERR_API_UNREACHABLE', error: 'fault ERR_API_UNREACHABLE' }]);
  t.equal(s.logged.length, 1);
});

t.test('a refusal is told and not tried again; the next event goes out', async (t) => {
  const s = setting();
  s.api.faults.push('ERR_API_FORBIDDEN');
  s.events.observe(event('client one'));
  s.events.observe(event('client two'));
  await s.events.settled();
  t.match(s.api.sent, [{ body: { message: 'client one' } }, { body: { message: 'client two' } }]);
  t.match(s.logged, [{ code: 'ERR_API_FORBIDDEN' }]);
  s.api.faults.push('ERR_API_FORBIDDEN');
  s.events.observe(event('client three'));
  await s.events.settled();
  t.equal(s.logged.length, 2, 'after one went through the next failure is news');
});

t.test('what waits has a bound: the eldest go', async (t) => {
  const s = setting();
  s.connected = false;
  for (let index = 0; index < 40; index += 1) s.events.observe(event(`client ${String(index)}`));
  s.connected = true;
  s.events.flush();
  await s.events.settled();
  t.match(s.api.sent[0]?.body, { message: 'client 8' });
});

t.test('events beyond the limit are dropped and hold nothing up', async (t) => {
  const s = setting();
  for (let index = 0; index < 30; index += 1) s.events.observe(event('client no'));
  await s.events.settled();
  t.equal(s.api.sent.length, 25);
});

t.test('closing ends the sending and says nothing', async (t) => {
  const s = setting();
  s.connected = false;
  s.events.observe(event('client no'));
  s.connected = true;
  s.events.flush();
  await s.events.close();
  s.events.observe(event('client too late'));
  await s.events.settled();
  t.ok(s.api.sent.length <= 1);
  t.strictSame(s.logged, []);
});
