/** What an approver keeps between looks: Nodes, pending requests and the approvals of the last hour. */
import fc from 'fast-check';
import t from 'tap';
import { ApprovalCounts } from '../../src/approve/counts.ts';
import { decodeNodeEntry } from '../../src/approve/node-object.ts';
import { type NodeEntry, NodeIndex } from '../../src/approve/nodes.ts';
import { type Pending, PendingRequests } from '../../src/approve/pending.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/approve/settings.ts';

const entry = (name: string, over: Partial<NodeEntry> = {}): NodeEntry => ({
  name,
  names: [name],
  addresses: [],
  isBeingDeleted: false,
  isWithheld: false,
  isControlPlane: false,
  ...over,
});

for (const row of [
  { name: 'another address', over: { addresses: ['192.0.2.9'] } },
  { name: 'another name', over: { names: ['n1', 'n1.example'] } },
  { name: 'its deletion', over: { isBeingDeleted: true } },
  { name: 'the label of a control plane', over: { isControlPlane: true } },
  { name: 'the label that withholds', over: { isWithheld: true, isControlPlane: false } },
]) {
  t.test(`${row.name} of a Node is news once`, async (t) => {
    const nodes = new NodeIndex();
    t.equal(nodes.put(entry('n1')), true, 'a new Node');
    t.equal(nodes.put(entry('n1')), false, 'the same again');
    t.equal(nodes.put(entry('n1', row.over)), true);
    t.equal(nodes.put(entry('n1', row.over)), false);
    t.strictSame(nodes.get('n1'), entry('n1', row.over));
    t.equal(nodes.size, 1);
  });
}

t.test('an address that three Nodes claim is that of those which are left', async (t) => {
  const nodes = new NodeIndex();
  const shared = { addresses: ['192.0.2.1'] };
  for (const name of ['n1', 'n2', 'n3']) nodes.put(entry(name, shared));
  t.strictSame(nodes.othersWith('192.0.2.1', 'n1'), ['n2', 'n3']);
  t.strictSame(nodes.othersWith('192.0.2.1', 'n9'), ['n1', 'n2', 'n3']);
  t.equal(nodes.remove('n2'), true);
  t.strictSame(nodes.othersWith('192.0.2.1', 'n1'), ['n3']);
  t.equal(nodes.remove('n3'), true);
  t.strictSame(nodes.othersWith('192.0.2.1', 'n1'), []);
  t.strictSame(nodes.othersWith('192.0.2.1', 'n9'), ['n1']);
  nodes.put(entry('n1'));
  t.strictSame(nodes.othersWith('192.0.2.1', 'n9'), [], 'an address that a Node no more has');
  t.equal(nodes.remove('n2'), false, 'there is none');
});

t.test('after a list, Nodes that it does not name are forgotten with their addresses', async (t) => {
  const nodes = new NodeIndex();
  for (const name of ['n1', 'n2', 'n3']) nodes.put(entry(name, { addresses: [`192.0.2.${name.slice(1)}`] }));
  nodes.keepOnly(new Set(['n2', 'n9']));
  t.equal(nodes.size, 1);
  t.strictSame(nodes.othersWith('192.0.2.1', 'n9'), []);
  t.strictSame(nodes.othersWith('192.0.2.2', 'n9'), ['n2']);
});

t.test('whatever comes and goes, the owners of an address are those whose Nodes have it', async (t) => {
  const step = fc.record({
    name: fc.constantFrom('n1', 'n2', 'n3', 'n4'),
    texts: fc.option(fc.subarray(['a', 'b', 'c', 'n1', 'n2'])),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const [nodes, model] = [new NodeIndex(), new Map<string, readonly string[]>()];
      for (const { name, texts } of steps) {
        if (texts === null) t.equal(nodes.remove(name), model.delete(name));
        else nodes.put(entry(name, { names: [name, ...texts] }));
        if (texts !== null) model.set(name, [name, ...texts]);
      }
      for (const text of ['a', 'b', 'c', 'n1', 'n2', 'n3', 'n4']) {
        const owners = [...model]
          .filter(([name, texts]) => name !== 'n1' && texts.includes(text))
          .map(([name]) => name);
        if (nodes.othersWith(text, 'n1').toSorted().join() !== owners.toSorted().join()) return false;
      }
      return nodes.size === model.size;
    }),
  );
});

const nodeObject = (parts: Readonly<Record<string, unknown>>) => ({ metadata: { name: 'n1' }, ...parts });

