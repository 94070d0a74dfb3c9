import t from 'tap';
import { KUBELET_CLIENT_AFTER, KUBELET_SERVING_AFTER } from '../../src/csr/spec.ts';
import { kubeletRestartReasons } from '../../src/kubelet/restart.ts';

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
  { name: 'kubelet 1.17 reads its client certificate once', change: client('v1.17.17'), restart: true },
  { name: 'kubelet 1.18 reads it again', change: client('v1.18.0'), restart: false },
  { name: 'kubelet 1.9, the oldest', change: client('v1.9.11'), restart: true },
  { name: 'kubelet 1.30 reads its serving certificate once', change: serving('v1.30.14'), restart: true },
  { name: 'kubelet 1.31 shows a new one to some clients only', change: serving('v1.31.0'), restart: true },
  { name: 'kubelet 1.35 still does', change: serving('v1.35.9'), restart: true },
  { name: 'kubelet 1.36 serves a new one to all', change: serving('v1.36.2'), restart: false },
  { name: 'a pre-release of 1.36 may lack that', change: serving('v1.36.0-beta.0'), restart: true },
  { name: 'a pre-release of 1.37 has it', change: serving('v1.37.0-alpha.1'), restart: false },
  { name: 'a vendor suffix is no pre-release', change: serving('v1.36.1+k3s1'), restart: false },
  { name: 'a cloud suffix is no pre-release', change: client('v1.18.9-eks-d1db3c'), restart: false },
  { name: 'without the v', change: client('1.20.2'), restart: false },
  { name: 'without a patch level', change: client('1.17'), restart: true },
  { name: 'a second major version', change: serving('v2.0.0'), restart: false },
  { name: 'before the first major version', change: client('v0.21.0'), restart: true },
  { name: 'an unknown version', change: client(undefined), restart: true },
  { name: 'no version at all', change: serving('Kubernetes'), restart: true },
]) {
  t.test(`kubeletRestartReasons: ${row.name}`, async (t) => {
    t.equal(kubeletRestartReasons(row.change, 'auto').length > 0, row.restart);
    t.same(kubeletRestartReasons(row.change, 'never'), []);
    t.same(kubeletRestartReasons(row.change, 'always'), ['the settings ask for a restart after each rotation']);
  });
}

t.test('kubeletRestartReasons: the reason names version and purpose', async (t) => {
  t.same(kubeletRestartReasons(serving('v1.20.2'), 'auto'), [
    'kubelet v1.20.2 does not take over a new serving certificate while it runs',
  ]);
  t.same(kubeletRestartReasons(serving(undefined), 'auto'), ['the kubelet version is not known']);
  t.same(kubeletRestartReasons(serving('soon'), 'auto'), ['kubelet version soon is not understood']);
});
