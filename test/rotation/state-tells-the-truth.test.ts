import t, { type Test } from 'tap';
import { CertletError } from '../../src/errors.ts';
import { templateDigest } from '../../src/csr/template.ts';
import { Connections } from '../../src/rotation/node/connections.ts';
import type { RotationContext } from '../../src/rotation/rotation-context.ts';
import { NodeKubeconfigs } from '../../src/rotation/node/kubeconfigs.ts';
import { NodeIdentity } from '../../src/rotation/node/node-identity.ts';
import { NodeReader } from '../../src/rotation/node/node-reader.ts';
import { IdentityRules } from '../../src/rotation/certificate-rules.ts';
import { CertificateManager } from '../../src/rotation/manager.ts';
import { apiFault } from '../fixtures/fakes/api.ts';
import { clientSpec } from '../fixtures/specs.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { Troubles } from '../../src/trouble.ts';

async function freshHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}): Promise<FakeHost> {
  const host = new FakeHost(options);
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.clock.advance(HOUR);
  return host;
}

const address = (value: string) => ({
  addresses: [{ type: 'InternalIP', address: value }],
  kubeletVersion: 'v1.36.2',
});

t.test('a foreign file that came and went leaves its error in status for months', async (t) => {
  const host = await freshHost(t);
  host.store.shelves.client.foreign = ['/pki/kubelet-client-2030-01-01-00-00-00.pem'];
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').phase, 'held');
  t.equal(host.manager('client').lastError?.code, 'ERR_STORE_FOREIGN');
  host.store.shelves.client.foreign = [];
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').phase, 'valid');
  t.equal(host.manager('client').lastError, undefined);
});

t.test('a foreign file that went while something is due is not told as the reason of the wait', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  host.store.shelves.client.foreign = ['/pki/kubelet-client-2030-01-01-00-00-00.pem'];
  host.api.approve = 'manual';
  await host.clock.advance(23 * HOUR);
  host.store.shelves.client.foreign = [];
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').phase, 'waiting for approval');
  t.equal(host.manager('client').lastError, undefined);
});

t.test(
  'the API server was away for a minute, and a request that waits for its approval was told as failing for days',
  async (t) => {
    const host = await freshHost(t);
    host.api.approveServing = 'manual';
    host.api.node = address('10.0.0.8');
    await host.until(() => host.manager('serving').phase === 'waiting for approval', HOUR);
    host.api.fault = () => apiFault('ERR_API_UNREACHABLE', 'down');
    host.api.breakWatches(apiFault('ERR_API_UNREACHABLE', 'down'));
    await host.until(() => (host.manager('serving').failing?.tries ?? 0) > 2, HOUR);
    host.api.fault = () => undefined;
    await host.until(() => host.manager('serving').phase === 'waiting for approval', HOUR);
    t.equal(host.manager('serving').failing, undefined);
    t.equal(host.manager('serving').lastError, undefined);
    await host.clock.advance(DAY);
    t.match(
      host.log.of('Requesting a signed certificate works again'),
      [{ fields: { tries: 3 } }],
      'told once, when it did',
    );
  },
);

t.test('a request that was denied before the names reverted leaves its denial in status', async (t) => {
  const host = await freshHost(t);
  host.api.approveServing = 'deny';
  host.api.node = address('10.0.0.8');
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('serving').lastError?.code, 'ERR_CSR_DENIED');
  host.api.node = address('10.0.0.7');
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('serving').phase, 'valid');
  t.equal(host.manager('serving').lastError, undefined);
  await host.restart(MINUTE);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('serving').lastError, undefined, 'nor after a restart');
});

t.test('no new certificate was needed after all: the error of the attempt before it stays', async (t) => {
  const host = await freshHost(t);
  host.api.fault = () => apiFault('ERR_API_UNREACHABLE', 'down');
  // By this host's clock alone the certificate has expired.
  await host.stop();
  await host.setClock(366 * DAY);
  host.start();
  await host.clock.advance(5 * MINUTE);
  t.equal(host.manager('client').lastError?.code, 'ERR_API_UNREACHABLE');
  host.api.fault = () => undefined;
  await host.until(() => host.log.of('No new certificate is needed after all').length > 0, HOUR);
  await host.setClock(-366 * DAY);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').phase, 'valid');
  t.equal(host.manager('client').lastError, undefined);
});

t.test('what is wrong with the files stays in status though nothing is due', async (t) => {
  const host = await freshHost(t);
  host.store.fail = (call) =>
    call === 'inspect client' ? new CertletError('ERR_STORE_IO', 'the disk fails') : undefined;
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').lastError?.code, 'ERR_STORE_IO');
  host.store.fail = () => undefined;
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').lastError, undefined);
});

