import t from 'tap';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { kubeletSpecs, proxySpec } from '../fixtures/specs.ts';

t.test('a node with a token gets both certificates at once, with seven requests', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  const started = host.clock.now();
  await host.bootstrap();
  t.strictSame(host.clock.now(), started, 'no time passed');
  t.strictSame(host.callsSince(0), [
    'discover as bootstrap',
    'create as bootstrap',
    'watch as bootstrap',
    'review as node',
    'node as node',
    'create as node',
    'watch as node',
  ]);
  t.equal(host.leaf('client').commonName, 'system:node:n1');
  t.strictSame(host.leaf('serving').dnsNames, ['n1']);
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7']);
  t.equal(host.kubeconfigs.writes, 1);
  t.strictSame(
    host.rotations.map(({ purpose }) => purpose),
    ['client', 'serving'],
  );
});

t.test('a self-signed serving pair is there before anything is asked', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.approve = 'manual';
  host.start();
  await host.clock.settle();
  t.equal(host.manager('serving').placeholder, true);
  t.strictSame(host.leaf('serving').dnsNames, ['n1']);
  t.equal(host.manager('serving').phase, 'waiting for the client certificate');
  t.equal(host.manager('client').phase, 'waiting for approval');
  t.match(host.manager('client').command, /^kubectl certificate approve node-csr-/);
});

t.test('ten days of rotation: few requests, each in its window, at most one wake-up a minute', async (t) => {
  const host = new FakeHost({ nodeRefreshMs: HOUR });
  t.teardown(() => host.stop());
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  const since = host.api.calls.length;
  const wakes = host.clock.wakes;
  await host.clock.advance(10 * DAY);
  const creates = host.count('create', since);
  // A successor comes after 70 to 90 % of the lifetime.
  t.ok(creates >= 2 * 10 && creates <= 2 * 15, `${String(creates)} requests`);
  t.equal(host.count('watch', since), creates);
  t.equal(host.count('review', since), creates / 2);
  t.ok(host.clock.wakes - wakes <= 10 * 24 * 60 * 1.01, `${String(host.clock.wakes - wakes)} wake-ups`);
  t.equal(host.isUpToDate, true);
  t.strictSame(host.store.shelves.client.pairs.length, 3, 'old pairs are pruned');
  t.equal(host.log.entries.filter(({ level }) => level !== 'info' && level !== 'debug').length, 0, 'no complaint');
});

t.test('a restart asks nothing new: a proof and the Node, spread over the first minute', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.restart(HOUR);
  t.strictSame(host.callsSince(7), []);
  await host.clock.advance(MINUTE);
  t.strictSame([...host.callsSince(7)].sort(), ['node as node', 'review as node']);
  const deadline = host.manager('client').rotationDeadline;
  await host.restart(HOUR);
  t.strictSame(host.manager('client').rotationDeadline, deadline, 'the deadline is not rolled again');
});

t.test('renew asks at once, whatever the spacing, once', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  await host.bootstrap();
  const { serial } = host.leaf('serving');
  const client = host.leaf('client').serial;
  await host.agent?.renew(['serving']);
  await host.clock.settle();
  t.not(host.leaf('serving').serial, serial);
  t.equal(host.leaf('client').serial, client);
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 3);
});

t.test('a renewal that fails is still wanted when the server is back', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  await host.bootstrap();
  const { serial } = host.leaf('client');
  const { fault } = host.api;
  const { apiFault } = await import('../fixtures/fakes/api.ts');
  host.api.fault = () => apiFault('ERR_API_UNREACHABLE', 'down');
  await host.agent?.renew(['client']);
  await host.clock.advance(10 * MINUTE);
  t.ok(host.api.calls.length < 7 + 40, 'no hot loop');
  host.api.fault = fault;
  await host.clock.advance(10 * MINUTE);
  t.not(host.leaf('client').serial, serial);
});

t.test('a link that somebody swapped by hand was noticed after minutes, but for the client one', async (t) => {
  const host = new FakeHost({ specs: [...kubeletSpecs(), proxySpec()] });
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.clock.advance(MINUTE);
  for (const purpose of ['client', 'serving', 'kube-proxy']) {
    const link = host.store.currentPath(purpose);
    t.ok(host.agent?.watchedFiles.includes(link), purpose);
    const { serial } = host.leaf(purpose);
    await host.agent?.renew([purpose]);
    await host.until(() => host.isUpToDate && host.leaf(purpose).serial !== serial, MINUTE);
    const { pairs } = host.store.shelves[purpose] ?? { pairs: [] };
    for (const pair of pairs)
      Object.assign(pair, { origin: pair.pair.chain.leaf.serial === serial ? 'current' : 'timestamped' });
    host.agent?.filesChanged([link]);
    await host.clock.settle();
    t.equal(host.leaf(purpose).serial, serial, purpose);
  }
});

t.test('the swap of a link by certlet itself is followed by no second round over the disk', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.clock.advance(MINUTE);
  const looks = (): number => host.store.calls.filter((call) => call.startsWith('inspect')).length;
  for (const purpose of ['client', 'serving']) {
    const { serial } = host.leaf(purpose);
    await host.agent?.renew([purpose]);
    await host.until(() => host.isUpToDate && host.leaf(purpose).serial !== serial, MINUTE);
    const before = looks();
    host.agent?.filesChanged([host.store.currentPath(purpose)]);
    await host.clock.settle();
    t.equal(looks(), before, purpose);
  }
  const before = looks();
  host.agent?.filesChanged([host.store.currentPath('client'), host.kubeconfigs.node.path]);
  await host.clock.settle();
  t.equal(looks(), before + 2, 'what changed besides has its round');
});
