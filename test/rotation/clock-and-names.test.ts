import t, { type Test } from 'tap';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { apiFault } from '../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}, now?: string): FakeHost {
  const host = new FakeHost(options, now);
  t.teardown(() => host.stop());
  return host;
}

const YEAR = 365 * DAY;

t.test(
  'boot in 1970: TLS fails on dates, the message says whose clock; when it is set, all comes at once',
  async (t) => {
    const host = newHost(t, {}, '1970-01-01T00:05:00Z');
    host.api.aheadMs = Date.parse('2030-06-01T00:00:00Z') - host.clock.now().getTime();
    host.api.glimpsed = { serverDate: host.api.now() };
    host.api.fault = () => apiFault('ERR_API_TLS_DATES', 'certificate is not yet valid');
    host.start();
    await host.clock.advance(HOUR);
    t.equal(host.count('create'), 0);
    t.match(host.manager('client').reason, /this node's clock \(1970.* is 22\d{3} days behind the server's/);
    t.match(host.manager('client').command, /timedatectl/);
    host.api.fault = () => undefined;
    await host.setClock(Date.parse('2030-06-01T01:05:00Z') - host.clock.now().getTime());
    await host.until(() => host.isUpToDate, 5 * MINUTE);
    t.ok(host.leaf('serving').notAfter > host.clock.now());
  },
);

t.test("the server's own certificate has expired: the message says so", async (t) => {
  const host = newHost(t);
  const dates = { notBefore: new Date('2029-01-01'), notAfter: new Date('2030-01-01') };
  host.api.glimpsed = {
    serverDate: host.api.now(),
    certificate: { subject: 's', issuer: 'i', names: 'n', ...dates },
  };
  host.api.fault = () => apiFault('ERR_API_TLS_DATES', 'certificate has expired');
  host.start();
  await host.clock.settle();
  t.match(host.manager('client').reason, /valid from 2029-01-01T.* to 2030-01-01T.*agrees with the server's/);
  t.match(host.manager('client').command, /kubeadm certs renew apiserver/);
  host.api.glimpseFault = apiFault('ERR_API_UNREACHABLE', 'no');
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').reason, 'certificate has expired', 'without a look the error stands as it is');
});

t.test('a clock that is years ahead asks for nothing', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.stop();
  await host.setClock(5 * YEAR);
  host.start();
  await host.clock.advance(DAY);
  t.equal(host.count('create'), 2);
  t.match(host.log.of('Clock skew between this node and the API server')[0]?.fields, {
    skew: 'this node is 1825 days ahead of the server',
  });
  t.equal(host.isUpToDate, false);
  t.equal(host.manager('client').phase, 'waiting for the clock');
  await host.setClock(-5 * YEAR);
  await host.until(() => host.isUpToDate, 10 * MINUTE);
  t.equal(host.count('create'), 2);
});

t.test('a clock set ahead while running asks for nothing either', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.setClock(5 * YEAR);
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 2);
  t.equal(host.log.of('No new certificate is needed after all').length > 0, true);
  await host.setClock(-5 * YEAR);
  await host.clock.advance(HOUR);
  t.equal(host.isUpToDate, true);
});

t.test('a clock set back by years stalls nothing', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  await host.setClock(-2 * YEAR);
  await host.clock.advance(HOUR);
  const { last } = host;
  t.ok(last !== undefined && host.clock.now().getTime() - last.at.getTime() <= MINUTE, 'the loop goes on');
  await host.setClock(2 * YEAR);
  await host.clock.advance(DAY);
  t.equal(host.isUpToDate, true);
});

t.test('years off with the right clock: renewed, though the comparison of clocks is from before', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = 30 * DAY;
  await host.bootstrap();
  await host.clock.step(31 * DAY);
  await host.until(() => host.isUpToDate && host.count('create') === 4, 10 * MINUTE);
});

t.test('skew is named once an hour', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.setClock(10 * MINUTE);
  await host.clock.advance(3 * HOUR);
  const lines = host.log.of('Clock skew between this node and the API server').length;
  t.ok(lines >= 3 && lines <= 4, `${String(lines)} lines in three hours`);
  t.equal(host.last?.clockSkewMs, 10 * MINUTE);
});

