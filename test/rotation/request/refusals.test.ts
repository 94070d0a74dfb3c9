import t, { type Test } from 'tap';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

type Setup = ConstructorParameters<typeof FakeHost>[0];

function newHost(t: Test, options: Setup = {}): FakeHost {
  const host = new FakeHost(options);
  t.teardown(() => host.stop());
  return host;
}

t.test('denied: hours between requests, reason shown, a restart does not ask again', async (t) => {
  const host = newHost(t);
  host.api.approve = 'deny';
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.count('create'), 1);
  const { phase, reason, lastError } = host.manager('client');
  t.equal(phase, 'waiting to retry');
  t.match(reason, /is denied, reason: NotAllowed, message: no/);
  t.equal(lastError?.code, 'ERR_CSR_DENIED');
  t.equal(host.events.filter(({ kind }) => kind === 'denied').length, 1);
  for (let count = 0; count < 5; count += 1) await host.restart(5 * MINUTE);
  await host.clock.advance(MINUTE);
  t.equal(host.count('create'), 1, 'five restarts asked nothing');
  const later = host.manager('client');
  t.equal(later.phase, 'waiting to retry');
  t.match(later.reason, /is denied, reason: NotAllowed, message: no/, 'the pause has its reason after a restart too');
  t.match(later.command, /certlet renew/);
  t.equal(later.lastError?.code, 'ERR_CSR_DENIED');
  t.strictSame(later.attempts, {}, 'no attempt of this process');
  await host.clock.advance(DAY);
  t.ok(host.count('create') >= 3 && host.count('create') <= 8, `${String(host.count('create'))} requests in a day`);
  host.api.approve = 'automatic';
  await host.until(() => host.isUpToDate, 9 * HOUR);
});

t.test('denied: renew asks at once', async (t) => {
  const host = newHost(t);
  host.api.approve = 'deny';
  host.start();
  await host.clock.advance(10 * MINUTE);
  host.api.approve = 'automatic';
  await host.agent?.renew(['client', 'serving']);
  await host.clock.settle();
  t.equal(host.leaf('client').commonName, 'system:node:n1');
});

t.test('denied: a fresh bootstrap credential asks at once', async (t) => {
  const host = newHost(t);
  host.api.approve = 'deny';
  host.start();
  await host.clock.advance(10 * MINUTE);
  host.api.approve = 'automatic';
  host.offerToken('fedcba.fedcba9876543210');
  host.agent?.filesChanged(['/etc/kubernetes/bootstrap-kubelet.conf']);
  await host.clock.settle();
  t.equal(host.manager('client').phase, 'valid');
});

t.test('denied: a fresh token in the token file asks at once, another file does not', async (t) => {
  const host = newHost(t);
  const path = '/etc/kubernetes/token';
  const { bootstrap } = host.kubeconfigs;
  if (bootstrap.kind !== 'usable') return;
  host.kubeconfigs.bootstrap = {
    ...bootstrap,
    config: { ...bootstrap.config, credential: { kind: 'tokenFile', path }, files: [path] },
  };
  host.api.approve = 'deny';
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.ok(host.agent?.watchedFiles.includes(path));
  host.agent?.filesChanged(['/etc/kubernetes/bootstrap-kubelet.conf']);
  await host.clock.advance(MINUTE);
  t.equal(host.count('create'), 1);
  host.agent?.filesChanged([path]);
  await host.clock.settle();
  t.equal(host.count('create'), 2);
});

t.test('a denied serving request stays denied over restarts, though the Node is read late', async (t) => {
  const host = newHost(t, { nodeIPs: [] });
  host.route = '172.16.0.1';
  host.api.node = { addresses: [{ type: 'InternalIP', address: '10.0.0.7' }], kubeletVersion: 'v1.36.2' };
  host.api.approveServing = 'deny';
  host.start();
  await host.clock.advance(5 * MINUTE);
  t.equal(host.count('create'), 2);
  for (let count = 0; count < 5; count += 1) await host.restart(2 * MINUTE);
  t.equal(host.count('create'), 2);
});

