/** A real kubelet with `serverTLSBootstrap: true` and no certlet on its node: its request has the kubelet's own shape. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ApproverHost, bindSelfNodeServer } from './fixtures/approver.ts';
import { controlPlaneMissing } from './fixtures/assets.ts';
import { eventually } from '../fixtures/eventually.ts';
import { Kubelet, kubeletMissing, startContainerd } from './fixtures/kubelet.ts';
import { withControlPlane } from './fixtures/suite.ts';
import { opensslVerify } from './fixtures/tls.ts';

const TITLE = 'the serving request of a kubelet alone is approved, and it serves the certificate';
const NODE = 'plain-kubelet';
const missing = controlPlaneMissing() === undefined ? kubeletMissing() : undefined;

if (missing === undefined) {
  await withControlPlane(t, { rbac: [] }, async (plane) => {
    const host = await ApproverHost.create(plane);
    await host.apply(await host.roles());
    await bindSelfNodeServer(plane);
    t.test(TITLE, async (t) => {
      const containerd = await startContainerd(join(plane.folder, 'containerd'));
      t.teardown(() => containerd.stop());
      const approver = host.start();
      t.teardown(() => approver.end('SIGKILL'));
      const pair = await plane.authority.issue('kubelet', {
        commonName: `system:node:${NODE}`,
        organizations: ['system:nodes'],
      });
      const kubeconfig = join(plane.folder, 'kubelet.conf');
      const config = {
        clusters: [{ name: 'c', cluster: { server: plane.server, 'certificate-authority': plane.caPath } }],
        users: [{ name: 'u', user: { 'client-certificate': pair.certificate, 'client-key': pair.key } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      };
      writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
      const folder = join(plane.folder, 'kubelet');
      const kubelet = await Kubelet.start(plane, {
        folder,
        nodeName: NODE,
        containerdSocket: containerd.socket,
        kubeconfig,
        certDir: join(folder, 'pki'),
      });
      t.teardown(() => kubelet.stop());
      const approved = await approver.line(new RegExp(`"Approved".*"node":"${NODE}"`), 60);
      t.match(approved.fields, { signerName: 'kubernetes.io/kubelet-serving' });
      await eventually('the kubelet to serve it', async () => {
        kubelet.assertRunning();
        const { status } = await opensslVerify(kubelet.port, plane.caPath, { dns: NODE });
        return status === 0 ? true : undefined;
      });
      t.pass('openssl verifies the kubelet by its name');
    });
  });
} else {
  t.test(TITLE, { skip: missing }, async () => undefined);
}