for (const row of [
  { name: 'without a status', object: nodeObject({}), gives: {} },
  { name: 'with a status of null', object: nodeObject({ status: null }), gives: {} },
  { name: 'with addresses of null', object: nodeObject({ status: { addresses: null } }), gives: {} },
  {
    name: 'with an address as its Hostname',
    object: nodeObject({ status: { addresses: [{ type: 'Hostname', address: '192.0.2.1' }] } }),
    gives: { addresses: ['192.0.2.1'] },
  },
  {
    name: 'with the same names and addresses in other spellings',
    object: nodeObject({
      status: { addresses: ['N1', 'n1.Example', '2001:DB8::0:1', '2001:db8::1'].map((address) => ({ address })) },
    }),
    gives: { names: ['n1', 'n1.example'], addresses: ['2001:db8::1'] },
  },
  {
    name: 'with an empty address',
    object: nodeObject({ status: { addresses: [{ address: '' }] } }),
    gives: { names: ['n1', ''] },
  },
  {
    name: 'that is being deleted',
    object: { metadata: { name: 'n1', deletionTimestamp: '2030-01-01T00:00:00Z' } },
    gives: { isBeingDeleted: true },
  },
  {
    name: 'with the label that withholds, whatever its value',
    object: { metadata: { name: 'n1', labels: { hold: '' } } },
    gives: { isWithheld: true, isControlPlane: false },
  },
  ...['control-plane', 'master', 'controlplane'].map((role) => ({
    name: `with the label of a control plane, ${role}`,
    object: { metadata: { name: 'n1', labels: { [`node-role.kubernetes.io/${role}`]: '' } } },
    gives: { isControlPlane: true },
  })),
  { name: 'with other labels', object: { metadata: { name: 'n1', labels: { holds: 'x' } } }, gives: {} },
  { name: 'with labels of null', object: { metadata: { name: 'n1', labels: null } }, gives: {} },
]) {
  t.test(`a Node ${row.name}`, async (t) => {
    t.strictSame(decodeNodeEntry(row.object, 'hold'), entry('n1', row.gives));
  });
}

for (const [object, message] of [
  [undefined, 'Node: expected an object, found nothing'],
  [[], 'Node: expected an object, found a list'],
  [{}, 'Node.metadata: expected an object, found nothing'],
  [{ metadata: { name: '' } }, 'Node.metadata.name: empty'],
  [{ metadata: { name: 7 } }, 'Node.metadata.name: expected text, found a number'],
  [nodeObject({ status: [] }), 'Node.status: expected an object, found a list'],
  [nodeObject({ status: { addresses: {} } }), 'Node.status.addresses: expected a list, found an object'],
  [nodeObject({ status: { addresses: [{}] } }), 'Node.status.addresses[0].address: expected text, found nothing'],
  [{ metadata: { name: 'n1', labels: 'x' } }, 'Node.metadata.labels: expected an object, found text'],
] as const) {
  t.test(`what is no Node: ${message}`, async (t) => {
    t.throws(() => decodeNodeEntry(object, 'hold'), { code: 'ERR_API_PROTOCOL', message });
  });
}

const HOUR_MS = 3_600_000;
const at = (ms: number): Date => new Date(Date.UTC(2030, 0, 1) + ms);

for (const row of [
  { name: 'just now', approvedMs: 0, count: 1 },
  { name: 'a millisecond less than an hour ago', approvedMs: 1 - HOUR_MS, count: 1 },
  { name: 'an hour ago', approvedMs: -HOUR_MS, count: 0 },
  { name: 'in the future by this clock', approvedMs: 10 * HOUR_MS, count: 1 },
]) {
  t.test(`an approval of ${row.name} counts ${String(row.count)}`, async (t) => {
    const counts = new ApprovalCounts(10);
    counts.note('n1', 'u1', at(row.approvedMs));
    counts.note('n1', 'u1', at(row.approvedMs));
    t.equal(counts.of('n1', at(0)), row.count, 'once by its UID');
    t.equal(counts.of('n2', at(0)), 0, 'and for its own node');
    counts.sweep(at(0));
    t.equal(counts.of('n1', at(0)), row.count, 'sweeping forgets what does not count and nothing else');
    t.equal(counts.of('n1', at(-HOUR_MS / 2)), row.approvedMs < 1 - HOUR_MS ? 0 : 1, 'and that for good');
  });
}

t.test('of more approvals than are told apart the latest ones are kept', async (t) => {
  const counts = new ApprovalCounts(3);
  for (const minutes of [5, 50, 20, 10, 40]) counts.note('n1', `u${String(minutes)}`, at(-minutes * 60_000));
  t.equal(counts.of('n1', at(0)), 3);
  t.equal(counts.of('n1', at(39 * 60_000)), 3, 'those of 5, 10 and 20 minutes ago');
  t.equal(counts.of('n1', at(45 * 60_000)), 2);
});

