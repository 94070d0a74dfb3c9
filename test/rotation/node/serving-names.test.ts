import t, { type Test } from 'tap';
import type { NodeFacts } from '../../../src/ports.ts';
import { parseIpRange } from '../../../src/pki/ip-range.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}): FakeHost {
  const host = new FakeHost(options);
  t.teardown(() => host.stop());
  return host;
}

const node = (...addresses: readonly string[]): NodeFacts => ({
  addresses: addresses.map((address) => ({ type: 'InternalIP', address })),
  kubeletVersion: 'v1.36.2',
});
const tainted = (...addresses: readonly string[]): NodeFacts => ({ ...node(...addresses), uninitialized: true });

/** Lets the node be read with these addresses, and what follows come to rest. */
async function becomes(host: FakeHost, addresses: readonly string[], forMs: number): Promise<void> {
  host.api.node = node(...addresses);
  await host.clock.advance(forMs);
}

t.test('two VIPs that change places every half hour lead to one request a day each, restarts or not', async (t) => {
  const host = newHost(t);
  host.api.node = node('10.0.0.7', '192.0.2.1');
  await host.bootstrap();
  const before = host.count('create');
  const places = [
    ['10.0.0.7', '192.0.2.2'],
    ['10.0.0.7', '192.0.2.1'],
  ];
  for (let round = 0; round < 47; round += 1) {
    await becomes(host, places[round % 2] ?? [], 30 * MINUTE);
    if (round % 7 === 6) await host.restart(MINUTE);
  }
  t.equal(host.count('create') - before, 2, 'each came once and was asked for once within the day');
  const { phase, reason } = host.manager('serving');
  t.equal(phase, 'valid', 'nothing is wrong with the certificate');
  t.match(reason, /^valid; 192\.0\.2\.\d came back within a day of the last request for it, and is asked for after /);
  t.equal(host.isUpToDate, true);
  await becomes(host, ['10.0.0.7', '192.0.2.1', '192.0.2.2'], DAY);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '192.0.2.1', '192.0.2.2'], 'what stays is asked for');
  t.equal(host.count('create') - before, 3);
});

t.test('an address that comes and goes beside a short-lived certificate is asked for with the renewals', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = HOUR;
  host.api.node = node('10.0.0.7');
  await host.bootstrap();
  const since = host.api.calls.length;
  for (let round = 0; round < 48; round += 1) {
    await becomes(host, round % 2 === 0 ? ['10.0.0.7', '192.0.2.1'] : ['10.0.0.7'], 30 * MINUTE);
  }
  const gained = host.log.of('Rotating certificates').filter(({ fields }) => {
    const reasons = fields['reasons'] as readonly string[];
    return fields['purpose'] === 'serving' && !reasons.includes('rotation deadline reached');
  });
  t.ok(
    gained.length <= 2,
    `${String(gained.length)} requests for the address alone: the first one, and the first serving one`,
  );
  t.ok(host.count('create', since) > 40, 'and the renewals of an hour went on');
});

t.test('an address that is denied, goes and comes back is not asked for again within the day', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const before = host.count('create');
  host.api.approveServing = 'deny';
  for (let round = 0; round < 24; round += 1) {
    await becomes(host, round % 2 === 0 ? ['10.0.0.7', '192.0.2.1'] : ['10.0.0.7'], 30 * MINUTE);
  }
  t.equal(host.count('create') - before, 1);
});

t.test(
  'without a certificate a denied node asks once with the address and once without it, then at the pace of refusals',
  async (t) => {
    const host = newHost(t);
    host.api.approveServing = 'deny';
    host.api.node = node('10.0.0.7', '192.0.2.1');
    host.start();
    await host.clock.advance(11 * MINUTE);
    const before = host.count('create');
    for (let round = 0; round < 48; round += 1) {
      await becomes(host, round % 2 === 0 ? ['10.0.0.7'] : ['10.0.0.7', '192.0.2.1'], 15 * MINUTE);
    }
    const asked = host.count('create') - before;
    t.ok(asked >= 1 && asked <= 6, `${String(asked)} requests in twelve hours; one for each change would be 48`);
  },
);

t.test('an administrator gets an address that comes and goes at once', async (t) => {
  const host = newHost(t);
  host.api.node = node('10.0.0.7', '192.0.2.1');
  await host.bootstrap();
  await becomes(host, ['10.0.0.7', '192.0.2.2'], HOUR);
  await becomes(host, ['10.0.0.7', '192.0.2.1'], HOUR);
  await becomes(host, ['10.0.0.7', '192.0.2.2'], HOUR);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '192.0.2.1'], 'held back');
  await host.agent?.renew(['serving']);
  await host.clock.advance(MINUTE);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '192.0.2.2']);
});

t.test('a pending request is superseded once a day for an address that comes and goes', async (t) => {
  const host = newHost(t);
  host.api.approveServing = 'manual';
  host.api.node = node('10.0.0.7', '192.0.2.1');
  host.start();
  await host.clock.advance(MINUTE);
  const before = host.count('create');
  for (let round = 0; round < 40; round += 1) {
    await becomes(host, ['10.0.0.7', round % 2 === 0 ? '192.0.2.2' : '192.0.2.1'], 30 * MINUTE);
  }
  t.equal(host.count('create') - before, 2);
});

