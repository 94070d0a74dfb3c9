/** Events about signing requests on Nodes: what they say, how often, and that nothing depends on them. */
import t from 'tap';
import { NodeTeller } from '../../src/approver-events.ts';
import type { Judgement } from '../../src/approve/judge.ts';
import { CertletError } from '../../src/errors.ts';
import { FakeClusterApi } from '../fixtures/fakes/cluster-api.ts';
import { FakeLogger } from '../fixtures/fakes/logger.ts';
import { NOW, requestOf } from './requests.ts';

const MINUTE_MS = 60_000;
const at = (ms: number): Date => new Date(NOW.getTime() + ms);

function judged(
  nodeName: string | undefined,
  verdict: 'refuse' | 'wait' = 'refuse',
  metadata: Readonly<Record<string, unknown>> = {},
): Judgement {
  return {
    request: requestOf({ metadata }),
    policy: { kind: 'serving', nodeName, entry: undefined },
    decision: { verdict, passed: [], failures: [] },
  };
}

function world(isOn = true, answer: () => unknown = () => ({})) {
  const api = new FakeClusterApi(answer);
  const log = new FakeLogger();
  return { api, log, teller: new NodeTeller(api, isOn, log) };
}

for (const { verdict, says } of [
  { verdict: 'refuse', says: 'signing request csr-1 was not approved: own-names: no' },
  { verdict: 'wait', says: 'signing request csr-1 was left pending: own-names: no' },
] as const) {
  t.test(`an Event of a request to ${verdict} is as the API server and kubectl describe want it`, async (t) => {
    const { api, teller } = world();
    teller.tell(judged('n1', verdict, { uid: '0123456789abcdef' }), 'own-names: no', at(123));
    t.strictSame(api.asked, [
      {
        method: 'POST',
        path: '/api/v1/namespaces/default/events',
        body: {
          apiVersion: 'v1',
          kind: 'Event',
          metadata: { name: `n1.01234567${at(123).getTime().toString(16)}`, namespace: 'default' },
          involvedObject: { kind: 'Node', name: 'n1', uid: 'n1' },
          reason: 'CertificateRequestNotApproved',
          message: says,
          type: 'Warning',
          source: { component: 'certlet-approver' },
          firstTimestamp: '2030-01-01T12:00:00Z',
          lastTimestamp: '2030-01-01T12:00:00Z',
          count: 1,
        },
      },
    ]);
  });
}

for (const { name, isOn, node } of [
  { name: 'events: false', isOn: false, node: 'n1' },
  { name: 'a request of which nobody knows the node', isOn: true, node: undefined },
]) {
  t.test(`${name} makes none`, async (t) => {
    const { api, teller } = world(isOn);
    teller.tell(judged(node), 'no', NOW);
    t.strictSame(api.asked, []);
  });
}

t.test('a node is told of once in five minutes, and the others all the same', async (t) => {
  const { api, teller } = world();
  for (const [node, ms, told] of [
    ['n1', 0, 1],
    ['n1', 1, 1],
    ['n2', 1, 2],
    ['n1', 5 * MINUTE_MS - 1, 2],
    ['n1', 5 * MINUTE_MS, 3],
    ['n2', 5 * MINUTE_MS, 3],
    ['n2', 5 * MINUTE_MS + 1, 4],
    ['n1', 10 * MINUTE_MS - 1, 4],
  ] as const) {
    teller.tell(judged(node), 'no', at(ms));
    t.equal(api.asked.length, told, `${node} after ${String(ms)} ms`);
  }
});

t.test('a clock that was set back kept a node from being told of until it came round', async (t) => {
  const { api, teller } = world();
  teller.tell(judged('n1'), 'no', at(24 * 60 * MINUTE_MS));
  teller.tell(judged('n1'), 'no', at(0));
  t.equal(api.asked.length, 2);
});

const PREFIX = 'signing request csr-1 was not approved: '.length;

for (const { length, ends } of [
  { length: 1024 - PREFIX, ends: 'xx' },
  { length: 1025 - PREFIX, ends: 'x…' },
  { length: 100_000, ends: 'x…' },
]) {
  t.test(`a text of ${String(length)} is told in at most 1024`, async (t) => {
    const { api, teller } = world();
    teller.tell(judged('n1'), 'x'.repeat(length), NOW);
    const [asked] = api.asked;
    const { message } = (asked?.body ?? { message: '' }) as { message: string };
    t.equal(message.length, 1024);
    t.equal(message.slice(-2), ends);
  });
}

for (const { thrown, error } of [
  { thrown: new CertletError('ERR_API_FORBIDDEN', 'events is forbidden'), error: 'events is forbidden' },
  { thrown: new TypeError('x is not a function'), error: 'unexpected: x is not a function' },
]) {
  t.test(`an Event that meets ${thrown.message} is a line at debug and nothing more`, async (t) => {
    const { log, teller } = world(true, () => {
      throw thrown;
    });
    teller.tell(judged('n1'), 'no', NOW);
    await new Promise(setImmediate);
    t.strictSame(log.entries, [{ level: 'debug', event: 'An Event was not recorded', fields: { error } }]);
  });
}
