/** `certlet check` in front of the classic failures, each produced by a real control plane. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { eventually } from '../fixtures/eventually.ts';
import type { TestHost } from './fixtures/host.ts';
import { TOKEN_GROUP } from './fixtures/objects.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

interface Found {
  readonly id: string;
  readonly verdict: string;
  readonly what: string;
  readonly sure: string;
  readonly remedy?: string;
  readonly causes?: readonly { readonly what: string; readonly sure: string; readonly remedy?: string }[];
}

interface Report {
  readonly code: number | null;
  readonly text: string;
  readonly findings: readonly Found[];
  readonly problems: readonly Found[];
}

/** Runs the command as a script would. */
async function check(host: TestHost): Promise<Report> {
  const { code, stdout } = await host.start(['check', '--output', 'json']).result();
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Found[] };
  return { code, text: stdout, findings, problems: findings.filter(({ verdict }) => verdict === 'problem') };
}

/** A node's kubeconfig and client pair as they may be left from an earlier life. */
function leaveBehind(
  host: TestHost,
  plane: ControlPlane,
  past: { readonly caPem: string; readonly chainPem: string; readonly keyPem: string },
): void {
  mkdirSync(host.certDir, { recursive: true, mode: 0o700 });
  const file = 'kubelet-client-2026-01-02-03-04-05.pem';
  writeFileSync(join(host.certDir, file), past.chainPem + past.keyPem, { mode: 0o600 });
  symlinkSync(file, host.link('client'));
  const pair = host.link('client');
  const ca = Buffer.from(past.caPem).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'default-cluster', cluster: { server: plane.server, 'certificate-authority-data': ca } }],
    users: [{ name: 'default-auth', user: { 'client-certificate': pair, 'client-key': pair } }],
    contexts: [{ name: 'default-context', context: { cluster: 'default-cluster', user: 'default-auth' } }],
    'current-context': 'default-context',
  };
  writeFileSync(host.kubeconfig, JSON.stringify(config), { mode: 0o600 });
}

const nodeSubject = (name: string): { commonName: string; organizations: string[] } => ({
  commonName: `system:node:${name}`,
  organizations: ['system:nodes'],
});

await withControlPlane(t, { bootstrapTokenAuth: false, clusterInfo: true }, async (plane) => {
  t.test('401 because bootstrap tokens are off: told apart from a bad token by the signed cluster-info', async (t) => {
    const host = hostFor(t, plane, 'tokens-off');
    const id = 'ckcktk';
    host.bootstrapWith(
      await plane.createBootstrapToken({ id, secret: 'fedcba9876543210', extraGroups: [TOKEN_GROUP] }),
    );
    await eventually('the signature of this token', async () => {
      const answer = await plane.admin.call('/api/v1/namespaces/kube-public/configmaps/cluster-info');
      return answer.json.data[`jws-kubeconfig-${id}`] === undefined ? undefined : true;
    });
    const report = await check(host);
    t.equal(report.code, 1);
    const [found] = report.problems;
    t.match(found?.id, /^authentication\./);
    t.match(found?.causes?.[0]?.what ?? found?.what, /--enable-bootstrap-token-auth/, 'the flag is the first cause');
    t.notMatch(report.text, /fedcba9876543210/, 'no secret');
  });

  t.test('403 because system:node-bootstrapper is not bound: the missing binding as a command', async (t) => {
    const host = hostFor(t, plane, 'unbound');
    host.bootstrapWith(staticUsers.stranger.token);
    const report = await check(host);
    t.equal(report.code, 1);
    const [found] = report.problems;
    t.match(found?.id, /^authorization\./);
    t.match(found?.remedy, /kubectl create clusterrolebinding \S+ --clusterrole=system:node-bootstrapper/);
  });

  t.test('a kubeconfig from another cluster: its CA is not the one that signed this API server', async (t) => {
    const host = hostFor(t, plane, 'other-ca');
    const other = createAuthority({ name: 'another-cluster' });
    const issued = other.issue(nodeSubject(host.nodeName));
    leaveBehind(host, plane, { ...issued, caPem: other.pem });
    const report = await check(host);
    t.equal(report.code, 1);
    t.strictSame(
      report.problems.map(({ id }) => id),
      ['tls.wrong-ca'],
    );
  });

  t.test('a client certificate from another cluster beside the right CA: refused, and told whose it is', async (t) => {
    const host = hostFor(t, plane, 'other-client');
    const issued = createAuthority({ name: 'another-cluster' }).issue(nodeSubject(host.nodeName));
    leaveBehind(host, plane, { ...issued, caPem: plane.authority.authority.pem });
    const report = await check(host);
    t.equal(report.code, 1);
    const found = report.problems.find(({ id }) => id.startsWith('authentication.'));
    t.match(found?.causes?.[0]?.what, /another cluster/);
    t.match(found?.causes?.[0]?.what, /another-cluster/, 'its issuer');
  });

  t.test('a denied serving request: reason and the way out; and a node in order has no problem', async (t) => {
    const host = hostFor(t, plane, 'denied-serving');
    host.bootstrapWith(staticUsers.automatic.token);
    const certlet = host.start();
    await host.issued('client');
    const { metadata } = await plane.pendingCsr('serving', host.nodeName);
    await plane.deny(metadata.name);
    await certlet.line(/ERR_CSR_DENIED/);
    const report = await check(host);
    t.equal(report.code, 1);
    const found = report.problems.find(({ id }) => id === 'requests.serving-denied');
    t.ok(found?.what.includes(await plane.reasonOf(metadata.name)), 'the reason that the approver gave');
    t.match(found?.remedy, /certlet renew (?:--config \S+ )?serving/);

    const healthy = hostFor(t, plane, 'in-order');
    healthy.bootstrapWith(staticUsers.automatic.token);
    healthy.start();
    await plane.approve((await plane.pendingCsr('serving', healthy.nodeName)).metadata.name);
    await healthy.issued('serving');
    t.strictSame((await check(healthy)).problems, []);
  });

  t.test('the controller manager is stopped: requests pile up, and an approved one is never issued', async (t) => {
    await plane.stopControllerManager();
    const waiting = ['piles-up-1', 'piles-up-2', 'never-issued'].map((name) => hostFor(t, plane, name));
    for (const host of waiting) {
      host.bootstrapWith(staticUsers.automatic.token);
      host.start();
    }
    const [first, , approved] = waiting;
    if (first === undefined || approved === undefined) throw new Error('three hosts');
    for (const host of waiting) await plane.pendingCsr('client', host.nodeName);
    await plane.approve((await plane.pendingCsr('client', approved.nodeName)).metadata.name);

    const piled = await eventually(
      'the requests to be old enough',
      async () => {
        const report = await check(first);
        return report.problems.some(({ id }) => id === 'requests.piling-up') ? report : undefined;
      },
      40,
    );
    t.equal(piled.code, 1);
    for (const id of ['requests.piling-up', 'requests.client-unapproved']) {
      const found = piled.problems.find((one) => one.id === id);
      t.match(found?.causes?.[0]?.what, /kube-controller-manager does not run/, id);
    }
    const unissued = (await check(approved)).problems.find(({ id }) => id === 'requests.client-unissued');
    t.match(unissued?.causes?.[0]?.what, /kube-controller-manager/);
    t.match(unissued?.causes?.[1]?.what, /--cluster-signing-cert-file/);
  });
});
