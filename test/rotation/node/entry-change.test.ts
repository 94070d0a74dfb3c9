/** Which changes of the kubelet's kubeconfig the host is told of: a running kubelet reads it no more. */
import t from 'tap';
import type { FollowOptions } from '../../../src/rotation/rotation-context.ts';
import { entryChange } from '../../../src/rotation/node/entry-change.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { absent, NODE_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';

const [OLD, NEW] = [createAuthority({ name: 'kubernetes' }).pem, createAuthority({ name: 'kubernetes' }).pem];
const CA_FILE = '/pki/cluster-ca.crt';
const NAMED = { server: 'https://a.test:6443', caPem: OLD, insecureSkipTlsVerify: false };
const TOKEN = { kind: 'token', token: new Secret('t') } as const;
const FOLLOWED: FollowOptions = {
  source: 'cluster-info',
  refreshMs: 1,
  verifiedForMs: 1,
  ownFile: CA_FILE,
  rootCommand: () => 'certlet join',
};
const OPTIONS = { manageKubeconfig: true, kubeconfigPath: NODE_PATH, followCa: undefined, caFile: undefined };
const [STATIC, REREAD] = [Number.POSITIVE_INFINITY, 35];

for (const { name, before = NAMED, to, options = {}, lastStaticKubelet } of [
  { name: 'the same, with other blanks', to: { ...NAMED, caPem: `${OLD}\n` } },
  { name: 'another server', to: { ...NAMED, server: 'https://b.test:6443' }, lastStaticKubelet: STATIC },
  { name: 'another name in the certificate', to: { ...NAMED, tlsServerName: 'b' }, lastStaticKubelet: STATIC },
  { name: 'another CA', to: { ...NAMED, caPem: NEW }, lastStaticKubelet: STATIC },
  { name: 'another CA, which is followed', to: { ...NAMED, caPem: NEW }, options: { followCa: FOLLOWED } },
  {
    name: 'another server and CA, which is followed',
    to: { ...NAMED, server: 'https://b.test:6443', caPem: NEW },
    options: { followCa: FOLLOWED },
    lastStaticKubelet: STATIC,
  },
  {
    name: 'another CA in the file that the kubelet may read again',
    before: { ...NAMED, caPath: CA_FILE },
    to: { ...NAMED, caPem: NEW },
    options: { caFile: CA_FILE },
    lastStaticKubelet: REREAD,
  },
  {
    name: 'another CA, from now on in a file',
    to: { ...NAMED, caPem: NEW },
    options: { caFile: CA_FILE },
    lastStaticKubelet: STATIC,
  },
  { name: 'where root writes it', to: { ...NAMED, caPem: NEW }, options: { manageKubeconfig: false } },
]) {
  t.test(`entryChange: ${name}`, async (t) => {
    const change = entryChange(usable(NODE_PATH, before, TOKEN), to, { ...OPTIONS, ...options });
    t.equal(change?.after.lastStaticKubelet, lastStaticKubelet);
  });
}

t.test('entryChange: a first kubeconfig is read by the first start', async (t) => {
  t.equal(entryChange(absent(NODE_PATH), NAMED, OPTIONS), undefined);
});
