/** `certlet approve` on an API server that serves certificates.k8s.io/v1beta1 alone. */
import t from 'tap';
import { ApproverHost, bindSelfNodeServer } from './fixtures/approver.ts';
import { capabilities, controlPlaneMissing } from './fixtures/assets.ts';
import { withControlPlane } from './fixtures/suite.ts';

const TITLE = 'v1beta1 alone: what passes is approved, what does not is left';

/** v1beta1 of this resource went in 1.22; a build without stamp is told by the insecure port, which went in 1.24. */
async function cannot(): Promise<string | undefined> {
  if (controlPlaneMissing() !== undefined) return undefined;
  const { release, version, insecurePort } = await capabilities();
  const gone = release === undefined ? !insecurePort : release[0] === 1 && release[1] >= 22;
  return gone ? `kube-apiserver ${version} serves no CertificateSigningRequest in v1beta1` : undefined;
}

const reason = await cannot();
if (reason === undefined) {
  await withControlPlane(t, { v1beta1Only: true, controllerManager: false, rbac: [] }, async (plane) => {
    const host = await ApproverHost.create(plane);
    await host.apply(await host.roles());
    await bindSelfNodeServer(plane);
    await host.node('n1', ['192.0.2.1']);
    t.test(TITLE, async (t) => {
      const approver = host.start();
      t.teardown(() => approver.end('SIGKILL'));
      await host.ask('bad', 'n1', { content: { dnsNames: ['kubernetes'] } });
      await host.ask('good', 'n1');
      t.match(await host.decided('good'), /^Approved CertletApproved/);
      await approver.line(/Not approved.*"bad".*never/);
      t.equal(await host.condition('bad'), undefined);
      await approver.end();
    });
  });
} else {
  t.test(TITLE, { skip: reason }, async () => undefined);
}
