import t from 'tap';
import type { CertificatePair } from '../../src/pki/certificate.ts';
import { apiFault } from '../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';

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
  const { Credentials } = await import('../../src/rotation/node/credentials.ts');
  const { Connections } = await import('../../src/rotation/node/connections.ts');
  const { clock, chance, log, store, kubeconfigs, api } = host;
  const credentials = new Credentials({
    clock,
    chance,
    log,
    store,
    kubeconfigs,
    connector: api,
    route: { localAddress: async () => undefined },
    after: { rotated: async () => undefined },
    observer: { observe: () => undefined },
    options: host.options,
    connections: new Connections(api),
    dateSample: undefined,
    kubeletVersion: undefined,
  });
  credentials.setPair(newer);
  const { fingerprint } = newer.chain.leaf;
  credentials.refused(older.chain.leaf.fingerprint);
  t.equal(credentials.refusals, undefined);
  credentials.refused(fingerprint);
  t.equal(credentials.refusals?.count, 1);
  credentials.accepted(older.chain.leaf.fingerprint);
  t.equal(credentials.refusals?.count, 1);
  credentials.accepted(fingerprint);
  t.equal(credentials.refusals, undefined);
});
