import fc from 'fast-check';
import t from 'tap';
import { NODE_ADDRESS_TYPES } from '../../../src/kubelet/node-addresses.ts';
import { parseIpRange, rangeHolds } from '../../../src/pki/ip-range.ts';
import {
  allIgnored,
  ignoredFirstAddress,
  type NameSources,
  servingNamesOf,
  settleNames,
  type SettledNames,
} from '../../../src/rotation/rules/names.ts';

const DAY = 24 * 3_600_000;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);

const node = (addresses: readonly (readonly [string, string])[]) => ({
  addresses: addresses.map(([type, address]) => ({ type, address })),
  kubeletVersion: 'v1.36.2',
});
const NONE: NameSources = {
  nodeName: 'n1',
  nodeIPs: [],
  servingNames: [],
  addressTypes: NODE_ADDRESS_TYPES,
  ignoreAddresses: [],
  node: undefined,
  routeAddress: undefined,
};
for (const row of [
  { name: 'nothing known: name and route', sources: { routeAddress: '10.0.0.9' }, names: ['n1', '10.0.0.9'] },
  {
    name: 'a node IP makes the route needless',
    sources: { nodeIPs: ['10.0.0.1', 'fd00::1'], routeAddress: '10.0.0.9' },
    names: ['n1', '10.0.0.1', 'fd00::1'],
  },
  {
    name: 'an address in the settings too',
    sources: { servingNames: ['fd00::2'], routeAddress: '10.0.0.9' },
    names: ['n1', 'fd00::2'],
  },
  {
    name: 'a name in the settings does not',
    sources: { servingNames: ['web'], routeAddress: '10.0.0.9' },
    names: ['n1', 'web', '10.0.0.9'],
  },
  {
    name: 'the Node adds what it knows, each name once',
    sources: {
      nodeIPs: ['10.0.0.1'],
      node: node([
        ['Hostname', 'n1'],
        ['InternalIP', '10.0.0.1'],
        ['ExternalIP', '192.0.2.1'],
        ['ExternalDNS', 'n1.example.org'],
        ['Other', 'ignored'],
        ['InternalDNS', ''],
      ]),
      routeAddress: '10.0.0.9',
    },
    names: ['n1', '10.0.0.1', '192.0.2.1', 'n1.example.org'],
  },
  { name: 'no address at all', sources: {}, names: ['n1'] },
]) {
  t.test(`servingNamesOf: ${row.name}`, async (t) => {
    t.strictSame(servingNamesOf({ ...NONE, ...row.sources }), row.names);
  });
}

const ranges = (...texts: readonly string[]) =>
  texts.map((text) => {
    const range = parseIpRange(text);
    if (range === undefined) throw new Error(`${text} is no range`);
    return range;
  });
