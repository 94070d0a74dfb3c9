import fc from 'fast-check';
import t from 'tap';
import { servingNamesOf, settleNames, type SettledNames } from '../../../src/rotation/rules/names.ts';

const DAY = 24 * 3_600_000;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);

const node = (addresses: readonly (readonly [string, string])[]) => ({
  addresses: addresses.map(([type, address]) => ({ type, address })),
  kubeletVersion: 'v1.36.2',
});
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
    const none = { nodeName: 'n1', nodeIPs: [], servingNames: [], node: undefined, routeAddress: undefined };
    t.strictSame(servingNamesOf({ ...none, ...row.sources }), row.names);
  });
}

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