t.test('a denied serving request is asked again at once when the node gains an address', async (t) => {
  const host = newHost(t);
  host.api.approveServing = 'deny';
  host.start();
  await host.clock.advance(5 * MINUTE);
  host.api.node = { addresses: [{ type: 'InternalIP', address: '10.0.0.8' }], kubeletVersion: 'v1.36.2' };
  await host.clock.advance(6 * MINUTE);
  t.equal(host.count('create'), 3);
  t.match(host.store.shelves.serving.history.refusal, { count: 2 });
});

t.test('failed: as denied', async (t) => {
  const host = newHost(t);
  host.api.sign = false;
  host.start();
  await host.clock.settle();
  const [name = ''] = host.api.requests.keys();
  host.api.condition(name, 'Failed', 'SignerValidationFailure', 'no');
  await host.clock.advance(30 * MINUTE);
  t.equal(host.manager('client').lastError?.code, 'ERR_CSR_FAILED');
  t.equal(host.count('create'), 1);
});

t.test('a signer that wants the other usages is asked once more with them, and after that always', async (t) => {
  const host = newHost(t);
  host.api.sign = false;
  host.start();
  await host.clock.settle();
  const [first = ''] = host.api.requests.keys();
  host.api.sign = true;
  host.api.condition(
    first,
    'Failed',
    'SignerValidationFailure',
    'invalid usages for client certificate: usages did not match [..]',
  );
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  const clients = [...host.api.requests.values()].filter(({ csr }) => csr.usages.includes('client auth'));
  t.strictSame(
    clients.map(({ csr }) => csr.usages),
    [
      ['digital signature', 'key encipherment', 'client auth'],
      ['digital signature', 'client auth'],
    ],
  );
  await host.agent?.renew(['client']);
  await host.clock.settle();
  t.strictSame([...host.api.requests.values()].at(-1)?.csr.usages, ['digital signature', 'client auth']);
});

t.test('a signer that wants neither set is a refusal of hours', async (t) => {
  const host = newHost(t);
  host.api.sign = false;
  host.start();
  for (let count = 0; count < 2; count += 1) {
    await host.until(() => host.api.pendingNames.length + [...host.api.requests].length > count, MINUTE);
    await host.clock.advance(MINUTE);
    const name = [...host.api.requests.keys()].at(-1) ?? '';
    host.api.condition(name, 'Failed', 'SignerValidationFailure', 'usages did not match');
    await host.clock.settle();
  }
  await host.clock.advance(30 * MINUTE);
  t.equal(host.count('create'), 2);
  t.equal(host.manager('client').lastError?.code, 'ERR_CSR_FAILED');
});

for (const purpose of ['remove pending client', 'write history client'] as const) {
  t.test(`usages refused and the disk full at "${purpose}": the other set is still asked for`, async (t) => {
    const host = newHost(t);
    host.api.sign = false;
    host.start();
    await host.clock.settle();
    const [first = ''] = host.api.requests.keys();
    host.api.sign = true;
    let failures = 1;
    host.store.fail = (call) => (call === purpose && failures-- > 0 ? apiFault('ERR_STORE_FULL', 'full') : undefined);
    host.api.condition(first, 'Failed', 'SignerValidationFailure', 'usages did not match');
    await host.until(() => host.isUpToDate, 10 * MINUTE);
    t.equal(host.store.shelves.client.history.refusal, undefined);
  });
}

t.test('a deleted request is followed by a new one with a new key, paced', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  host.start();
  await host.clock.settle();
  for (let count = 0; count < 20; count += 1) {
    for (const name of host.api.requests.keys()) host.api.remove(name);
    await host.clock.advance(MINUTE);
  }
  const creates = host.count('create');
  t.ok(creates > 3 && creates <= 20, `${String(creates)} requests in 20 minutes`);
});

