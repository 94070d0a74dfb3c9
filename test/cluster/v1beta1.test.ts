/** An API server that serves certificates.k8s.io/v1beta1 alone. Its controllers need v1, so the test signs. */
import { join } from 'node:path';
import t from 'tap';
import { capabilities, controlPlaneMissing } from './fixtures/assets.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { eventually } from '../fixtures/eventually.ts';
import { pairAt } from './fixtures/host.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

const TITLE = 'v1beta1 alone: both certificates, with requests approved by kubectl and signed by hand';

/** v1beta1 of this resource went in 1.22; a build without stamp is told by the insecure port, which went in 1.24. */
async function cannot(): Promise<string | undefined> {
  if (controlPlaneMissing() !== undefined) return undefined;
  const { release, version, insecurePort } = await capabilities();
  const gone = release === undefined ? !insecurePort : release[0] === 1 && release[1] >= 22;
  return gone ? `kube-apiserver ${version} serves no CertificateSigningRequest in v1beta1` : undefined;
}

const reason = await cannot();
if (reason === undefined) {
  await withControlPlane(t, { v1beta1Only: true, controllerManager: false }, (plane) => {
    t.test(TITLE, async (t) => {
      t.equal((await plane.admin.call('/apis/certificates.k8s.io/v1')).status, 404, 'v1 is not served');
      const host = hostFor(t, plane, 'beta');
      host.bootstrapWith(staticUsers.manual.token);
      const certlet = host.start();
      for (const purpose of ['client', 'serving'] as const) {
        const { metadata, spec } = await plane.pendingCsr(purpose, host.nodeName);
        t.equal(spec.usages?.length, 3, 'three usages: every old signer takes them');
        await plane.approve(metadata.name);
        await plane.issue(metadata.name);
        t.match((await host.issued(purpose)).leaf.subject, /CN=system:node:beta$/);
      }
      t.equal((await plane.csrs()).length, 2);
      t.equal(certlet.count(/deprecated/i) <= 2, true, "the server's Warning header is said once, not for each answer");
    });

    t.test("v1beta1 alone: a custom signer's name is kept from 1.18 on, so its certificate is asked for", async (t) => {
      const host = hostFor(t, plane, 'named');
      const signerName = 'example.com/monitoring';
      host.settings({
        certificatesDir: join(host.folder, 'certs'),
        certificates: [{ name: 'agent', signerName, commonName: 'agent-{nodeName}', usages: ['client auth'] }],
      });
      host.bootstrapWith(staticUsers.manual.token);
      const certlet = host.start();
      const { metadata } = await plane.pendingCsr('client', host.nodeName);
      await plane.approve(metadata.name);
      await plane.issue(metadata.name);
      const csr = await eventually('the request of the agent', async () =>
        (await plane.csrs()).find(({ spec }) => spec.signerName === signerName),
      );
      await plane.approve(csr.metadata.name);
      await plane.issue(csr.metadata.name);
      const link = join(host.folder, 'certs/agent/agent-current.pem');
      await eventually('its pair', () => pairAt(link, plane.authority.authority.pem));
      t.equal(certlet.count(/ERR_CSR_SIGNER/), 0);
    });

    t.test('v1beta1 alone, and nobody may see what is served: the resource itself is asked for', async (t) => {
      const roles = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:discovery';
      await plane.admin.want(roles, { method: 'DELETE' });
      const { token } = staticUsers.manual;
      const hidden = async (): Promise<true | undefined> =>
        (await plane.admin.call('/apis/certificates.k8s.io/v1beta1', { token })).status === 403 || undefined;
      await eventually('the role to be gone', hidden);
      const host = hostFor(t, plane, 'hidden');
      host.bootstrapWith(token);
      host.start();
      const { metadata } = await plane.pendingCsr('client', host.nodeName);
      await plane.approve(metadata.name);
      await plane.issue(metadata.name);
      t.match((await host.issued('client')).leaf.subject, /CN=system:node:hidden$/);
    });
  });
} else {
  t.test(TITLE, { skip: reason }, async () => undefined);
}
