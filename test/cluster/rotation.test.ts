/** Certificates that live half a minute, from a real signer: renewal, and what follows when renewal was missed. */
import { rmSync } from 'node:fs';
import t from 'tap';
import type { Certlet } from './fixtures/certlet.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { eventually } from '../fixtures/eventually.ts';
import type { CurrentPair, TestHost } from './fixtures/host.ts';
import { TOKEN_GROUP } from './fixtures/objects.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

/** What is left of a certificate's life when it is issued. Rotation is due at about half of it. */
const USABLE_SECONDS = 30;

/** How long the tries of a node with a dead token are counted: pauses begin with five seconds. */
const WATCHED_MS = 13_000;

const quick = { rotation: { minimumSpacing: '1s', startSpread: '0s', pruneGrace: '0s', proofRetry: '5s' } };

/** Approves every serving request of a node until the test ends, as an approver in the cluster would. */
function approveAll(plane: ControlPlane, host: TestHost): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const work = (async () => {
    while (!stopped.signal.aborted) {
      const pending = await plane.pendingCsr('serving', host.nodeName, 1).catch(() => undefined);
      if (pending !== undefined) await plane.approve(pending.metadata.name);
    }
  })();
  return {
    stop: () => {
      stopped.abort();
      return work;
    },
  };
}

/** The node is off: certlet dies without warning, and time passes until its client certificate has expired. */
async function switchOffUntilExpired(certlet: Certlet, host: TestHost): Promise<CurrentPair> {
  const pair = await host.issued('client');
  await certlet.end('SIGKILL');
  await eventually(
    'the certificate to expire',
    () => (Date.now() > Date.parse(pair.leaf.validTo) ? true : undefined),
    USABLE_SECONDS + 10,
  );
  return pair;
}

/** Requests whose credential the API server did not know, so far. Only one of the nodes here sends such. */
function rejected(plane: ControlPlane): number {
  return plane.requests({ user: '' }).filter(({ status }) => status === 401).length;
}