t.test('POST whose answer was lost: the 409 finds our own', async (t) => {
  const host = newHost(t);
  let lost = 1;
  const { create } = host.api;
  host.api.create = (body, username) => {
    const csr = create.call(host.api, body, username);
    if (lost-- > 0) throw apiFault('ERR_API_UNREACHABLE', 'reset');
    return csr;
  };
  await host.bootstrap();
  t.equal(host.log.of('csr for this node already exists, reusing').length, 1);
  t.equal(host.api.requests.size, 2);
});

t.test('a foreign object under our name: a new request with a new key', async (t) => {
  const host = newHost(t);
  let foreign = 1;
  const { create } = host.api;
  host.api.create = (body, username) => {
    if (foreign-- > 0) {
      const other = create.call(host.api, { ...body, usages: ['digital signature', 'server auth'] }, username);
      host.api.requests.get(other.name)?.watchers.clear();
      throw apiFault('ERR_API_CONFLICT', 'exists');
    }
    return create.call(host.api, body, username);
  };
  await host.bootstrap();
  t.equal(host.manager('client').attempts['ERR_CSR_INCOMPATIBLE'], 1);
});

t.test('approved and not issued: says so, never asks again', async (t) => {
  const host = newHost(t);
  host.api.sign = false;
  host.start();
  await host.clock.advance(2 * DAY);
  t.equal(host.manager('client').phase, 'waiting for issuance');
  t.equal(host.manager('client').pending?.approved, true);
  t.equal(host.count('create'), 1);
  t.equal(host.log.of('Certificate signing request is approved, waiting to be issued').length, 5);
  const [name = ''] = host.api.requests.keys();
  host.api.sign = true;
  host.api.issue(name);
  await host.clock.settle();
  t.equal(host.manager('client').phase, 'valid');
});

t.test('serving pending for days: one request, few lines, the command', async (t) => {
  const host = newHost(t);
  host.api.approveServing = 'manual';
  host.start();
  await host.clock.advance(4 * DAY);
  t.equal(host.count('create'), 2);
  t.match(host.manager('serving').command, /^kubectl certificate approve node-csr-/);
  const lines = host.log.of('Certificate signing request waits for approval');
  t.equal(lines.length, 7, '10 s, 1 h, 6 h, then daily');
  t.match(lines[0]?.fields, { automatic: 'no', remedy: /^kubectl certificate approve/ });
  for (const name of host.api.pendingNames) host.api.approveRequest(name);
  await host.clock.settle();
  t.equal(host.isUpToDate, true);
});

t.test('the approver is asked whether it would approve by itself', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  host.api.allowed = false;
  host.start();
  await host.clock.advance(MINUTE);
  t.match(host.log.of('Certificate signing request waits for approval')[0]?.fields, {
    automatic: 'no',
    why: /nodeclient/,
  });
  host.api.allowed = true;
  await host.clock.advance(HOUR);
  t.match(host.log.of('Certificate signing request waits for approval')[1]?.fields, { automatic: 'yes' });
  host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_SERVER', 'down') : undefined);
  await host.clock.advance(6 * HOUR);
  t.match(host.log.of('Certificate signing request waits for approval')[2]?.fields, { automatic: 'unknown' });
});

t.test('a reminder that is interrupted by the issuance does not fail the attempt', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  host.start();
  await host.clock.settle();
  const [name = ''] = host.api.requests.keys();
  const { called } = host.api;
  host.api.called = async (what, cluster, credential, signal) => {
    if (what === 'review' && credential.kind === 'token') {
      host.api.approveRequest(name);
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    }
    await called.call(host.api, what, cluster, credential, signal);
  };
  await host.clock.advance(10_000);
  await host.clock.settle();
  t.equal(host.manager('client').phase, 'valid');
  t.strictSame(host.manager('client').attempts, { issued: 1 });
});
