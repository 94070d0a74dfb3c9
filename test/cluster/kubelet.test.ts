/** A real kubelet on what certlet wrote: kubeconfig, client link, serving link. */
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { controlPlaneMissing } from './fixtures/assets.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { eventually } from '../fixtures/eventually.ts';
import { Kubelet, kubeletMissing, startContainerd } from './fixtures/kubelet.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';
import { opensslVerify } from './fixtures/tls.ts';

const TITLE = 'a kubelet registers its Node on the self-signed pair, and serves the issued one after a restart';
const missing = controlPlaneMissing() === undefined ? kubeletMissing() : undefined;

/** Every address that a kubelet on this machine may find for itself, so that its Node asks for nothing more. */
function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return [
    '127.0.0.1',
    ...all.filter((one) => !one.internal && !one.address.startsWith('fe80:')).map((one) => one.address),
  ];
}

if (missing === undefined) {
  await withControlPlane(t, {}, (plane) => {
    t.test(TITLE, async (t) => {
      const containerd = await startContainerd(join(plane.folder, 'containerd'));
      t.teardown(() => containerd.stop());
      const host = hostFor(t, plane, 'kubelet-node', { nodeIP: ownAddresses() });
      host.bootstrapWith(staticUsers.automatic.token);
      const certlet = host.start();
      const options = {
        nodeName: host.nodeName,
        containerdSocket: containerd.socket,
        kubeconfig: host.kubeconfig,
        certDir: host.certDir,
        servingPair: host.link('serving'),
      };
      await host.issued('client');
      const pending = await plane.pendingCsr('serving', host.nodeName);
      const selfSigned = await eventually('the serving link', () => host.current('serving'));
      t.notOk(selfSigned.byCluster, 'the serving request waits: the link names the self-signed pair');

      const first = await Kubelet.start(plane, { ...options, folder: join(host.folder, 'kubelet-1') });
      t.teardown(() => first.stop());
      t.equal(await first.servedFingerprint(), selfSigned.leaf.fingerprint256);
      const node = await eventually(
        'the Node to register',
        async () => {
          first.assertRunning();
          const answer = await plane.admin.call(`/api/v1/nodes/${host.nodeName}`);
          return answer.status === 200 ? answer.json : undefined;
        },
        40,
      );
      t.equal(node.metadata.name, host.nodeName);
      const registered = plane
        .requests({ user: 'system:node:kubelet-node', resource: 'nodes' })
        .find((request) => request.verb === 'create');
      t.equal(registered?.status, 201, 'registered under the identity that certlet obtained');

      await plane.approve(pending.metadata.name);
      const issued = await host.issued('serving');
      if (first.reloads) {
        await eventually('the kubelet to reload', async () =>
          (await first.servedFingerprint()) === issued.leaf.fingerprint256 ? true : undefined,
        );
      }
      await first.stop();
      const second = await Kubelet.start(plane, { ...options, folder: join(host.folder, 'kubelet-2') });
      t.teardown(() => second.stop());
      t.equal(await second.servedFingerprint(), issued.leaf.fingerprint256, 'after a restart');
      const { status, stderr } = await opensslVerify(second.port, plane.caPath, { dns: host.nodeName });
      t.equal(status, 0, `openssl verifies the kubelet by its name: ${stderr}`);
      t.equal(certlet.count(/ERR_STORE_FOREIGN/), 0, 'the kubelet wrote no pair of its own beside ours');
      t.equal((await plane.csrs({ node: host.nodeName })).length, 2, 'nobody but certlet asked for certificates');
    });
  });
} else {
  t.test(TITLE, { skip: missing }, async () => undefined);
}
