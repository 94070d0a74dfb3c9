/** From a bootstrap kubeconfig to both certificates, on a control plane as kubeadm sets it up. */
import { statSync } from 'node:fs';
import t from 'tap';
import { asset } from './fixtures/assets.ts';
import type { AuditedRequest } from './fixtures/audit.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { eventually, never } from '../fixtures/eventually.ts';
import type { TestHost } from './fixtures/host.ts';
import { APPROVERS_GROUP, TOKEN_GROUP } from './fixtures/objects.ts';
import { runWell } from './fixtures/processes.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';
import { opensslVerify, serveFrom } from './fixtures/tls.ts';

/** What the API server says of whoever holds the kubeconfig that certlet wrote. */
async function whoAmI(host: TestHost): Promise<string> {
  const args = ['--kubeconfig', host.kubeconfig, '--cache-dir', `${host.folder}/cache`, 'get', '--raw'];
  // A node may read its own Node object and gets 404 while there is none; anybody else gets 403.
  return runWell(asset('kubectl') ?? 'kubectl', [...args, `/api/v1/nodes/${host.nodeName}`]).catch(String);
}

async function approveServing(plane: ControlPlane, host: TestHost): Promise<string> {
  const { metadata } = await plane.pendingCsr('serving', host.nodeName);
  await plane.approve(metadata.name);
  return metadata.name;
}