t.test('a sweep forgets some approvals of one node and all of another', async (t) => {
  const counts = new ApprovalCounts(10);
  counts.note('n1', 'old', at(-2 * HOUR_MS));
  counts.note('n1', 'new', at(-1));
  counts.note('n2', 'old', at(-2 * HOUR_MS));
  counts.sweep(at(0));
  t.strictSame(
    ['n1', 'n2'].map((name) => counts.of(name, at(-2 * HOUR_MS))),
    [1, 0],
  );
});

const pending = (name: string, over: Partial<Pending> = {}): Pending => ({
  name,
  uid: `uid-${name}`,
  createdAt: at(0),
  signerName: SERVING_SIGNER,
  nodeName: undefined,
  ...over,
});

function drained(requests: PendingRequests): readonly string[] {
  const names: string[] = [];
  for (let next = requests.next(); next !== undefined; next = requests.next()) names.push(next.name);
  return names;
}

t.test('requests are due in order of arrival, those of one second by name, each once', async (t) => {
  const requests = new PendingRequests();
  requests.add(pending('b'));
  requests.add(pending('late', { createdAt: at(2_000) }));
  requests.add(pending('a'));
  requests.add(pending('early', { createdAt: at(-1_000) }));
  t.equal(requests.next()?.name, 'early');
  requests.add(pending('early', { createdAt: at(-1_000) }));
  requests.add(pending('first', { createdAt: at(-2_000) }));
  t.strictSame(drained(requests), ['first', 'a', 'b', 'late'], 'one that comes in between takes its place');
  t.strictSame(drained(requests), []);
  t.equal(requests.size, 5, 'all are known still');
});

t.test('what is seen again is judged again only where that is asked for', async (t) => {
  const requests = new PendingRequests();
  requests.add(pending('a'));
  drained(requests);
  requests.add(pending('a'));
  t.strictSame(drained(requests), []);
  requests.add(pending('a'), 'again');
  requests.add(pending('a'), 'again');
  t.strictSame(drained(requests), ['a']);
});

t.test(
  'thousands of bad requests that a list made due again kept good ones waiting that came after them',
  async (t) => {
    const requests = new PendingRequests();
    const bad = ['bad-1', 'bad-2', 'bad-3'].map((name) => pending(name, { createdAt: at(-5_000) }));
    for (const request of bad) requests.add(request);
    drained(requests);
    for (const { uid } of bad) requests.isNews(uid, 'others-names: …');
    for (const request of bad) requests.add(request, 'again');
    requests.add(pending('good-2', { createdAt: at(2_000) }));
    requests.add(pending('good-1', { createdAt: at(1_000) }));
    t.strictSame(drained(requests), ['good-1', 'good-2', 'bad-1', 'bad-2', 'bad-3']);
  },
);

t.test('a request that was decided meanwhile is not due, also when the order was made before', async (t) => {
  const requests = new PendingRequests();
  for (const name of ['a', 'b', 'c']) requests.add(pending(name));
  t.equal(requests.next()?.name, 'a');
  requests.remove('uid-b');
  t.strictSame(drained(requests), ['c']);
  requests.remove('uid-b');
  t.equal(requests.size, 2);
});

t.test('a change of a Node makes due what waits for it and nothing else', async (t) => {
  const requests = new PendingRequests();
  for (const [name, nodeName] of [
    ['a', 'n1'],
    ['b', 'n2'],
    ['c', undefined],
  ] as const)
    requests.add(pending(name, { nodeName }));
  drained(requests);
  requests.nodeChanged('n1');
  t.strictSame(drained(requests), ['a']);
  requests.isAbout('uid-c', 'n1');
  requests.isAbout('uid-gone', 'n1');
  requests.nodeChanged('n1');
  t.strictSame(drained(requests), ['a', 'c']);
  requests.isAbout('uid-a', undefined);
  requests.nodeChanged('n1');
  t.strictSame(drained(requests), ['c']);
  t.equal(requests.size, 3, 'what is not known does not become so');
});

t.test('a list of one signer forgets nothing of another', async (t) => {
  const requests = new PendingRequests();
  requests.add(pending('serving'));
  requests.add(pending('gone'));
  requests.add(pending('client', { signerName: CLIENT_SIGNER }));
  requests.keepOnly(SERVING_SIGNER, new Set(['uid-serving']));
  t.strictSame(drained(requests), ['client', 'serving']);
});

t.test('a reason is news when it is another than the last one, of a request that is known', async (t) => {
  const requests = new PendingRequests();
  requests.add(pending('a'));
  const news = (uid: string, text: string): boolean => requests.isNews(uid, text);
  t.strictSame(
    [news('uid-a', 'x'), news('uid-a', 'x'), news('uid-a', 'y'), news('uid-a', 'x')],
    [true, false, true, true],
  );
  t.equal(news('uid-b', 'x'), false);
  requests.isAbout('uid-a', 'n1');
  t.equal(news('uid-a', 'x'), false, 'what is learned of it leaves what was told');
});