t.test('a node with more names than maxNames asks for nothing, and names them', async (t) => {
  const host = newHost(t, { maxNames: 3 });
  await host.bootstrap();
  const before = host.count('create');
  await becomes(host, ['10.0.0.7', '10.0.0.8', '10.0.0.9'], HOUR);
  t.equal(host.count('create'), before);
  const { phase, reason, command, lastError } = host.manager('serving');
  t.equal(phase, 'held');
  t.equal(reason, 'the serving certificate would have 4 names, and maxNames is 3: n1, 10.0.0.7, 10.0.0.8, 10.0.0.9');
  t.match(command, /^# Raise maxNames in the settings, .* {3}# then systemctl reload certlet$/);
  t.equal(lastError?.code, 'ERR_NAMES');
  t.equal(host.log.of('The names of this node are not what the settings allow; asking for nothing').length, 1);
  await host.agent?.renew(['serving']);
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), before, 'nor does a wish leave one out');
  await becomes(host, ['10.0.0.7', '10.0.0.8'], HOUR);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '10.0.0.8'], 'once they are few enough it goes on');
  t.equal(host.manager('serving').lastError, undefined);
  t.equal(host.isUpToDate, true);
});

t.test('a request that is pending goes on beside too many names, over a restart, and is taken', async (t) => {
  const host = newHost(t, { maxNames: 3 });
  host.api.approveServing = 'manual';
  host.start();
  await host.clock.advance(MINUTE);
  const [name = ''] = host.api.pendingNames;
  await becomes(host, ['10.0.0.7', '10.0.0.8', '10.0.0.9'], HOUR);
  await host.restart(MINUTE);
  await host.clock.advance(11 * MINUTE);
  host.api.approveRequest(name);
  await host.clock.advance(MINUTE);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7']);
  t.equal(host.manager('serving').phase, 'held');
});

t.test('a node whose every address is ignored asks for nothing, and says so', async (t) => {
  const ignoreAddresses = ['10.0.0.0/8'].flatMap((text) => parseIpRange(text) ?? []);
  const host = newHost(t, { nodeIPs: [], ignoreAddresses });
  host.api.node = node('10.0.0.7');
  host.start();
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 1, 'the client certificate');
  const { phase, reason, command } = host.manager('serving');
  t.equal(phase, 'held');
  t.equal(reason, 'ignoreAddresses holds every address of this node: 10.0.0.7');
  t.equal(command, '# Narrow ignoreAddresses in the settings, or set nodeIP.   # then systemctl reload certlet');
  await becomes(host, ['10.0.0.7', '192.0.2.7'], HOUR);
  t.strictSame(host.leaf('serving').ipAddresses, ['192.0.2.7']);
});

t.test('a Node that waits for its cloud provider gets one serving request, with all its addresses', async (t) => {
  const host = newHost(t, { nodeIPs: [] });
  host.api.node = tainted();
  host.start();
  await host.clock.advance(3 * MINUTE);
  t.equal(host.count('create'), 1, 'the client certificate alone');
  const { phase, reason } = host.manager('serving');
  t.equal(phase, 'waiting for the cloud provider');
  t.match(reason, /taint node\.cloudprovider\.kubernetes\.io\/uninitialized/);
  t.equal(host.manager('serving').placeholder, true, 'a kubelet can start by the placeholder');
  host.api.node = node('10.0.0.7', '198.51.100.1');
  await host.clock.advance(15_000);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '198.51.100.1'], 'within seconds');
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 2);
  t.equal(host.log.of('Waiting for the cloud provider before the first request').length, 1);
});

t.test('a kubelet with --cloud-provider=external: nothing is asked before there is a Node', async (t) => {
  const host = newHost(t, { nodeIPs: [], externalCloud: true });
  host.api.node = undefined;
  host.start();
  await host.clock.advance(2 * MINUTE);
  t.equal(host.manager('serving').phase, 'waiting for the cloud provider');
  host.api.node = tainted('10.0.0.7');
  await host.clock.advance(MINUTE);
  host.api.node = node();
  await host.clock.advance(MINUTE);
  t.match(host.manager('serving').reason, /has not written the addresses/, 'the taint goes before the addresses come');
  t.equal(host.count('create'), 1);
  host.api.node = node('10.0.0.7', '198.51.100.1');
  await host.clock.advance(15_000);
  t.equal(host.count('create'), 2);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '198.51.100.1']);
});

t.test('a cloud provider that never comes holds up the first request for ten minutes, restarts or not', async (t) => {
  const host = newHost(t, { nodeIPs: [] });
  host.api.node = tainted();
  host.start();
  for (let count = 0; count < 3; count += 1) {
    await host.clock.advance(2 * MINUTE);
    await host.restart(30_000);
  }
  t.equal(host.count('create'), 1);
  await host.clock.advance(2 * MINUTE);
  t.equal(host.count('create'), 1);
  await host.clock.advance(2 * MINUTE);
  t.equal(host.count('create'), 2, 'ten minutes after the first look');
  t.equal(host.log.of('The cloud provider did not come; asking with the names that are known').length, 1);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7'], 'the address that routes to the API server');
});

t.test('renewals, and what an administrator asks for, wait for no cloud provider', async (t) => {
  const host = newHost(t, { nodeIPs: [] });
  host.api.node = tainted();
  host.start();
  await host.clock.advance(MINUTE);
  await host.agent?.renew(['serving']);
  await host.clock.advance(MINUTE);
  t.equal(host.count('create'), 2);
  await host.clock.advance(HOUR);
  await host.agent?.renew(['serving']);
  await host.clock.advance(MINUTE);
  t.equal(host.count('create'), 3);
});

t.test('a Node that may not be read is not waited for', async (t) => {
  const host = newHost(t, { externalCloud: true });
  host.api.fault = ({ what }) => (what === 'node' ? apiFault('ERR_API_FORBIDDEN', 'no') : undefined);
  await host.bootstrap();
  t.equal(host.count('create'), 2);
});