await withControlPlane(t, { usableSeconds: USABLE_SECONDS }, (plane) => {
  t.jobs = 4;

  t.test('renewal of both certificates, twice in a row, under the identity of the node', async (t) => {
    const host = hostFor(t, plane, 'renewed', quick);
    host.bootstrapWith(
      await plane.createBootstrapToken({ id: 'renewd', secret: '0123456789abcdef', extraGroups: [TOKEN_GROUP] }),
    );
    const approver = approveAll(plane, host);
    t.teardown(() => approver.stop());
    host.start();
    for (const purpose of ['client', 'serving'] as const) await host.issued(purpose);
    // From here on nothing but the node's own certificate may be of use.
    await plane.deleteBootstrapToken('renewd');
    rmSync(host.bootstrapKubeconfig);
    await Promise.all(
      (['client', 'serving'] as const).map(async (purpose) => {
        let pair = await host.issued(purpose);
        for (const turn of ['first', 'second']) {
          const next = await host.issued(purpose, { notThis: pair, seconds: USABLE_SECONDS });
          t.ok(Date.now() < Date.parse(pair.leaf.validTo), `${purpose}: the ${turn} renewal came before expiry`);
          pair = next;
        }
        const [first, ...renewals] = await plane.csrs({ purpose, node: host.nodeName });
        t.equal(first?.spec.username, purpose === 'client' ? 'system:bootstrap:renewd' : 'system:node:renewed');
        t.ok(renewals.length >= 2);
        for (const csr of renewals) t.equal(csr.spec.username, 'system:node:renewed', `${purpose}: own identity`);
      }),
    );
    const budget = plane.requests({ user: 'system:node:renewed' }).filter(({ resource }) => resource !== 'nodes');
    const per = (resource: string, verb: string): number =>
      budget.filter((request) => request.resource === resource && request.verb === verb).length;
    const asked = per('certificatesigningrequests', 'create');
    t.equal(budget.filter(({ uri }) => uri.startsWith('/api')).length, budget.length, 'nothing but API requests');
    t.ok(per('certificatesigningrequests', 'watch') <= asked, 'one watch for each POST');
    t.equal(per('certificatesigningrequests', 'get') + per('certificatesigningrequests', 'list'), 0, 'no polling');
    t.ok(
      per('selfsubjectaccessreviews', 'create') <= (await plane.csrs({ purpose: 'client', node: 'renewed' })).length,
      'one proof for each client certificate',
    );
  });

  t.test('a node switched off past the life of its certificate comes back with a bootstrap token', async (t) => {
    const host = hostFor(t, plane, 'returned', quick);
    host.bootstrapWith(staticUsers.automatic.token);
    const expired = await switchOffUntilExpired(host.start(), host);
    host.start();
    const pair = await host.issued('client', { notThis: expired });
    t.ok(Date.parse(pair.leaf.validTo) > Date.now());
    const last = (await plane.csrs({ purpose: 'client', node: host.nodeName })).at(-1);
    t.equal(last?.spec.username, staticUsers.automatic.user);
    const key = (pem: string): string | undefined => pem.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+/)?.[0];
    t.not(key(pair.pem), key(expired.pem), 'with a new key');
  });

  t.test(
    'without a bootstrap kubeconfig it names the missing credential, waits, and takes one that is dropped in',
    async (t) => {
      const host = hostFor(t, plane, 'stranded', quick);
      const token = await plane.createBootstrapToken({
        id: 'strand',
        secret: '0123456789abcdef',
        extraGroups: [TOKEN_GROUP],
      });
      host.bootstrapWith(token);
      const expired = await switchOffUntilExpired(host.start(), host);
      rmSync(host.bootstrapKubeconfig);
      const asked = (): number =>
        ['system:node:stranded', 'system:bootstrap:strand'].flatMap((user) => plane.requests({ user })).length;
      const before = asked();
      const certlet = host.start();
      const line = await certlet.line(/ERR_CREDENTIAL_MISSING/);
      t.match(line.text, /expired/i, 'says that the client certificate has expired');
      t.ok(line.text.includes(host.bootstrapKubeconfig), 'names the file that is missing');
      t.match(line.text, /kubeadm token create/, 'says how to make one');
      t.ok(['warn', 'error'].includes(line.level), `level ${line.level}`);
      t.equal(asked(), before, 'nothing asked without a credential');
      host.bootstrapWith(token);
      t.ok(await host.issued('client', { notThis: expired, seconds: 30 }), 'no restart needed');
      t.equal(certlet.count(/ERR_CREDENTIAL_MISSING/) < 4, true, 'said it now and then, not all the time');
    },
  );

  t.test('with a dead bootstrap token it goes on trying without hammering', async (t) => {
    const host = hostFor(t, plane, 'dead-token', quick);
    host.bootstrapWith(staticUsers.automatic.token);
    await switchOffUntilExpired(host.start(), host);
    host.bootstrapWith('abcdef.0123456789abcdef');
    const before = rejected(plane);
    const startedMs = Date.now();
    const certlet = host.start();
    const line = await certlet.line(/ERR_API_UNAUTHORIZED/);
    t.match(line.text, /abcdef/, 'names the token that was refused');
    await eventually('a while of trying', () => (Date.now() - startedMs > WATCHED_MS ? true : undefined));
    const tries = rejected(plane) - before;
    t.ok(tries <= 4, `with pauses: ${String(tries)} requests in ${String(WATCHED_MS)} ms`);
    await eventually('another try', () => (rejected(plane) - before >= 2 ? true : undefined), 60);
    t.ok(certlet.count(/ERR_API_UNAUTHORIZED/) <= rejected(plane) - before, 'at most a line for each');
    t.notMatch(certlet.output, /0123456789abcdef/, 'and never the secret');
    t.equal((await plane.csrs({ purpose: 'client', node: host.nodeName })).length, 1, 'no further request');
  });
});