t.test('renew of both on a full disk renews one and forgets the other', async (t) => {
  const host = await freshHost(t);
  const before = { client: host.leaf('client').serial, serving: host.leaf('serving').serial };
  let full = true;
  const error = new CertletError('ERR_STORE_FULL', 'no space');
  host.store.fail = (call) => (full && /^(write|accept)/.test(call) ? error : undefined);
  await t.resolves(host.agent?.renew(['client', 'serving']) ?? Promise.reject(new Error('no agent')));
  await host.clock.advance(MINUTE);
  full = false;
  await host.clock.advance(HOUR);
  t.not(host.leaf('client').serial, before.client);
  t.not(host.leaf('serving').serial, before.serving);
});

t.test('renew on a full disk: the decision that the files of another program are fine is forgotten', async (t) => {
  const host = await freshHost(t);
  const before = host.leaf('client').serial;
  host.store.shelves.client.foreign = ['/pki/kubelet-client-2030-01-01-00-00-00.pem'];
  await host.clock.advance(10 * MINUTE);
  let full = true;
  const error = new CertletError('ERR_STORE_FULL', 'no space');
  host.store.fail = (call) => (full && /^(write|accept)/.test(call) ? error : undefined);
  await host.agent?.renew(['client']);
  await host.clock.advance(HOUR);
  t.not(host.manager('client').phase, 'held');
  full = false;
  await host.clock.advance(HOUR);
  t.not(host.leaf('client').serial, before);
  t.strictSame(host.store.shelves.client.foreign, [], 'written down once there is room');
});

t.test('looking at the state changes it', async (t) => {
  const host = await freshHost(t);
  const { clock, chance, log, store, kubeconfigs, api, options } = host;
  const context: RotationContext = {
    clock,
    chance,
    log,
    store,
    kubeconfigs,
    connector: api,
    route: { localAddress: async () => undefined },
    serving: { refusal: async () => undefined },
    after: { rotated: async () => undefined, announce: async () => undefined },
    observer: { observe: () => undefined },
    options,
    connections: new Connections(api),
    troubles: new Troubles(),
    dateSample: undefined,
  };
  const own = new NodeKubeconfigs(context);
  const identity = new NodeIdentity(context, own, () => undefined);
  const reader = new NodeReader(context, identity, own);
  const rules = new IdentityRules(clientSpec(), context, { identity, kubeconfigs: own, reader });
  const manager = new CertificateManager(context, rules);
  const refused = { ...rules.template(true), commonName: 'system:node:before' };
  const { code, message } = apiFault('ERR_CSR_DENIED', 'no');
  const refusal = { code, message, at: clock.now(), count: 1, templateDigest: templateDigest(refused) };
  store.shelves.client.history = { refusal };
  await manager.refresh(async () => undefined);
  const { nextAttempt } = manager.snapshot();
  t.ok(nextAttempt);
  const lines = log.entries.length;
  t.equal(manager.step(undefined).kind, 'wait', 'what is told is the pause as it is');
  t.strictSame(manager.snapshot().nextAttempt, nextAttempt);
  t.equal(log.entries.length, lines);
  t.equal(manager.decide(undefined).kind, 'request', 'the loop ends it: another template than the refused one');
  t.equal(manager.snapshot().nextAttempt, undefined);
});

t.test('a defect in the upkeep of the files never ends the loop', async (t) => {
  const host = await freshHost(t);
  const { inspect } = host.store;
  host.store.inspect = async () => {
    throw new TypeError('x is not a function');
  };
  await host.clock.advance(10 * MINUTE);
  t.match(host.thrown, { message: 'x is not a function' });
  host.store.inspect = inspect;
});

t.test('a defect beside an ordinary failure is not hidden by it', async (t) => {
  const host = await freshHost(t);
  host.store.inspect = async (purpose) => {
    if (purpose === 'client') throw new CertletError('ERR_STORE_IO', 'the disk fails');
    throw new TypeError('x is not a function');
  };
  await host.clock.advance(10 * MINUTE);
  t.match(host.thrown, { message: 'x is not a function' });
});

t.test('a denial that is remembered over a restart has no line in the journal', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.approve = 'deny';
  host.start();
  await host.clock.advance(10 * MINUTE);
  const { refusal } = host.store.shelves.client.history;
  await host.stop();
  const from = host.log.entries.length;
  await host.restart(MINUTE);
  await host.clock.advance(10 * MINUTE);
  const lines = host.log.entries.slice(from).filter(({ event }) => event.startsWith('An earlier request was refused'));
  t.equal(lines.length, 1, 'once');
  t.match(lines[0], {
    level: 'warn',
    fields: { purpose: 'client', code: 'ERR_CSR_DENIED', error: refusal?.message, at: refusal?.at, remedy: /renew/ },
  });
  t.strictSame(lines[0]?.fields?.['retry'], host.manager('client').nextAttempt);
});
