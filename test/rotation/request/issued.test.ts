import t, { type Test } from 'tap';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}, now?: string): FakeHost {
  const host = new FakeHost(options, now);
  t.teardown(() => host.stop());
  return host;
}

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
    // OpenSSL and Node say "no CA" of what claims to be one and may not sign certificates by its key usage.
    name: 'a CA without the key usage of one',
    set: (host: FakeHost) => void (host.api.overrides = { isCa: true, usages: ['digital signature', 'client auth'] }),
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

t.test('a request that the server refuses as invalid is made anew, slowly', async (t) => {
  const host = newHost(t, { keyAlgorithm: 'ECDSA-P384' });
  host.api.fault = ({ what }) => (what === 'create' ? apiFault('ERR_API_REJECTED', 'admission webhook') : undefined);
  host.start();
  await host.clock.advance(HOUR);
  t.equal(host.store.shelves.client.pending, undefined, 'what was refused at the POST is not kept');
  t.ok(host.count('create') < 30);
});
