import t, { type Test } from 'tap';
import type { Credential } from '../../../src/kubeconfig/client-config.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { CLUSTER, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { BOOTSTRAP_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';

const TOKEN = 'abcdef.0123456789abcdef';
const SAID = 'Another credential than the refused one: asking again';
const FRESH = 'fedcba.fedcba9876543210';
const DATES = { notBefore: new Date('2030-01-01'), notAfter: new Date('2031-01-01') };
/** Named as the one that the fake server trusts. */
const authority = createAuthority({ name: 'fake client CA', ...DATES });

async function deniedHost(t: Test, offered?: Credential): Promise<FakeHost> {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  if (offered !== undefined) offer(host, offered);
  host.api.approve = 'deny';
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.count('create'), 1);
  return host;
}

function offer(host: FakeHost, credential: Credential): void {
  host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, CLUSTER, credential);
}

const inFile = (token: string): Credential => ({ kind: 'tokenFile', path: '/t', token: new Secret(token) });

function certificate(commonName: string): Credential {
  const { certPem, keyPem } = authority.issue({ commonName, organizations: ['system:bootstrappers'], ...DATES });
  return { kind: 'certificate', chainPem: certPem, keyPem: new Secret(keyPem) };
}

const restarts: readonly { name: string; before?: Credential; after: Credential | 'none'; asks: boolean }[] = [
  { name: 'a fresh token asks at once', after: { kind: 'token', token: new Secret(FRESH) }, asks: true },
  { name: 'the same token waits', after: { kind: 'token', token: new Secret(TOKEN) }, asks: false },
  { name: 'a fresh token in the token file asks at once', before: inFile(TOKEN), after: inFile(FRESH), asks: true },
  { name: 'the same token file waits', before: inFile(TOKEN), after: inFile(TOKEN), asks: false },
  { name: 'the same token, moved into a file, waits', after: inFile(TOKEN), asks: false },
  {
    name: 'a bootstrap certificate of the same subject waits',
    before: certificate('b1'),
    after: certificate('b1'),
    asks: false,
  },
  {
    name: 'a bootstrap certificate of another subject asks at once',
    before: certificate('b1'),
    after: certificate('b2'),
    asks: true,
  },
  { name: 'no credential at all waits', after: 'none', asks: false },
];
for (const { name, before, after, asks } of restarts) {
  t.test(`denied, then a restart: ${name}`, async (t) => {
    const host = await deniedHost(t, before);
    await host.stop();
    if (after === 'none') offer(host, { kind: 'none' });
    else offer(host, after);
    await host.restart(MINUTE);
    await host.clock.advance(5 * MINUTE);
    t.equal(host.count('create'), asks ? 2 : 1);
    t.equal(host.log.of(SAID).length, asks ? 1 : 0);
    await host.restart(5 * MINUTE);
    await host.clock.advance(5 * MINUTE);
    t.equal(host.count('create'), asks ? 2 : 1, 'one more restart asks nothing: the new one was refused, too');
  });
}

t.test('denied, then a restart with a fresh token that is approved: the node is there, and says why', async (t) => {
  const host = await deniedHost(t);
  await host.stop();
  host.api.approve = 'automatic';
  host.offerToken(FRESH);
  await host.restart(MINUTE);
  await host.until(() => host.isUpToDate, 2 * MINUTE);
  t.match(host.log.of(SAID), [{ fields: { purpose: 'client' } }]);
  t.equal(host.store.shelves.client.history.refusal, undefined);
});

t.test('a certificate that cannot be used, then a restart with a fresh token: asks at once', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.issueText = 'garbage';
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').lastError?.code, 'ERR_ISSUED_UNACCEPTABLE');
  t.equal(host.count('create'), 1);
  host.api.issueText = undefined;
  await host.restart(MINUTE);
  await host.clock.advance(5 * MINUTE);
  t.equal(host.count('create'), 1, 'not with the same one');
  await host.stop();
  host.offerToken(FRESH);
  await host.restart(MINUTE);
  await host.until(() => host.isUpToDate, 5 * MINUTE);
});

t.test('a history of before there was a digest keeps holding back', async (t) => {
  const host = await deniedHost(t);
  await host.stop();
  const { refusal, ...history } = host.store.shelves.client.history;
  if (refusal === undefined) throw new Error('no refusal');
  const { askerDigest: _new, ...old } = refusal;
  host.store.shelves.client.history = { ...history, refusal: old };
  host.offerToken(FRESH);
  await host.restart(MINUTE);
  await host.clock.advance(5 * MINUTE);
  t.equal(host.count('create'), 1);
});

t.test(
  'a request that was made with the old token and denied under a fresh one does not hold the fresh one back',
  async (t) => {
    const host = new FakeHost();
    t.teardown(() => host.stop());
    host.api.approve = 'manual';
    host.start();
    await host.clock.advance(MINUTE);
    await host.stop();
    host.offerToken(FRESH);
    await host.restart(MINUTE);
    const [old = ''] = host.api.requests.keys();
    host.api.approve = 'automatic';
    host.api.condition(old, 'Denied', 'NotAllowed', 'no');
    await host.until(() => host.isUpToDate, 2 * MINUTE);
    t.equal(host.count('create'), 3, 'two for the client, one for serving');
  },
);

t.test('while it runs: a fresh token in a file that nobody watches is noticed in the next round', async (t) => {
  const host = await deniedHost(t, inFile(TOKEN));
  offer(host, inFile(FRESH));
  await host.clock.advance(10 * MINUTE);
  t.equal(host.count('create'), 2);
});

t.test('a denied serving request: neither a renewed client certificate nor a fresh token opens it', async (t) => {
  const host = new FakeHost({ refusedBackoffMs: 8 * HOUR });
  t.teardown(() => host.stop());
  host.api.approveServing = 'deny';
  host.start();
  await host.clock.advance(10 * MINUTE);
  const { serial } = host.leaf('client');
  await host.agent?.renew(['client']);
  await host.clock.advance(MINUTE);
  t.not(host.leaf('client').serial, serial);
  host.offerToken(FRESH);
  host.agent?.filesChanged([BOOTSTRAP_PATH]);
  await host.clock.advance(10 * MINUTE);
  await host.restart(MINUTE);
  await host.clock.advance(10 * MINUTE);
  const servings = [...host.api.requests.values()].filter(({ csr }) => csr.usages.includes('server auth'));
  t.equal(servings.length, 1);
});

t.test('what lies on the disk about the token is four digits', async (t) => {
  const host = await deniedHost(t);
  t.match(host.store.shelves.client.history.refusal?.askerDigest, /^[0-9a-f]{4}$/);
  t.notMatch(JSON.stringify(host.store.shelves.client.history), TOKEN.slice(7));
});