await withControlPlane(t, {}, (plane) => {
  t.jobs = 3;

  t.test('a static token: client approved automatically, serving by kubectl, kubeconfig accepted', async (t) => {
    const host = hostFor(t, plane, 'static-token');
    host.bootstrapWith(staticUsers.automatic.token);
    host.start();
    const client = await host.issued('client');
    t.match(client.leaf.subject, /^O=system:nodes\nCN=system:node:static-token$/);
    t.equal(client.leaf.subjectAltName, undefined, 'a client certificate has no names');
    t.match(
      await eventually('kubeconfig', () => (statSync(host.kubeconfig).size > 0 ? whoAmI(host) : undefined)),
      /NotFound/,
    );
    await approveServing(plane, host);
    const serving = await host.issued('serving');
    t.match(serving.leaf.subject, /^O=system:nodes\nCN=system:node:static-token$/);
    t.match(serving.leaf.subjectAltName, /DNS:static-token/);
    t.match(serving.leaf.subjectAltName, /IP Address:127\.0\.0\.1/);
    for (const path of [host.link('client'), host.link('serving'), host.kubeconfig]) {
      t.equal(statSync(path).mode & 0o777, 0o600, `${path} is for its owner only`);
    }
    const [csr] = await plane.csrs({ purpose: 'serving', node: 'static-token' });
    t.equal(csr?.spec.username, 'system:node:static-token', 'the serving request went out under the node identity');
  });

  t.test('a bootstrap token leads to both certificates within the request budget', async (t) => {
    const host = hostFor(t, plane, 'bootstrap-token');
    host.bootstrapWith(
      await plane.createBootstrapToken({ id: 'budget', secret: '0123456789abcdef', extraGroups: [TOKEN_GROUP] }),
    );
    const startedMs = Date.now();
    host.start();
    await host.issued('client');
    t.comment(`client certificate on disk ${String(Date.now() - startedMs)} ms after start`);
    await approveServing(plane, host);
    await host.issued('serving');
    const asked = (user: string): Promise<readonly AuditedRequest[]> =>
      eventually(`the watch of ${user} to end in the audit log`, () => {
        const requests = plane.requests({ user });
        return requests.filter((request) => request.verb === 'watch').length === 1 ? requests : undefined;
      });
    const kinds = (requests: readonly AuditedRequest[]): readonly string[] =>
      requests.filter((request) => request.resource !== 'nodes').map(kindOf);
    t.strictSame(
      kinds(await asked('system:bootstrap:budget')),
      ['get discovery', 'create certificatesigningrequests', 'watch certificatesigningrequests'],
      'one discovery, and POST and watch for the client certificate',
    );
    t.strictSame(
      kinds(await asked('system:node:bootstrap-token')),
      ['create selfsubjectaccessreviews', 'create certificatesigningrequests', 'watch certificatesigningrequests'],
      'one proof, and POST and watch for the serving certificate',
    );
  });

  t.test(
    'a restart with both pairs in hand makes no request: one proof of the adopted pair, the own Node read',
    async (t) => {
      const host = hostFor(t, plane, 'restarted', { rotation: { startSpread: '0s' } });
      host.bootstrapWith(staticUsers.automatic.token);
      const first = host.start();
      await approveServing(plane, host);
      const before = [await host.issued('client'), await host.issued('serving')];
      await first.end();
      const asked = (): readonly string[] => plane.requests({ user: 'system:node:restarted' }).map(kindOf);
      const earlier = asked().length;
      host.start();
      const since = await eventually('proof and Node in the audit log', () => {
        const kinds = asked().slice(earlier);
        return kinds.includes('create selfsubjectaccessreviews') && kinds.includes('get nodes') ? kinds : undefined;
      });
      t.strictSame(since.toSorted(), ['create selfsubjectaccessreviews', 'get nodes']);
      t.strictSame(
        [host.current('client')?.pem, host.current('serving')?.pem],
        before.map(({ pem }) => pem),
        'the pairs stay',
      );
      t.equal((await plane.csrs({ node: host.nodeName })).length, 2);
    },
  );

  t.test('a pending serving request is superseded when the Node has gained an address', async (t) => {
    const host = hostFor(t, plane, 'gained', {
      rotation: { nodeRefresh: '1s', addressDebounce: '0s', minimumSpacing: '1s' },
    });
    host.bootstrapWith(staticUsers.automatic.token);
    const certlet = host.start();
    const early = await plane.pendingCsr('serving', host.nodeName);
    const path = '/api/v1/nodes';
    await plane.admin.want(path, {
      method: 'POST',
      body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'gained' } },
    });
    await plane.admin.want(`${path}/gained/status`, {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: { status: { addresses: [{ type: 'InternalIP', address: '192.0.2.77' }] } },
    });
    const line = await certlet.line(/Superseding/);
    t.ok(line.text.includes(early.metadata.name), 'names the request that is left to the cleaner');
    const later = await eventually('the request with the new address', async () =>
      (await plane.csrs({ purpose: 'serving', node: 'gained' })).find(
        ({ metadata }) => metadata.uid !== early.metadata.uid,
      ),
    );
    await plane.approve(later.metadata.name);
    t.match((await host.issued('serving')).leaf.subjectAltName, /IP Address:192\.0\.2\.77/);
    t.equal((await plane.csrs({ purpose: 'serving', node: 'gained' })).length, 2, 'superseded once');
  });

  t.test('manual approval: the log names the command, and following it is enough', async (t) => {
    const host = hostFor(t, plane, 'manual-approval');
    host.bootstrapWith(staticUsers.manual.token);
    const certlet = host.start();
    const { metadata } = await plane.pendingCsr('client', host.nodeName);
    await certlet.line(new RegExp(`kubectl certificate approve ${metadata.name}`));
    t.equal(host.current('client'), undefined, 'no link before the first issuance');
    await plane.approve(metadata.name);
    await host.issued('client');
    await approveServing(plane, host);
    await host.issued('serving');
    t.equal((await plane.csrs({ node: host.nodeName })).length, 2, 'one request for each certificate');
  });

  t.test('the role of config/rbac/serving.yaml approves serving requests and nothing else', async (t) => {
    const host = hostFor(t, plane, 'approved-by-role');
    host.bootstrapWith(staticUsers.manual.token);
    host.start();
    const asPerson = ['--as=somebody', `--as-group=${APPROVERS_GROUP}`, 'certificate', 'approve'];
    const client = (await plane.pendingCsr('client', host.nodeName)).metadata.name;
    await t.rejects(plane.kubectl([...asPerson, client]), /forbidden/i);
    await plane.approve(client);
    await plane.kubectl([...asPerson, (await plane.pendingCsr('serving', host.nodeName)).metadata.name]);
    t.ok(await host.issued('serving'));
  });

  t.test('a denied request: reason and message in the log, and no second request', async (t) => {
    const host = hostFor(t, plane, 'turned-down');
    host.bootstrapWith(staticUsers.manual.token);
    const certlet = host.start();
    const { metadata } = await plane.pendingCsr('client', host.nodeName);
    await plane.deny(metadata.name);
    const line = await certlet.line(/ERR_CSR_DENIED/);
    t.ok(line.text.includes(await plane.reasonOf(metadata.name)), 'the reason that the approver gave');
    t.match(line.text, /certlet renew/, 'what a person does when it is mended');
    t.ok(['warn', 'error'].includes(line.level), `level ${line.level}`);
    await never(
      'another request',
      async () => ((await plane.csrs({ node: host.nodeName })).length > 1 ? true : undefined),
      4,
    );
  });

  t.test('the serving link works before anything is issued, and the issued certificate replaces it', async (t) => {
    const host = hostFor(t, plane, 'self-signed-first');
    host.bootstrapWith(staticUsers.manual.token);
    host.start();
    const first = await eventually('the serving link', () => host.current('serving'));
    t.notOk(first.byCluster, 'of its own making');
    t.match(first.leaf.subjectAltName, /DNS:self-signed-first/);
    t.match(first.leaf.subjectAltName, /IP Address:127\.0\.0\.1/);
    const server = await serveFrom(host.link('serving'));
    const handshake = await opensslVerify(server.port, host.link('serving'), { dns: host.nodeName });
    await server.close();
    t.equal(handshake.status, 0, `a TLS server can use it: ${handshake.stderr}`);
    await plane.approve((await plane.pendingCsr('client', host.nodeName)).metadata.name);
    await approveServing(plane, host);
    t.not((await host.issued('serving')).file, first.file);
  });

  t.test('openssl verifies a TLS server on the issued serving certificate, by name and by address', async (t) => {
    const host = hostFor(t, plane, 'tls-server', { servingNames: ['tls-server.example.test'] });
    host.bootstrapWith(staticUsers.automatic.token);
    host.start();
    await approveServing(plane, host);
    await host.issued('serving');
    const server = await serveFrom(host.link('serving'));
    t.teardown(() => server.close());
    for (const name of [{ dns: 'tls-server' }, { dns: 'tls-server.example.test' }, { ip: '127.0.0.1' }]) {
      const { status, stderr } = await opensslVerify(server.port, plane.caPath, name);
      t.equal(status, 0, `${JSON.stringify(name)} verifies: ${stderr}`);
    }
    const { status } = await opensslVerify(server.port, plane.caPath, { dns: 'other.example.test' });
    t.not(status, 0, 'another name does not verify');
  });

  t.test('kill -9 while requests wait, again and again, leaves exactly one request for each certificate', async (t) => {
    const host = hostFor(t, plane, 'killed', { rotation: { startSpread: '0s' } });
    host.bootstrapWith(staticUsers.manual.token);
    for (const purpose of ['client', 'serving'] as const) {
      const certlet = host.start();
      const pending = await plane.pendingCsr(purpose, host.nodeName);
      await certlet.end('SIGKILL');
      for (let restart = 0; restart < 2; restart += 1) {
        const again = host.start();
        await again.line(new RegExp(pending.metadata.name));
        await again.end('SIGKILL');
      }
      const last = host.start();
      await plane.approve(pending.metadata.name);
      const pair = await host.issued(purpose);
      const [only, ...others] = await plane.csrs({ purpose, node: host.nodeName });
      t.equal(only?.metadata.uid, pending.metadata.uid, `${purpose}: the request made first`);
      t.strictSame(others, [], `${purpose}: and no other`);
      t.match(Buffer.from(only?.status.certificate ?? '', 'base64').toString(), pair.leaf.toString().trim());
      await last.end('SIGKILL');
    }
  });

  t.test('two usages: asked once more with three where this signer wants three', async (t) => {
    const host = hostFor(t, plane, 'two-usages', { keyEncipherment: false, rotation: { minimumSpacing: '1s' } });
    host.bootstrapWith(staticUsers.automatic.token);
    const certlet = host.start();
    const { metadata, spec } = await eventually('the request', async () => {
      return (await plane.csrs({ node: host.nodeName }))[0];
    });
    t.strictSame(spec.usages, ['digital signature', 'client auth']);
    // An approver that wants three does not recognise it; one that takes two may have been faster.
    await plane.approve(metadata.name);
    await host.issued('client', { seconds: 30 });
    const [first, ...others] = await plane.csrs({ purpose: 'client', node: host.nodeName });
    const refused = (first?.status.conditions ?? []).some(({ type }) => type === 'Failed');
    if (!refused) return t.strictSame(others, [], 'this signer takes two');
    t.strictSame(
      others.map((csr) => csr.spec.usages?.length),
      [3],
      'one further request',
    );
    return t.equal(certlet.count(/other set of usages/), 1);
  });

  t.test('expirationSeconds: honoured, or its loss is told where this server does not know it', async (t) => {
    const host = hostFor(t, plane, 'lifetime', { expirationSeconds: 3600 });
    host.bootstrapWith(staticUsers.automatic.token);
    const certlet = host.start();
    const { leaf } = await host.issued('client');
    const [csr] = await plane.csrs({ purpose: 'client', node: host.nodeName });
    if (csr?.spec.expirationSeconds === undefined) {
      const line = await certlet.line(/dropped expirationSeconds/);
      return t.match(line.text, /1\.22/, 'says since when servers know it');
    }
    const lifeSeconds = (Date.parse(leaf.validTo) - Date.now()) / 1000;
    return t.ok(lifeSeconds > 3000 && lifeSeconds <= 3600, `an hour: ${String(lifeSeconds)} s`);
  });

  t.test('certlet once: 75 while a request waits for approval, then the next run resumes it and gives 0', async (t) => {
    const host = hostFor(t, plane, 'once');
    host.bootstrapWith(staticUsers.manual.token);
    const first = await host.start(['once', '--timeout', '5s']).exited;
    t.equal(first.code, 75);
    const { metadata } = await plane.pendingCsr('client', host.nodeName);
    await plane.approve(metadata.name);
    const second = host.start(['once', '--timeout', '60s']);
    await approveServing(plane, host);
    t.equal((await second.exited).code, 0);
    t.ok(await host.issued('client'));
    t.ok(await host.issued('serving'));
    t.equal((await plane.csrs({ node: host.nodeName })).length, 2);
  });
});

function kindOf({ verb, resource, uri }: AuditedRequest): string {
  return `${verb} ${resource ?? (uri.startsWith('/apis/certificates.k8s.io') ? 'discovery' : uri)}`;
}
