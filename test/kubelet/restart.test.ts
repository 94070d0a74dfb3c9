import { CLUSTER_ENTRY } from '../../src/kubeconfig/trusted-ca.ts';
import t from 'tap';
import { KUBELET_CLIENT_AFTER, KUBELET_SERVING_AFTER } from '../../src/csr/spec.ts';
import { CLUSTER_CA } from '../../src/kubeconfig/trusted-ca.ts';
import { kubeletPlan, restartForecast } from '../../src/kubelet/restart.ts';

const client = (kubeletVersion: string | undefined) => ({
  purpose: 'client',
  after: KUBELET_CLIENT_AFTER,
  kubeletVersion,
});
const serving = (kubeletVersion: string | undefined) => ({
  purpose: 'serving',
  after: KUBELET_SERVING_AFTER,
  kubeletVersion,
});

for (const row of [
  { name: 'kubelet 1.17 reads its client certificate once', version: 'v1.17.17', kind: 'restart' },
  { name: 'kubelet 1.18 reads it again', version: 'v1.18.0', kind: 'none' },
  { name: 'kubelet 1.9, the oldest', version: 'v1.9.11', kind: 'restart' },
  { name: 'a pre-release of 1.18 may lack that', version: 'v1.18.0-beta.0', kind: 'restart' },
  { name: 'a cloud suffix is no pre-release', version: 'v1.18.9-eks-d1db3c', kind: 'none' },
  { name: 'a vendor suffix is no pre-release', version: 'v1.18.1+k3s1', kind: 'none' },
  { name: 'without the v', version: '1.20.2', kind: 'none' },
  { name: 'without a patch level', version: '1.17', kind: 'restart' },
  { name: 'a second major version', version: 'v2.0.0', kind: 'none' },
  { name: 'before the first major version', version: 'v0.21.0', kind: 'restart' },
  { name: 'a version that is not known yet', version: undefined, kind: 'learn version' },
  { name: 'a Node that tells none yet', version: '', kind: 'learn version' },
  { name: 'a version that nobody understands is not known to need it', version: 'Kubernetes', kind: 'none' },
]) {
  t.test(`kubeletPlan, a client certificate: ${row.name}`, async (t) => {
    t.equal(kubeletPlan(client(row.version), 'auto').kind, row.kind);
    t.strictSame(kubeletPlan(client(row.version), 'never'), { kind: 'none' });
    t.match(kubeletPlan(client(row.version), 'always'), { kind: 'restart', prove: false });
  });
}

t.test('kubeletPlan, a serving certificate: what is served decides, whatever the version', async (t) => {
  for (const version of ['v1.20.2', 'v1.33.0', 'v1.36.2', undefined]) {
    t.strictSame(kubeletPlan(serving(version), 'auto'), { kind: 'prove', restartIfStale: true });
    t.strictSame(kubeletPlan(serving(version), 'never'), { kind: 'prove', restartIfStale: false });
    t.match(kubeletPlan(serving(version), 'always'), { kind: 'restart', prove: true });
  }
});

for (const row of [
  { name: 'in a file, kubelet 1.36 reads it again', version: 'v1.36.2', lastStaticKubelet: 35, kind: 'none' },
  { name: 'in a file, kubelet 1.35 does not', version: 'v1.35.3', lastStaticKubelet: 35, kind: 'restart' },
  { name: 'in its kubeconfig no kubelet does', version: 'v2.0.0', lastStaticKubelet: Infinity, kind: 'restart' },
  { name: 'a version that is not known yet', version: undefined, lastStaticKubelet: 35, kind: 'restart' },
  { name: 'a Node that tells none yet', version: '', lastStaticKubelet: 35, kind: 'restart' },
  { name: 'a version that nobody understands', version: 'Kubernetes', lastStaticKubelet: 35, kind: 'restart' },
]) {
  t.test(`kubeletPlan, the CA of the cluster: ${row.name}`, async (t) => {
    const { version: kubeletVersion, lastStaticKubelet, kind } = row;
    const change = { purpose: CLUSTER_CA, after: { lastStaticKubelet }, kubeletVersion };
    t.equal(kubeletPlan(change, 'auto').kind, kind);
    t.equal(restartForecast(change) !== undefined, kind === 'restart', 'as the keeper of the wish expects');
    t.strictSame(kubeletPlan(change, 'never'), { kind: 'none' });
    t.match(kubeletPlan(change, 'always'), { kind: 'restart', prove: false });
  });
}

t.test('kubeletPlan: a certificate of another program is none of its business', async (t) => {
  const after = { reload: 'nginx', served: { host: '127.0.0.1', port: 443, withinMs: 1 } };
  t.strictSame(kubeletPlan({ purpose: 'nginx', after, kubeletVersion: 'v1.9.0' }, 'always'), { kind: 'none' });
});

for (const kubeletVersion of [undefined, 'v1.20.2', 'v1.36.2'])
  t.test(
    `kubeletPlan: another cluster entry is read by no kubelet that runs, ${kubeletVersion ?? 'unknown'}`,
    async (t) => {
      const change = { purpose: CLUSTER_ENTRY, after: { lastStaticKubelet: Number.POSITIVE_INFINITY }, kubeletVersion };
      t.match(kubeletPlan(change, 'auto'), { kind: 'restart', prove: false });
      t.strictSame(kubeletPlan(change, 'never'), { kind: 'none' });
    },
  );

t.test('kubeletPlan: a kubelet that reads its CA file again was restarted for another CA in it', async (t) => {
  const change = { purpose: CLUSTER_ENTRY, after: { lastStaticKubelet: 35 } };
  t.strictSame(kubeletPlan({ ...change, kubeletVersion: 'v1.36.2' }, 'auto'), { kind: 'none' });
  for (const kubeletVersion of ['v1.35.0', undefined])
    t.match(kubeletPlan({ ...change, kubeletVersion }, 'auto'), { kind: 'restart', prove: false });
});

t.test('kubeletPlan: the reason names version and purpose', async (t) => {
  t.match(kubeletPlan(client('v1.17.2'), 'auto'), {
    reason: 'kubelet v1.17.2 does not take over a new client certificate while it runs',
  });
});

for (const row of [
  { name: 'kubelet 1.30 reads its serving certificate once', change: serving('v1.30.14'), restart: true },
  { name: 'kubelet 1.35 shows a new one to some clients only', change: serving('v1.35.9'), restart: true },
  { name: 'kubelet 1.36 serves a new one to all', change: serving('v1.36.2'), restart: false },
  { name: 'a pre-release of 1.36 may lack that', change: serving('v1.36.0-beta.0'), restart: true },
  { name: 'a client certificate of 1.17', change: client('v1.17.2'), restart: true },
  { name: 'a client certificate of 1.18', change: client('v1.18.0'), restart: false },
  { name: 'a version that is not known', change: serving(undefined), restart: true },
  { name: 'a version that nobody understands', change: client('soon'), restart: true },
  { name: 'of another program', change: { ...client('v1.9.0'), after: { reload: 'x' } }, restart: false },
]) {
  t.test(`restartForecast: ${row.name}`, async (t) => {
    t.equal(restartForecast(row.change) !== undefined, row.restart);
  });
}