const VIP_NODE = node([
  ['Hostname', 'n1'],
  ['InternalIP', '192.0.2.100'],
  ['InternalIP', '10.0.0.1'],
  ['InternalIP', 'FD00:0:0::7'],
  ['ExternalIP', '198.51.100.1'],
]);
for (const row of [
  {
    name: 'a VIP among the addresses of the Node is asked for',
    sources: { node: VIP_NODE },
    names: ['n1', '192.0.2.100', '10.0.0.1', 'fd00::7', '198.51.100.1'],
    first: undefined,
    all: [],
  },
  {
    name: 'but not where the settings ignore it',
    sources: { node: VIP_NODE, ignoreAddresses: ranges('192.0.2.100') },
    names: ['n1', '10.0.0.1', 'fd00::7', '198.51.100.1'],
    first: '192.0.2.100',
    all: [],
  },
  {
    name: 'a range of IPv6 in another spelling',
    sources: { node: VIP_NODE, ignoreAddresses: ranges('fd00:0000::/16', '192.0.2.0/24') },
    names: ['n1', '10.0.0.1', '198.51.100.1'],
    first: '192.0.2.100',
    all: [],
  },
  {
    name: 'addresses of one type alone',
    sources: { node: VIP_NODE, addressTypes: ['ExternalIP'] as const },
    names: ['n1', '198.51.100.1'],
    first: '192.0.2.100',
    all: [],
  },
  {
    name: 'no address by its type: the route stands in',
    sources: { node: VIP_NODE, addressTypes: ['Hostname'] as const, routeAddress: '10.0.0.9' },
    names: ['n1', '10.0.0.9'],
    first: '192.0.2.100',
    all: [],
  },
  {
    name: 'a route that is ignored does not',
    sources: { routeAddress: '192.0.2.100', ignoreAddresses: ranges('192.0.2.0/24') },
    names: ['n1'],
    first: undefined,
    all: ['192.0.2.100'],
  },
  {
    name: 'every address of the Node ignored',
    sources: { node: VIP_NODE, ignoreAddresses: ranges('0.0.0.0/0', 'fd00::/8'), routeAddress: '10.0.0.9' },
    names: ['n1'],
    first: '192.0.2.100',
    all: ['192.0.2.100', '10.0.0.1', 'fd00::7', '198.51.100.1', '10.0.0.9'],
  },
  {
    name: 'unless the settings give one, which is never ignored',
    sources: { node: VIP_NODE, nodeIPs: ['203.0.113.5'], ignoreAddresses: ranges('0.0.0.0/0', 'fd00::/8') },
    names: ['n1', '203.0.113.5'],
    first: '192.0.2.100',
    all: [],
  },
  {
    name: 'one address in two spellings is one address',
    sources: {
      nodeIPs: ['FD00::0:7'],
      servingNames: ['fd00:0:0:0:0:0:0:7', '::ffff:10.0.0.1'],
      node: node([
        ['InternalIP', 'fd00::7'],
        ['InternalIP', '10.0.0.1'],
      ]),
    },
    names: ['n1', 'fd00::7', '10.0.0.1'],
    first: undefined,
    all: [],
  },
]) {
  t.test(`names by the rules of the settings: ${row.name}`, async (t) => {
    const sources = { ...NONE, ...row.sources };
    t.strictSame(servingNamesOf(sources), row.names);
    t.equal(ignoredFirstAddress(sources), row.first);
    t.strictSame(allIgnored(sources), row.all);
  });
}

t.test('no address that is ignored is ever asked for, and none that is not is lost', async () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  const type = fc.constantFrom(...NODE_ADDRESS_TYPES);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(type, address), { maxLength: 8 }),
      fc.array(fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })), { maxLength: 3 }),
      (addresses, cidrs) => {
        const ignoreAddresses = cidrs.flatMap(([ip, bits]) => parseIpRange(`${ip}/${String(bits)}`) ?? []);
        const names = servingNamesOf({ ...NONE, node: node(addresses), ignoreAddresses });
        const isIgnored = (text: string): boolean => ignoreAddresses.some((range) => rangeHolds(range, text));
        const lost = addresses.filter(([, text]) => !isIgnored(text)).length > 0 && names.length < 2;
        return !names.some(isIgnored) && !lost && new Set(names).size === names.length;
      },
    ),
  );
});

t.test('settleNames: a gain counts after it has stayed, a loss at once', async (t) => {
  const first = settleNames(undefined, ['a'], NOW, 10_000);
  t.strictSame(first, { names: ['a'] });
  const seen = settleNames(first, ['a', 'b'], NOW, 10_000);
  t.strictSame(seen.names, ['a']);
  t.strictSame(settleNames(seen, ['a', 'b'], at(9_999), 10_000).names, ['a']);
  t.strictSame(settleNames(seen, ['b', 'a'], at(10_000), 10_000), { names: ['b', 'a'] });
  t.strictSame(settleNames({ names: ['a', 'b'] }, ['a'], NOW, 10_000), { names: ['a'] });
});

t.test('settleNames: a clock set back begins the debounce anew', async (t) => {
  const seen = settleNames({ names: ['a'] }, ['a', 'b'], at(DAY), 10_000);
  const again = settleNames(seen, ['a', 'b'], NOW, 10_000);
  t.strictSame(again.candidate?.since, NOW);
  t.strictSame(settleNames(again, ['a', 'b'], at(10_000), 10_000).names, ['a', 'b']);
});

t.test('settleNames: an address that flaps faster than the debounce never counts', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9_999 }), { maxLength: 50 }), (pauses) => {
      let settled: SettledNames = { names: ['a'] };
      let nowMs = 0;
      let up = false;
      for (const pause of pauses) {
        up = !up;
        settled = settleNames(settled, up ? ['a', 'b'] : ['a'], at(nowMs), 10_000);
        nowMs += pause;
        if (settled.names.includes('b')) return false;
      }
      return true;
    }),
  );
});
