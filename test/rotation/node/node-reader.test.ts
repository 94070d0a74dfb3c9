import t, { type Test } from 'tap';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}, now?: string): FakeHost {
  const host = new FakeHost(options, now);
  t.teardown(() => host.stop());
  return host;
}

const node = (...addresses: readonly string[]) => ({
  addresses: addresses.map((address) => ({ type: 'InternalIP', address })),
  kubeletVersion: 'v1.20.2',
});

t.test('an address that the node gains leads to a new serving certificate after the debounce', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.api.node = node('10.0.0.8');
  await host.clock.advance(9 * MINUTE);
  t.equal(host.count('create'), 2, 'not within ten minutes of the last');
  await host.clock.advance(2 * MINUTE);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '10.0.0.8']);
  t.equal(host.count('create'), 3);
  t.equal(host.last?.kubeletVersion, 'v1.20.2');
  host.api.node = node();
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 3, 'a loss costs nothing');
});

t.test('an address that comes and goes costs nothing', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  let reads = 0;
  const { called } = host.api;
  host.api.called = async (what, cluster, credential, signal) => {
    if (what === 'node') host.api.node = (reads += 1) % 2 === 0 ? node() : node('10.0.0.8');
    await called.call(host.api, what, cluster, credential, signal);
  };
  await host.clock.advance(DAY);
  t.ok(reads > 100);
  t.equal(host.count('create'), 2);
});

t.test('a pending serving request that lacks an address is superseded, named, with the spacing kept', async (t) => {
  const host = newHost(t);
  host.api.approveServing = 'manual';
  host.start();
  await host.clock.advance(MINUTE);
  const [old = ''] = host.api.pendingNames;
  host.api.node = node('10.0.0.8');
  await host.clock.advance(10 * MINUTE);
  t.equal(host.count('create'), 3);
  const [line] = host.log.of('Superseding the pending certificate signing request');
  const reason = `certificate signing request ${String(old)} is missing requested IP addresses [10.0.0.8]; it is left to the cleaner`;
  t.equal(line?.fields['reason'], reason);
  await host.clock.advance(DAY);
  t.equal(host.count('create'), 3);
  const fresh = host.api.pendingNames.find((name) => name !== old) ?? '';
  host.api.approveRequest(fresh);
  await host.clock.settle();
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '10.0.0.8']);
});

t.test('an approved serving request is not superseded', async (t) => {
  const host = newHost(t);
  host.api.approveServing = 'manual';
  host.start();
  await host.clock.advance(MINUTE);
  const [name = ''] = host.api.pendingNames;
  host.api.sign = false;
  host.api.approveRequest(name);
  host.api.node = node('10.0.0.8');
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 2);
  host.api.sign = true;
  host.api.issue(name);
  host.api.approveServing = 'automatic';
  await host.clock.advance(11 * MINUTE);
  t.equal(host.isUpToDate, true);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7', '10.0.0.8'], 'then the address is asked for');
});

t.test('a multi-homed node does not ask anew after a restart, before it has read its Node', async (t) => {
  const host = newHost(t, { nodeIPs: [] });
  host.route = '172.16.0.1';
  host.api.node = node('10.0.0.7');
  await host.bootstrap();
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7']);
  for (let count = 0; count < 5; count += 1) await host.restart(2 * MINUTE);
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 2);
});

t.test('a pending serving request of a multi-homed node survives a restart', async (t) => {
  const host = newHost(t, { nodeIPs: [] });
  host.route = '172.16.0.1';
  host.api.node = node('10.0.0.7');
  host.api.approveServing = 'manual';
  host.start();
  await host.clock.advance(MINUTE);
  for (let count = 0; count < 5; count += 1) await host.restart(5 * MINUTE);
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 2);
});

t.test('a Node that cannot be read in time is done without', async (t) => {
  const host = newHost(t);
  const { called } = host.api;
  host.api.called = async (what, cluster, credential, signal) => {
    if (what === 'node')
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    await called.call(host.api, what, cluster, credential, signal);
  };
  await host.bootstrap();
  t.equal(host.log.of('Could not read the Node')[0]?.fields['error'], 'no answer in time');
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7']);
});

t.test('without serving there is one certificate', async (t) => {
  const host = newHost(t, { serving: false });
  await host.bootstrap();
  t.equal(host.count('create'), 1);
  t.equal(host.last?.managers.length, 1);
  await host.clock.advance(HOUR);
  t.equal(host.isUpToDate, true);
});
