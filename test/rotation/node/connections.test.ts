import t, { type Test } from 'tap';
import { parseChain, type CertificatePair } from '../../../src/pki/certificate.ts';
import { Connections, credentialOf } from '../../../src/rotation/node/connections.ts';
import { apiFault, FakeApi } from '../../fixtures/fakes/api.ts';
import { FakeClock } from '../../fixtures/fakes/clock.ts';
import { CLUSTER, DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { NodeKubeconfigs } from '../../../src/rotation/node/kubeconfigs.ts';
import { NodeIdentity } from '../../../src/rotation/node/node-identity.ts';
import type { RotationContext } from '../../../src/rotation/rotation-context.ts';
import { Troubles } from '../../../src/trouble.ts';

interface Shown {
  readonly what: string;
  readonly serial: string;
}

/** Which client certificate each call showed. */
function shownCertificates(host: FakeHost): readonly Shown[] {
  const shown: Shown[] = [];
  const { called } = host.api;
  host.api.called = (what, cluster, credential, signal) => {
    if (credential.kind === 'certificate') shown.push({ what, serial: parseChain(credential.chainPem).leaf.serial });
    return called.call(host.api, what, cluster, credential, signal);
  };
  return shown;
}

async function waitingHost(t: Test): Promise<FakeHost> {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = DAY;
  host.api.approveServing = 'manual';
  host.start();
  await host.until(() => host.manager('serving').phase === 'waiting for approval', 5 * MINUTE);
  return host;
}

t.test(
  'a serving request that waits over client rotations shows replaced certificates until they expire',
  async (t) => {
    const host = await waitingHost(t);
    const shown = shownCertificates(host);
    const serials = new Set<string>();
    for (let hours = 0; hours < 72; hours += 1) {
      await host.clock.advance(HOUR);
      const { serial } = host.leaf('client');
      serials.add(serial);
      const from = shown.length;
      host.api.breakWatches(apiFault('ERR_API_UNREACHABLE', 'the server was restarted'));
      await host.clock.advance(MINUTE);
      const watches = shown.slice(from).filter(({ what }) => what === 'watch');
      t.ok(watches.length > 0, 'goes on waiting');
      t.strictSame(
        watches.filter((watch) => watch.serial !== serial),
        [],
      );
    }
    t.ok(serials.size > 2, 'the client certificate was replaced');
    t.equal(host.manager('serving').phase, 'waiting for approval');
    t.strictSame(host.manager('serving').attempts, {}, 'no attempt failed over it');
    t.equal(host.count('create') - serials.size, 1, 'one serving request');
    for (const name of host.api.pendingNames) host.api.approveRequest(name);
    await host.until(() => host.isUpToDate, 5 * MINUTE);
  },
);

t.test('reminders of a waiting request do not begin anew with each client certificate', async (t) => {
  const host = await waitingHost(t);
  for (let hours = 0; hours < 72; hours += 1) {
    await host.clock.advance(HOUR);
    host.api.breakWatches(apiFault('ERR_API_UNREACHABLE', 'the server was restarted'));
  }
  const lines = host.log.of('Certificate signing request waits for approval');
  t.equal(lines.length, 6, '10 s, 1 h, 6 h, 24 h, then daily');
});

const { signal } = new AbortController();

for (const row of [
  { name: 'dropped', end: (connections: Connections) => void connections.drop() },
  {
    name: 'replaced by that of another cluster entry',
    end: (connections: Connections, pair: Parameters<Connections['node']>[1]) =>
      void connections.node({ ...CLUSTER, server: 'https://other.test:6443' }, pair),
  },
]) {
  t.test(`a connection that was ${row.name} makes no further request`, async (t) => {
    const host = new FakeHost();
    t.teardown(() => host.stop());
    await host.bootstrap();
    const pair = await host.store.current('client');
    if (pair === undefined) throw new Error('no pair');
    const api = new FakeApi(new FakeClock());
    api.trusts = () => true;
    const connections = new Connections(api);
    const connection = connections.node(CLUSTER, pair);
    t.match(connection.identity, { label: 'client certificate' });
    await connection.discover(signal);
    row.end(connections, pair);
    const made = api.calls.length;
    const work: readonly (() => Promise<unknown>)[] = [
      () => connection.discover(signal),
      () => connection.createCsr('v1', { name: 'x', requestPem: '', signerName: '', usages: [] }, signal),
      () => connection.getCsr('v1', 'x', signal),
      () => connection.watchCsr('v1', 'x', '1', signal)[Symbol.asyncIterator]().next(),
      () => connection.mayI({ verb: 'get', group: '', resource: 'nodes' }, signal),
      () => connection.getNode('n1', signal),
      () => connection.request('GET', '/version', undefined, signal),
    ];
    for (const call of work) await t.rejects(call(), { code: 'ERR_API_DROPPED' });
    await t.resolves(connection.close());
    t.equal(api.calls.length, made);
    t.equal(await connections.fresh(CLUSTER, pair).discover(signal), 'v1');
    t.equal(credentialOf(pair).kind, 'certificate');
  });
}

/** The next call of this kind is answered with 401, or with a pass, only after `meanwhile` has come about. */
function lateAnswer(
  host: FakeHost,
  kind: string,
  answer: 'refused' | 'accepted',
  meanwhile: () => Promise<void>,
): void {
  const { called } = host.api;
  let held = false;
  host.api.called = async (what, cluster, credential, signal) => {
    await called.call(host.api, what, cluster, credential, signal);
    const awaited = kind === 'review' || host.manager('client').phase === 'waiting for approval';
    if (what !== kind || held || !awaited || credential.kind !== 'certificate') return;
    held = true;
    await meanwhile();
    if (answer === 'refused') throw apiFault('ERR_API_UNAUTHORIZED', 'Unauthorized');
  };
}

const REFUSED = 'The API server refused the client certificate';

for (const kind of ['review', 'node']) {
  t.test(`a 401 for a certificate that was replaced meanwhile is charged to its successor (${kind})`, async (t) => {
    const host = new FakeHost();
    t.teardown(() => host.stop());
    await host.bootstrap();
    const { serial } = host.leaf('client');
    host.api.approve = 'manual';
    await host.clock.advance(HOUR);
    await host.agent?.renew(['client']);
    await host.clock.settle();
    await host.stop();
    lateAnswer(host, kind, 'refused', async () => {
      for (const name of host.api.pendingNames) host.api.approveRequest(name);
      while (host.leaf('client').serial === serial) await new Promise(setImmediate);
    });
    host.start();
    await host.clock.advance(20 * MINUTE);
    t.not(host.leaf('client').serial, serial, 'replaced while the answer was on its way');
    t.strictSame(host.log.of(REFUSED), [], 'nobody has refused the certificate in use');
    t.equal(host.manager('client').phase, 'valid');
    t.equal(host.isUpToDate, true);
  });
}

t.test('an answer for a certificate that was replaced meanwhile clears the refusals of its successor', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  const older = host.store.shelves.client.pairs[0]?.pair as CertificatePair;
  await host.agent?.renew(['client']);
  await host.clock.advance(MINUTE);
  const newer = host.store.shelves.client.pairs[0]?.pair as CertificatePair;
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
  let current = newer;
  const identity = new NodeIdentity(context, new NodeKubeconfigs(context), () => current);
  const { fingerprint } = newer.chain.leaf;
  t.equal(identity.refused(older.chain.leaf.fingerprint), 'replaced');
  t.equal(identity.refusals, undefined);
  t.equal(identity.refused(fingerprint), 'current');
  t.equal(identity.refusals?.count, 1);
  identity.accepted(older.chain.leaf.fingerprint);
  t.equal(identity.refusals?.count, 1);
  current = older;
  t.equal(identity.refusals, undefined, 'the pair is read where it is kept: what was refused is not this one');
  t.strictSame(identity.answers, {});
  current = newer;
  identity.accepted(fingerprint);
  t.equal(identity.refusals, undefined);
});
