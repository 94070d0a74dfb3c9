import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import type { ControlPlane } from '../cluster/fixtures/control-plane.ts';

/** The cluster of the demo: the project's fake one, or a real control plane where its programs are at hand. */
export interface DemoCluster {
  readonly title: string;
  /** Everything takes so many times as long: programs that start, certificates that must outlive that. */
  readonly slowness: number;
  readonly bootstrapKubeconfig: string;
  approve(csr: string): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** A real API server is back within this many lifetimes of the fake one's certificates. */
const REAL_SLOWNESS = 2;

/** Certificates live `lifetimeSeconds`, on a real control plane longer by its slowness. */
export async function openDemoCluster(lifetimeSeconds: number): Promise<DemoCluster> {
  const { controlPlaneMissing } = await import('../cluster/fixtures/assets.ts');
  if (controlPlaneMissing() !== undefined) {
    return fakeCluster(await startFakeCluster({ lifetimeMs: lifetimeSeconds * 1000, backdateMs: 0 }));
  }
  const { startControlPlane } = await import('../cluster/fixtures/control-plane.ts');
  return realCluster(await startControlPlane({ usableSeconds: lifetimeSeconds * REAL_SLOWNESS }));
}

function fakeCluster(cluster: FakeCluster): DemoCluster {
  return {
    slowness: 1,
    title: 'a throw-away cluster (an API server of the test suite)',
    bootstrapKubeconfig: cluster.bootstrapKubeconfig(),
    approve: async (csr) => cluster.approve(csr),
    stop: () => cluster.stop(),
    start: () => cluster.start(),
    close: () => cluster.close(),
  };
}

async function realCluster(plane: ControlPlane): Promise<DemoCluster> {
  const { TOKEN_GROUP } = await import('../cluster/fixtures/objects.ts');
  const token = await plane.createBootstrapToken({
    id: 'abcdef',
    secret: '0123456789abcdef',
    extraGroups: [TOKEN_GROUP],
  });
  const { readFileSync } = await import('node:fs');
  const ca = readFileSync(plane.caPath).toString('base64');
  const { version } = plane.abilities;
  return {
    slowness: REAL_SLOWNESS,
    title: `a throw-away control plane (etcd, kube-apiserver and kube-controller-manager ${version})`,
    // JSON is YAML.
    bootstrapKubeconfig: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'kubernetes', cluster: { server: plane.server, 'certificate-authority-data': ca } }],
      users: [{ name: 'bootstrap', user: { token } }],
      contexts: [{ name: 'bootstrap', context: { cluster: 'kubernetes', user: 'bootstrap' } }],
      'current-context': 'bootstrap',
    }),
    approve: (csr) => plane.approve(csr),
    stop: () => plane.stopApiServer(),
    start: () => plane.startApiServer(),
    close: () => plane.close(false),
  };
}
