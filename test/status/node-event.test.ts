import t from 'tap';
import type { AgentEvent } from '../../src/ports.ts';
import { EventCorrelator, type NodeEvent, nodeEventOf } from '../../src/status/node-event.ts';

const START = Date.parse('2026-11-21T04:11:00Z');
const MINUTE = 60_000;

const agentEvent = (kind: AgentEvent['kind'], text: string): AgentEvent => ({
  kind,
  purpose: 'client',
  at: new Date(START),
  text,
});

for (const { kind, text, event } of [
  {
    kind: 'rotated',
    text: 'client certificate 1f is current',
    event: { type: 'Normal', reason: 'CertificateRotated', message: 'client certificate 1f is current' },
  },
  {
    kind: 'waiting',
    text: 'node-csr-x waits',
    event: { type: 'Warning', reason: 'CertificateRequestWaiting', message: 'client certificate: node-csr-x waits' },
  },
  {
    kind: 'denied',
    text: 'the client request is denied',
    event: { type: 'Warning', reason: 'CertificateRequestDenied', message: 'the client request is denied' },
  },
  {
    kind: 'denied',
    text: 'denied, message: 2 rules:\nno such host\nno such name\n',
    event: {
      type: 'Warning',
      reason: 'CertificateRequestDenied',
      message: 'client certificate: denied, message: 2 rules: no such host; no such name',
    },
  },
  {
    kind: 'failed',
    text: 'the client request failed',
    event: { type: 'Warning', reason: 'CertificateRequestFailed', message: 'the client request failed' },
  },
  {
    kind: 'restartPlanned',
    text: 'the kubelet is restarted for its client certificate at 02:00',
    event: {
      type: 'Normal',
      reason: 'KubeletRestartPlanned',
      message: 'the kubelet is restarted for its client certificate at 02:00',
    },
  },
  {
    kind: 'notServed',
    text: 'the kubelet serves another client certificate',
    event: {
      type: 'Warning',
      reason: 'CertificateNotServed',
      message: 'the kubelet serves another client certificate',
    },
  },
] as const) {
  t.test(`nodeEventOf: ${kind}`, async (t) => {
    t.strictSame(nodeEventOf(agentEvent(kind, text)), { ...event, at: new Date(START) });
  });
}

t.test('nodeEventOf: errors that certlet gets over by itself are none', async (t) => {
  t.equal(nodeEventOf(agentEvent('error', 'no route')), undefined);
});

t.test('nodeEventOf: messages have at most 1024 characters and no secret', async (t) => {
  t.equal(nodeEventOf(agentEvent('denied', `client ${'x'.repeat(2000)}`))?.message.length, 1024);
  t.equal(nodeEventOf(agentEvent('denied', 'client abcdef.0123456789abcdef'))?.message, 'client abcdef.[secret]');
});

const denied = (message: string, minutes = 0): NodeEvent => ({
  type: 'Warning',
  reason: 'CertificateRequestDenied',
  message,
  at: new Date(START + minutes * MINUTE),
});

t.test('a first event is a new object on the node, as the kubelet refers to it', async (t) => {
  const call = new EventCorrelator('n1').next(denied('no'));
  t.equal(call?.patch, undefined);
  t.match(call?.name, /^n1\.[0-9a-f]{16}$/);
  t.strictSame(call?.object, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: call?.name, namespace: 'default' },
    involvedObject: { kind: 'Node', name: 'n1', uid: 'n1' },
    type: 'Warning',
    reason: 'CertificateRequestDenied',
    message: 'no',
    source: { component: 'certlet', host: 'n1' },
    firstTimestamp: '2026-11-21T04:11:00.000Z',
    lastTimestamp: '2026-11-21T04:11:00.000Z',
    count: 1,
    reportingComponent: 'certlet',
    reportingInstance: 'n1',
  });
});

t.test('the same again is a count on that object', async (t) => {
  const correlator = new EventCorrelator('n1');
  const first = correlator.next(denied('no'));
  const other = correlator.next(denied('other'));
  const again = correlator.next(denied('no', 7));
  t.not(other?.name, first?.name);
  t.equal(again?.name, first?.name);
  t.strictSame(again?.patch, { count: 2, message: 'no', lastTimestamp: '2026-11-21T04:18:00.000Z' });
  t.match(again?.object, {
    count: 2,
    firstTimestamp: '2026-11-21T04:11:00.000Z',
    lastTimestamp: '2026-11-21T04:18:00.000Z',
  });
});

t.test('more than ten different messages within ten minutes are told as one', async (t) => {
  const correlator = new EventCorrelator('n1');
  const calls = Array.from({ length: 13 }, (_, index) => correlator.next(denied(`no ${String(index)}`)));
  t.equal(new Set(calls.map((call) => call?.name)).size, 11);
  t.match(calls[10]?.object, { message: '(combined from similar events): no 10', count: 1 });
  t.strictSame(calls[12]?.patch, {
    count: 3,
    message: '(combined from similar events): no 12',
    lastTimestamp: '2026-11-21T04:11:00.000Z',
  });
  t.match(
    correlator.next(denied('no 3'))?.patch,
    { message: 'no 3', count: 2 },
    'a known message keeps its own object',
  );
  t.equal(correlator.next(denied('much later', 30))?.patch, undefined, 'after the window they are told apart again');
});

t.test('after 25 events one more comes through every five minutes', async (t) => {
  const correlator = new EventCorrelator('n1');
  const sent = Array.from({ length: 30 }, () => correlator.next(denied('no'))).filter((call) => call !== undefined);
  t.equal(sent.length, 25);
  t.equal(correlator.next(denied('no', 4.9)), undefined);
  t.ok(correlator.next(denied('no', 5)));
  t.equal(correlator.next(denied('no', 5)), undefined);
  t.equal(correlator.next(denied('no', 1)), undefined, 'a clock set back refills nothing');
});

t.test('what is remembered has a bound', async (t) => {
  const correlator = new EventCorrelator('n1');
  const first = correlator.next(denied('first'));
  for (let index = 1; index <= 300; index += 1) correlator.next(denied(`no ${String(index)}`, index * 20));
  const again = correlator.next(denied('first', 7000));
  t.equal(again?.patch, undefined, 'forgotten, so a new object');
  t.not(again?.name, first?.name);
});

t.test('names stay within 253 characters', async (t) => {
  const call = new EventCorrelator(`${'a'.repeat(235)}.${'b'.repeat(17)}`).next(denied('no'));
  t.match(call?.name, /^a{235}\.[0-9a-f]{16}$/);
});
