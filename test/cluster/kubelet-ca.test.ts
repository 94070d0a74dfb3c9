/** What `kubectl logs` and its kin go through: an API server that verifies kubelets, before and after certlet's rotation. */
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../fixtures/eventually.ts';
import { controlPlaneMissing } from './fixtures/assets.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import type { TestHost } from './fixtures/host.ts';
import { Kubelet, kubeletMissing, startContainerd } from './fixtures/kubelet.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

const TITLE =
  'an API server with --kubelet-certificate-authority reaches the kubelet once check says that it will, and after a rotation';
const missing = controlPlaneMissing() === undefined ? kubeletMissing() : undefined;

function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return [
    '127.0.0.1',
    ...all.filter((one) => !one.internal && !one.address.startsWith('fe80:')).map(({ address }) => address),
  ];
}

/** Verdict and id of what the outlook found. */
async function outlook(host: TestHost, caFile: string): Promise<readonly string[]> {
  const line = ['check', '--for', 'kubelet-ca', '--kubelet-certificate-authority', caFile, '--output', 'json'];
  const { stdout } = await host.start(line).result();
  const { findings } = JSON.parse(stdout) as {
    readonly findings: readonly { step: string; verdict: string; id: string }[];
  };
  return findings.filter(({ step }) => step === 'kubelet-ca').map(({ verdict, id }) => `${verdict} ${id}`);
}

if (missing === undefined) {
  await withControlPlane(t, {}, (plane) => {
    t.test(TITLE, async (t) => {
      await plane.stopApiServer();
      await plane.startApiServer({ kubeletAuthority: plane.caPath });
      const containerd = await startContainerd(join(plane.folder, 'containerd'));
      t.teardown(() => containerd.stop());
      const host = hostFor(t, plane, 'verified-node', { nodeIP: ownAddresses() });
      host.bootstrapWith(staticUsers.automatic.token);
      host.start();
      const { nodeName } = host;
      const options = {
        nodeName,
        containerdSocket: containerd.socket,
        kubeconfig: host.kubeconfig,
        certDir: host.certDir,
        servingPair: host.link('serving'),
        address: '0.0.0.0',
      };
      await host.issued('client');
      const pending = await plane.pendingCsr('serving', nodeName);
      const proxied = () => plane.admin.call(`/api/v1/nodes/${nodeName}/proxy/healthz`);

      const first = await Kubelet.start(plane, { ...options, folder: join(host.folder, 'kubelet-1') });
      t.teardown(() => first.stop());
      await first.servedFingerprint();
      const refused = await eventually(
        'the API server to dial the kubelet',
        async () => {
          first.assertRunning();
          const answer = await proxied();
          return answer.text.includes('certificate') ? answer : undefined;
        },
        60,
      );
      t.ok(refused.status >= 500, `the placeholder is refused: ${refused.text}`);
      t.strictSame(await outlook(host, plane.caPath), ['problem kubelet-ca.unissued'], 'and check says so');

      await plane.approve(pending.metadata.name);
      const issued = await host.issued('serving');
      t.strictSame(
        (await outlook(host, plane.caPath)).filter((found) => !found.startsWith('ok')),
        // The settings of these hosts name port 1, where nothing listens, so what the kubelet shows is not known.
        ['skipped kubelet-ca.served'],
        'nothing stands against the issued one',
      );
      const reaches = async (name: string): Promise<void> => {
        const kubelet = await Kubelet.start(plane, { ...options, folder: join(host.folder, name) });
        t.teardown(() => kubelet.stop());
        const served = await kubelet.servedFingerprint();
        t.equal(served, host.current('serving')?.leaf.fingerprint256, 'the pair behind the link is served');
        const answer = await eventually(
          `the API server to reach ${name}`,
          async () => {
            const said = await proxied();
            return said.status === 200 ? said : undefined;
          },
          60,
        );
        t.equal(answer.text, 'ok');
        await kubelet.stop();
      };
      await first.stop();
      await reaches('kubelet-2');

      await host.start(['renew', 'serving']).result();
      await plane.approve((await plane.pendingCsr('serving', nodeName)).metadata.name);
      const next = await host.issued('serving', { notThis: issued });
      t.not(next.leaf.serialNumber, issued.leaf.serialNumber);
      await reaches('kubelet-3');
    });
  });
} else {
  t.test(TITLE, { skip: missing }, async () => undefined);
}
