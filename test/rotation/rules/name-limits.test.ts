import t from 'tap';
import type { NodeFacts } from '../../../src/ports.ts';
import { awaitedCloud, CLOUD_WAIT_MS, cloudWaitUntil } from '../../../src/rotation/rules/cloud-wait.ts';
import { nameLimit } from '../../../src/rotation/rules/name-limits.ts';

const many = Array.from({ length: 30 }, (_, index) => `10.0.0.${String(index)}`);
for (const row of [
  { name: 'no limit', ipAddresses: many, maxNames: undefined, allIgnored: [], want: undefined },
  { name: 'as many as allowed', ipAddresses: ['10.0.0.1'], maxNames: 2, allIgnored: [], want: undefined },
  {
    name: 'one more',
    ipAddresses: ['10.0.0.1', '10.0.0.2'],
    maxNames: 2,
    allIgnored: [],
    want: 'the serving certificate would have 3 names, and maxNames is 2: n1, 10.0.0.1, 10.0.0.2',
  },
  {
    name: 'many more than a message holds',
    ipAddresses: many,
    maxNames: 2,
    allIgnored: [],
    want: `the serving certificate would have 31 names, and maxNames is 2: n1, ${many.slice(0, 19).join(', ')} and 11 more`,
  },
  {
    name: 'every address ignored',
    ipAddresses: [],
    maxNames: 2,
    allIgnored: ['10.0.0.1', 'fd00::1'],
    want: 'ignoreAddresses holds every address of this node: 10.0.0.1, fd00::1',
  },
]) {
  t.test(`names that are not asked for: ${row.name}`, async (t) => {
    const { ipAddresses, maxNames, allIgnored, want } = row;
    const limit = nameLimit({ purpose: 'serving', dnsNames: ['n1'], ipAddresses }, { maxNames, allIgnored });
    t.equal(limit?.message, want);
    t.equal(limit?.code, want && 'ERR_NAMES');
    t.equal(limit?.remedy === undefined, want === undefined);
  });
}

const node = (types: readonly string[], more: Partial<NodeFacts> = {}): NodeFacts => ({
  addresses: types.map((type) => ({ type, address: 'x' })),
  kubeletVersion: '',
  ...more,
});
const TAINT = { uninitialized: true } as const;
for (const row of [
  { name: 'nobody has looked', question: { external: true, looked: false, node: undefined }, want: undefined },
  { name: 'no Node', question: { external: false, looked: true, node: undefined }, want: undefined },
  { name: 'no Node, external', question: { external: true, looked: true, node: undefined }, want: /no Node yet/ },
  { name: 'the taint', question: { external: false, looked: true, node: node(['InternalIP'], TAINT) }, want: /taint/ },
  { name: 'no address', question: { external: false, looked: true, node: node(['Hostname']) }, want: undefined },
  {
    name: 'no address, external',
    question: { external: true, looked: true, node: node(['Hostname', 'InternalDNS']) },
    want: /has not written/,
  },
  { name: 'an address', question: { external: true, looked: true, node: node(['ExternalIP']) }, want: undefined },
]) {
  t.test(`what a first request waits for: ${row.name}`, async (t) => {
    const reason = awaitedCloud(row.question);
    if (row.want === undefined) t.equal(reason, undefined);
    else t.match(reason, row.want);
  });
}

t.test('the wait is over after ten minutes, and where the clock was set back before it', async (t) => {
  const since = new Date('2030-06-01T00:00:00Z');
  const after = (ms: number): Date => new Date(since.getTime() + ms);
  t.strictSame(cloudWaitUntil(since, since), after(CLOUD_WAIT_MS));
  t.strictSame(cloudWaitUntil(since, after(CLOUD_WAIT_MS - 1)), after(CLOUD_WAIT_MS));
  t.equal(cloudWaitUntil(since, after(CLOUD_WAIT_MS)), undefined);
  t.equal(cloudWaitUntil(since, after(-1)), undefined);
});