t.test('a certificate that begins in the future by every clock is kept until it begins', async (t) => {
  const host = newHost(t);
  const start = new Date(host.clock.now().getTime() + 20 * MINUTE);
  host.api.overrides = { notBefore: start, notAfter: new Date(start.getTime() + DAY) };
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').lastError?.code, 'ERR_ISSUED_NOT_YET_VALID');
  t.equal(host.count('create'), 1);
  await host.until(() => host.isUpToDate, 30 * MINUTE);
  t.equal(host.count('create'), 2);
});

const other = createAuthority({ name: 'other', notBefore: new Date(0), notAfter: new Date('2100-01-01') });
for (const row of [
  { name: 'garbage', set: (host: FakeHost) => void (host.api.issueText = 'garbage') },
  { name: 'for another node', set: (host: FakeHost) => void (host.api.overrides = { commonName: 'system:node:n2' }) },
  {
    name: 'of more groups',
    set: (host: FakeHost) => void (host.api.overrides = { organizations: ['system:nodes', 'system:masters'] }),
  },
  {
    name: 'a CA',
    set: (host: FakeHost) =>
      void (host.api.overrides = { isCa: true, usages: ['digital signature', 'cert sign', 'client auth'] }),
  },
  {
    name: 'for another key',
    set: (host: FakeHost) =>
      void (host.api.issueText = other.issue({
        commonName: 'system:node:n1',
        organizations: ['system:nodes'],
      }).certPem),
  },
  {
    name: 'expired before it was asked for',
    set: (host: FakeHost) => void (host.api.overrides = { notBefore: new Date(0), notAfter: new Date('2029-01-01') }),
  },
]) {
  t.test(`issued ${row.name}: never current, hours to the next request, also over a restart`, async (t) => {
    const host = newHost(t);
    row.set(host);
    host.start();
    await host.clock.advance(20 * MINUTE);
    await host.restart(10 * MINUTE);
    await host.clock.advance(10 * MINUTE);
    t.equal(host.manager('client').certificate, undefined);
    t.equal(
      host.manager('client').lastError?.code ?? host.store.shelves.client.history.refusal?.code,
      'ERR_ISSUED_UNACCEPTABLE',
    );
    t.equal(host.count('create'), 1);
  });
}

t.test('a serving certificate without the address that was asked for is not taken', async (t) => {
  const host = newHost(t);
  host.start();
  await host.until(() => host.manager('client').phase === 'valid' || host.isUpToDate, MINUTE);
  host.api.overrides = { ipAddresses: [] };
  await host.agent?.renew(['serving']);
  await host.clock.advance(5 * MINUTE);
  t.equal(host.manager('serving').lastError?.code, 'ERR_ISSUED_UNACCEPTABLE');
  t.strictSame(host.leaf('serving').ipAddresses, ['10.0.0.7']);
});

t.test('a staged pair that expired while the node was off leads to a new request', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = HOUR;
  host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_UNREACHABLE', 'no') : undefined);
  host.start();
  await host.clock.advance(5 * MINUTE);
  t.equal(host.manager('client').pending?.received, true);
  host.api.fault = () => undefined;
  await host.restart(DAY);
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(host.count('create'), 3);
});

t.test(
  'no answer to the proof keeps the staged pair, for days, and over the loss of the bootstrap kubeconfig',
  async (t) => {
    const host = newHost(t);
    host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_SERVER', 'etcd') : undefined);
    host.start();
    await host.clock.advance(2 * DAY);
    t.equal(host.manager('client').certificate, undefined);
    t.equal(host.count('create'), 1);
    host.api.fault = () => undefined;
    const { bootstrap } = host.kubeconfigs;
    if (bootstrap.kind !== 'usable') return;
    host.kubeconfigs.bootstrap = { ...bootstrap, config: { ...bootstrap.config, credential: { kind: 'none' } } };
    await host.restart(MINUTE);
    await host.until(() => host.isUpToDate, 10 * MINUTE);
    t.equal(host.count('create'), 2);
  },
);

