/** A real kubelet that does not reload its serving pair: certlet sees that on its port, and has it restarted once. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { controlPlaneMissing } from './fixtures/assets.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { eventually } from '../fixtures/eventually.ts';
import { Kubelet, kubeletMissing, startContainerd } from './fixtures/kubelet.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

const TITLE =
  'a kubelet is found by its Node, seen to serve an older pair, restarted once, and seen to serve the new one';
const missing = controlPlaneMissing() === undefined ? kubeletMissing() : undefined;

/** Every address that a kubelet on this machine may find for itself, so that its Node asks for nothing more. */
function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outside = all.filter((one) => !one.internal && !one.address.startsWith('fe80:'));
  return ['127.0.0.1', ...outside.map((one) => one.address)];
}

if (missing === undefined) {
  await withControlPlane(t, {}, (plane) => {
    t.test(TITLE, async (t) => {
      const containerd = await startContainerd(join(plane.folder, 'containerd'));
      t.teardown(() => containerd.stop());
      const host = hostFor(t, plane, 'served-node', {
        nodeIP: ownAddresses(),
        // Its port is the Node's to tell. A distribution's build may call itself v0.0.0, which would restart it for its client certificate, too.
        kubelet: { restart: 'auto', reloadWithin: '20s', version: 'v1.20.2' },
        rotation: { nodeRefresh: '2s', startSpread: '0s', minimumSpacing: '1s' },
      });
      host.bootstrapWith(staticUsers.automatic.token);
      const certlet = host.start();
      await host.issued('client');
      const pending = await plane.pendingCsr('serving', host.nodeName);
      const selfSigned = await eventually('the serving link', () => host.current('serving'));
      const folder = join(host.folder, 'kubelet');
      const kubelet = await Kubelet.start(plane, {
        nodeName: host.nodeName,
        containerdSocket: containerd.socket,
        kubeconfig: host.kubeconfig,
        certDir: host.certDir,
        servingPair: host.link('serving'),
        folder,
      });
      t.teardown(() => kubelet.stop());
      t.equal(await kubelet.servedFingerprint(), selfSigned.leaf.fingerprint256);
      await eventually(
        'the Node to tell the port',
        async () => {
          kubelet.assertRunning();
          const { json } = await plane.admin.call(`/api/v1/nodes/${host.nodeName}`);
          return json?.status?.daemonEndpoints?.kubeletEndpoint?.Port === kubelet.port ? true : undefined;
        },
        60,
      );

      // The request was made before there was a Node, and may be superseded: whichever waits is approved.
      await plane.approve(pending.metadata.name);
      const issued = await host.issued('serving', { seconds: 60 });
      const flag = join(host.folder, 'run', 'restart-kubelet');
      let restarts = 0;
      await eventually(
        'the new pair to be served',
        async () => {
          if (existsSync(flag)) {
            rmSync(flag);
            restarts += 1;
            await kubelet.restart();
          }
          return certlet.count(/The new pair is served/) > 0 ? true : undefined;
        },
        120,
      );
      t.equal(restarts, 1);
      t.equal(certlet.count(/The kubelet serves a stale pair and is restarted/), 1);
      t.equal(await kubelet.servedFingerprint(), issued.leaf.fingerprint256);
      t.notMatch(
        readFileSync(join(folder, 'kubelet.log'), 'utf8'),
        /TLS handshake error/,
        'no look left a line in the log of the kubelet',
      );
      const { stdout } = await host.start(['check', '--output', 'json']).result();
      t.match(stdout, /"id": *"served"/, 'check finds the current pair served, too');
    });
  });
} else {
  t.test(TITLE, { skip: missing }, async () => undefined);
}