t.test('anonymous at the proof: waits for a person with the staged pair', async (t) => {
  const host = newHost(t);
  host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_ANONYMOUS', 'system:anonymous') : undefined);
  host.start();
  await host.clock.advance(DAY);
  t.equal(host.manager('client').lastError?.code, 'ERR_API_ANONYMOUS');
  t.equal(host.count('create'), 1);
  t.equal(host.manager('client').pending?.received, true);
});

t.test('a named user who may not ask is known: 403 passes', async (t) => {
  const host = newHost(t);
  host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_FORBIDDEN', 'forbidden') : undefined);
  await host.bootstrap();
  t.equal(host.count('create'), 2);
});

t.test(
  '401 at the proof: five minutes with the same pair, then another request, and from the third on hours',
  async (t) => {
    const host = newHost(t);
    host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_UNAUTHORIZED', 'no') : undefined);
    host.start();
    await host.clock.advance(4 * MINUTE);
    t.equal(host.count('create'), 1);
    t.equal(host.manager('client').lastError?.code, 'ERR_ISSUED_UNPROVEN');
    await host.clock.advance(6 * HOUR);
    const creates = host.count('create');
    t.ok(creates > 2 && creates < 10, `${String(creates)} requests in six hours`);
    host.api.fault = () => undefined;
    await host.until(() => host.isUpToDate, 9 * HOUR);
  },
);

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

t.test('a control plane upgrade that drops v1beta1 loses no pending request', async (t) => {
  const host = newHost(t);
  host.api.serves = 'v1beta1';
  host.api.approve = 'manual';
  host.start();
  await host.clock.advance(MINUTE);
  const [name = ''] = host.api.pendingNames;
  host.api.serves = 'v1';
  await host.restart(MINUTE);
  await host.clock.advance(MINUTE);
  t.equal(host.manager('client').phase, 'waiting for approval');
  host.api.approveRequest(name);
  await host.until(() => host.isUpToDate, MINUTE);
  t.equal(host.count('create'), 2);
});

t.test('expirationSeconds that server or signer ignore are told', async (t) => {
  const host = newHost(t, { expirationSeconds: 3600 });
  const { create } = host.api;
  host.api.create = (body, username) => ({ ...create.call(host.api, body, username), expirationSeconds: undefined });
  await host.bootstrap();
  t.equal(host.log.of('The server dropped expirationSeconds: it knows the field from Kubernetes 1.22 on').length, 2);
  t.equal(host.log.of('The signer did not honour expirationSeconds').length, 2);
});

t.test('without serving there is one certificate', async (t) => {
  const host = newHost(t, { serving: false });
  await host.bootstrap();
  t.equal(host.count('create'), 1);
  t.equal(host.last?.managers.length, 1);
  await host.clock.advance(HOUR);
  t.equal(host.isUpToDate, true);
});

t.test('a request that the server refuses as invalid is made anew, slowly', async (t) => {
  const host = newHost(t, { keyAlgorithm: 'ECDSA-P384' });
  host.api.fault = ({ what }) => (what === 'create' ? apiFault('ERR_API_REJECTED', 'admission webhook') : undefined);
  host.start();
  await host.clock.advance(HOUR);
  t.equal(host.store.shelves.client.pending, undefined, 'what was refused at the POST is not kept');
  t.ok(host.count('create') < 30);
});

t.test(
  'a clock that was ahead when the certificate came puts its renewal minutes before its end, a year later',
  async (t) => {
    const host = newHost(t, { serving: false });
    await host.setClock(YEAR - 20 * MINUTE);
    await host.bootstrap();
    await host.setClock(20 * MINUTE - YEAR);
    await host.clock.advance(HOUR);
    const { rotationDeadline: deadline } = host.manager('client');
    const { notBefore, notAfter } = host.leaf('client');
    const share = ((deadline?.getTime() ?? 0) - notBefore.getTime()) / (notAfter.getTime() - notBefore.getTime());
    t.ok(share >= 0.7 && share <= 0.9, `at ${String(share)} of its life`);
    await host.restart();
    t.strictSame(host.manager('client').rotationDeadline, deadline, 'a restart knows the same');
  },
);
