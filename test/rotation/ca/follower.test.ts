/** The cluster's CA changes, on a fake clock: what the node trusts, what its kubelet holds, and that nobody begins anew. */
import t, { type Test } from 'tap';
import { caPinOf } from '../../../src/discovery/ca-pin.ts';
import { CertletError } from '../../../src/errors.ts';
import { CLUSTER_CA, readTrustedCas } from '../../../src/kubeconfig/trusted-ca.ts';
import { TRUST_BUNDLE_SIGNER } from '../../../src/rotation/ca/publication.ts';
import type { FollowOptions } from '../../../src/rotation/rotation-context.ts';
import type { ClusterCaSnapshot } from '../../../src/rotation/snapshot.ts';
import { parseChain } from '../../../src/pki/certificate.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { FakePublication } from '../../fixtures/fakes/cluster-ca.ts';
import { CLUSTER, DAY, FakeHost, type HostOptions, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { absent, BOOTSTRAP_PATH, NODE_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';

const OLD = createAuthority({ name: 'kubernetes' }).pem;
const NEW = createAuthority({ name: 'kubernetes' }).pem;
const OWN_FILE = '/pki/cluster-ca.crt';
const FOLLOW: FollowOptions = {
  source: 'cluster-info',
  refreshMs: HOUR,
  // A day takes as many rounds as six hours, and minutes of the test's own time.
  verifiedForMs: 6 * HOUR,
  ownFile: OWN_FILE,
  rootCommand: (pins) => `certlet join HOST:PORT ${pins.join(' ')}`,
};
const ADDED = 'Trusting another CA of the cluster';
const REMOVED = 'No longer trusting a CA of the cluster';
const TOKEN = { kind: 'token', token: new Secret('abcdef.0123456789abcdef') } as const;

interface Played {
  readonly host: FakeHost;
  readonly cluster: FakePublication;
}

/** A node that has joined while the cluster had the old CA alone. */
async function joined(t: Test, options: HostOptions = {}): Promise<Played> {
  const host = new FakeHost({ followCa: FOLLOW, kubeletVersion: 'v1.20.2', ...options });
  t.teardown(() => host.stop());
  host.api.lifetimeMs = 3650 * DAY;
  const cluster = new FakePublication(OLD);
  cluster.playOn(host.api);
  host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: OLD }, TOKEN);
  await host.bootstrap();
  return { host, cluster };
}

const fingerprint = (pem: string): string => readTrustedCas(pem)[0]?.fingerprint ?? '';

/** Fingerprints of what the node's kubeconfig trusts. */
function trusted({ kubeconfigs: { node } }: FakeHost): readonly string[] {
  if (node.kind !== 'usable') throw new Error('no usable kubeconfig');
  return readTrustedCas(node.config.cluster.caPem).map((ca) => ca.fingerprint);
}

function followed(host: FakeHost): ClusterCaSnapshot {
  const { clusterCa } = host.agent?.snapshot() ?? {};
  if (clusterCa === undefined) throw new Error('nothing is followed');
  return clusterCa;
}

const wishes = (host: FakeHost): number => host.rotations.filter(({ purpose }) => purpose === CLUSTER_CA).length;
const asBootstrap = (host: FakeHost, since: number): number =>
  host.api.calls.slice(since).filter(({ what, as }) => what === 'create' && as === 'bootstrap').length;

t.test('off: nothing is asked for, whatever is published', async (t) => {
  const { host, cluster } = await joined(t, { followCa: undefined });
  cluster.published = [OLD, NEW];
  await host.clock.advance(3 * HOUR);
  t.equal(host.count('request'), 0);
  t.strictSame(trusted(host), [fingerprint(OLD)]);
  t.equal(host.agent?.snapshot().clusterCa, undefined);
});

t.test('a published CA is trusted beside the old one, and the kubelet is restarted once for it', async (t) => {
  const { host, cluster } = await joined(t);
  cluster.published = [OLD, NEW];
  await host.until(() => trusted(host).length === 2, 2 * HOUR);
  t.strictSame(trusted(host), [fingerprint(OLD), fingerprint(NEW)]);
  t.match(host.log.of(ADDED), [{ level: 'info', fields: { fingerprint: fingerprint(NEW), subject: 'CN=kubernetes' } }]);
  t.match(host.events.at(-1), { kind: 'trusted', purpose: CLUSTER_CA });
  await host.clock.advance(3 * HOUR);
  t.equal(wishes(host), 1);
  t.match(host.rotations.at(-1), { kubeconfigPath: NODE_PATH, after: { lastStaticKubelet: Number.POSITIVE_INFINITY } });
  t.strictSame(
    followed(host).kubelet?.lacks.map((ca) => ca.fingerprint),
    [fingerprint(NEW)],
  );
  host.clusterCa.run = 'run 2';
  await host.clock.advance(2 * MINUTE);
  t.equal(followed(host).kubelet, undefined, 'it was restarted');
  t.equal(wishes(host), 1);
});

t.test(
  'a CA came and went while the restart for it waited: the kubelet was restarted, and nothing changed',
  async (t) => {
    const { host, cluster } = await joined(t);
    cluster.published = [OLD, NEW];
    await host.until(() => wishes(host) === 1, 2 * HOUR);
    cluster.published = [OLD];
    await host.until(() => wishes(host) === 2, 3 * DAY);
    t.strictSame(trusted(host), [fingerprint(OLD)]);
    t.strictSame(host.rotations.at(-1)?.after, {}, 'nothing is wanted any more');
    t.equal(followed(host).kubelet, undefined);
    await host.clock.advance(3 * HOUR);
    t.equal(wishes(host), 2, 'said once');
  },
);

t.test('the wish for a restart tells until when the kubelet can do with what it holds', async (t) => {
  const { host, cluster } = await joined(t);
  cluster.published = [OLD, NEW];
  await host.until(() => wishes(host) === 1, 2 * HOUR);
  const ends = parseChain(OLD).leaf.notAfter;
  t.has(host.rotations.at(-1)?.replaced, { notBefore: host.clock.now(), notAfter: ends, selfSigned: false });
  t.equal(host.rotations.at(-1)?.urgent, undefined);
});

t.test('the servers switch before the window in which the kubelet is restarted: it waits no longer', async (t) => {
  const followCa = { ...FOLLOW, restartsWait: true };
  const { host, cluster } = await joined(t, { followCa });
  cluster.published = [OLD, NEW];
  await host.until(() => wishes(host) === 1, 2 * HOUR);
  await host.clock.advance(3 * HOUR);
  t.equal(wishes(host), 1, 'the kubelet verifies the server');
  cluster.signers[''] = NEW;
  await host.until(() => wishes(host) === 2, HOUR);
  t.match(host.rotations.at(-1), { purpose: CLUSTER_CA, urgent: true });
  await host.clock.advance(3 * HOUR);
  t.equal(wishes(host), 2, 'said once');
});

t.test(
  'the clock was set back by a year while a restart waited: the kubelet was cut off, and nobody looked',
  async (t) => {
    const followCa = { ...FOLLOW, restartsWait: true };
    const { host, cluster } = await joined(t, { followCa });
    cluster.published = [OLD, NEW];
    await host.until(() => wishes(host) === 1, 2 * HOUR);
    await host.clock.advance(HOUR);
    cluster.signers[''] = NEW;
    await host.clock.step(-365 * DAY);
    await host.clock.advance(HOUR);
    t.equal(wishes(host), 2);
  },
);

t.test('and nobody asks where restarts wait for no window', async (t) => {
  const { host, cluster } = await joined(t);
  cluster.published = [OLD, NEW];
  await host.until(() => wishes(host) === 1, 2 * HOUR);
  cluster.signers[''] = NEW;
  await host.clock.advance(3 * HOUR);
  t.equal(wishes(host), 1);
});

t.test('the bootstrap kubeconfig of the day of joining does not take the CA of that day back', async (t) => {
  const { host, cluster } = await joined(t);
  cluster.published = [OLD, NEW];
  await host.until(() => trusted(host).length === 2, 2 * HOUR);
  await host.restart();
  await host.clock.advance(2 * HOUR);
  t.equal(trusted(host).length, 2);
  t.strictSame(host.log.of('Taking over the cluster entry of the bootstrap kubeconfig'), []);
});

t.test('a request that waits for days does not put back the CA of when it was made', async (t) => {
  const { host, cluster } = await joined(t);
  host.api.approve = 'manual';
  await host.agent?.renew(['client']);
  await host.until(() => host.api.pendingNames.length === 1, HOUR);
  cluster.published = [OLD, NEW];
  await host.until(() => trusted(host).length === 2, 2 * HOUR);
  const before = host.leaf('client').serial;
  for (const name of host.api.pendingNames) host.api.approveRequest(name);
  await host.until(() => host.leaf('client').serial !== before, HOUR);
  t.equal(trusted(host).length, 2);
  t.equal(host.log.of(ADDED).length, 1);
});

t.test(
  'the whole rotation: old, both, another certificate for the server, the new one alone; nobody begins anew',
  async (t) => {
    const { host, cluster } = await joined(t);
    const since = host.api.calls.length;
    cluster.published = [OLD, NEW];
    await host.clock.advance(2 * HOUR);
    cluster.signers[''] = NEW;
    await host.clock.advance(9 * HOUR);
    t.equal(trusted(host).length, 2, 'the old one is published still');
    cluster.published = [NEW];
    await host.clock.advance(5 * HOUR);
    t.equal(trusted(host).length, 2, 'not long enough yet');
    t.match(followed(host), { going: [{ fingerprint: fingerprint(OLD) }], waits: [/long enough/] });
    await host.clock.advance(4 * HOUR);
    t.strictSame(trusted(host), [fingerprint(NEW)]);
    t.match(host.log.of(REMOVED), [{ fields: { fingerprint: fingerprint(OLD) } }]);
    t.equal(wishes(host), 2);
    await host.restart(HOUR);
    await host.clock.advance(3 * HOUR);
    t.strictSame(
      trusted(host),
      [fingerprint(NEW)],
      'the bootstrap kubeconfig has the old one still, and offers nothing',
    );
    t.equal(asBootstrap(host, since), 0);
    t.equal(host.thrown, undefined);
  },
);

t.test('a certificate that ended while the node was off brought the CA of the day of joining back', async (t) => {
  const { host, cluster } = await joined(t);
  // Whoever joined it in the middle of a rotation gave it both.
  cluster.published = [OLD, NEW];
  await host.clock.advance(2 * HOUR);
  host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: OLD + NEW }, TOKEN);
  cluster.signers[''] = NEW;
  cluster.published = [NEW];
  await host.clock.advance(12 * HOUR);
  t.strictSame(trusted(host), [fingerprint(NEW)]);
  const since = host.api.calls.length;
  await host.restart(11 * 365 * DAY);
  await host.clock.advance(10 * MINUTE);
  t.equal(asBootstrap(host, since), 1);
  t.strictSame(trusted(host), [fingerprint(NEW)]);
});

t.test('a bootstrap credential of the day of joining was of no use once the CA of that day had gone', async (t) => {
  const { host, cluster } = await joined(t);
  cluster.published = [OLD, NEW];
  await host.clock.advance(2 * HOUR);
  cluster.signers[''] = NEW;
  cluster.published = [NEW];
  await host.clock.advance(12 * HOUR);
  await host.restart(11 * 365 * DAY);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.isUpToDate, true, 'shown to the cluster under the CAs that were followed since');
  t.strictSame(trusted(host), [fingerprint(NEW)]);
});

t.test('a node that slept through a change and was joined anew left its kubelet without the new CA', async (t) => {
  const { host, cluster } = await joined(t);
  await host.stop();
  cluster.published = [NEW];
  cluster.signers[''] = NEW;
  host.clusterCa.run = 'run after the power came back';
  const before = wishes(host);
  await host.restart(DAY);
  await host.clock.advance(3 * HOUR);
  host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: NEW }, TOKEN);
  host.agent?.filesChanged();
  await host.clock.advance(3 * HOUR);
  t.strictSame(trusted(host), [fingerprint(NEW)]);
  t.equal(wishes(host), before + 1, 'it runs with the CA of before and is restarted');
});

t.test('an old CA that a server needs stays, however long it is gone from what is published', async (t) => {
  const { host, cluster } = await joined(t);
  cluster.published = [OLD, NEW];
  await host.clock.advance(2 * HOUR);
  cluster.published = [NEW];
  await host.clock.advance(12 * HOUR);
  t.equal(trusted(host).length, 2);
  t.match(followed(host).waits, [/does not hold without/]);
});

t.test('a server that is known and does not answer keeps the old CA', async (t) => {
  const { host, cluster } = await joined(t);
  const other = 'https://other.test:6443';
  host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: OLD, server: other }, TOKEN);
  host.api.fault = ({ server }) => (server === other ? new CertletError('ERR_API_UNREACHABLE', 'no route') : undefined);
  cluster.published = [OLD, NEW];
  await host.clock.advance(2 * HOUR);
  cluster.signers[''] = NEW;
  cluster.published = [NEW];
  await host.clock.advance(9 * HOUR);
  t.equal(trusted(host).length, 2);
  t.match(followed(host).waits, [/other\.test:6443 does not answer/]);
});

t.test('where nobody may read cluster-info the node does, and where it may not either the Role is named', async (t) => {
  const { host, cluster } = await joined(t);
  const { answers } = host.api;
  host.api.answers = (path, as) => (as === 'node' ? answers(path, as) : new CertletError('ERR_API_FORBIDDEN', '403'));
  cluster.published = [OLD, NEW];
  await host.until(() => trusted(host).length === 2, 2 * HOUR);
  host.api.answers = () => new CertletError('ERR_API_FORBIDDEN', '403');
  await host.clock.advance(3 * HOUR);
  t.match(followed(host).trouble, { code: 'ERR_API_FORBIDDEN', remedy: /rbac\/cluster-info\.yaml/ });
  const told = host.log.of('Cannot follow the CA of the cluster').filter(({ level }) => level === 'warn');
  t.ok(told.length > 1 && told.length <= 9, `five times in an hour and two in each one after: ${String(told.length)}`);
  t.equal(trusted(host).length, 2, 'what cannot be read changes nothing');
  host.api.answers = answers;
  await host.clock.advance(2 * HOUR);
  t.equal(followed(host).trouble, undefined);
});

for (const { name, published } of [
  { name: 'nothing', published: '' },
  { name: 'no PEM', published: 'nonsense' },
  { name: 'a server certificate', published: createAuthority({ name: 'x' }).issue().certPem },
  { name: 'a CA that has expired', published: createAuthority({ name: 'x', notAfter: new Date('2026-01-01') }).pem },
]) {
  t.test(`the cluster publishes ${name}: what is trusted stays`, async (t) => {
    const { host, cluster } = await joined(t);
    cluster.published = [published];
    await host.clock.advance(9 * HOUR);
    t.strictSame(trusted(host), [fingerprint(OLD)]);
    t.equal(wishes(host), 0);
  });
}

t.test(
  'a node that was off while the servers changed names the CA that it misses, and what mends that keeps its key',
  async (t) => {
    const { host, cluster } = await joined(t);
    await host.stop();
    cluster.published = [NEW];
    cluster.signers[''] = NEW;
    const issuerKeyId = 'AB:CD';
    const dates = { notBefore: new Date(), notAfter: new Date() };
    host.api.glimpsed = {
      certificate: { subject: 'CN=kube-apiserver', issuer: 'CN=kubernetes', names: '', ...dates, issuerKeyId },
    };
    const since = host.api.calls.length;
    await host.restart(30 * DAY);
    await host.clock.advance(HOUR);
    const { serial, fingerprint: certificate } = host.leaf('client');
    t.match(followed(host).trouble, {
      code: 'ERR_API_TLS',
      message:
        /signed by CN=kubernetes \(key id AB:CD\), which this node does not trust; it trusts CN=kubernetes \(sha256/,
      remedy: /: certlet join cluster\.test:6443 --token-file FILE --discovery-token-ca-cert-hash sha256:HASH --force /,
    });
    t.strictSame(trusted(host), [fingerprint(OLD)], 'what a stranger publishes is not taken over');
    // That is what certlet join writes.
    const token = { kind: 'token', token: new Secret('fresh1.0123456789abcdef') } as const;
    host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: NEW }, token);
    host.agent?.filesChanged([BOOTSTRAP_PATH]);
    await host.clock.advance(HOUR);
    t.strictSame(trusted(host), [fingerprint(NEW)]);
    t.match(host.leaf('client'), { serial, fingerprint: certificate });
    t.equal(asBootstrap(host, since), 0);
    t.equal(wishes(host), 1, 'its kubelet holds the old one');
    t.equal(followed(host).trouble, undefined);
  },
);

t.test(
  'where root writes the kubeconfig nothing is written, and the command has the pins of what is published',
  async (t) => {
    const { host, cluster } = await joined(t);
    await host.stop();
    host.options = { ...host.options, manageKubeconfig: false };
    cluster.published = [OLD, NEW];
    const { writes } = host.kubeconfigs;
    await host.restart();
    await host.clock.advance(2 * HOUR);
    t.equal(host.kubeconfigs.writes, writes);
    t.strictSame(trusted(host), [fingerprint(OLD)]);
    const pins = [OLD, NEW].flatMap((pem) => parseChain(pem).certificates.map(caPinOf));
    t.match(host.agent?.snapshot().kubeconfig, {
      path: NODE_PATH,
      command: `certlet join HOST:PORT ${pins.join(' ')}`,
    });
    t.equal(host.log.of('The kubeconfig has to be written anew, which is left to root').length, 1);
    host.kubeconfigs.node = usable(
      NODE_PATH,
      { ...CLUSTER, caPem: OLD + NEW },
      { kind: 'certificate', chainPem: '', keyPem: new Secret('') },
      [host.store.currentPath('client')],
    );
    host.agent?.filesChanged([NODE_PATH]);
    await host.clock.advance(2 * HOUR);
    t.equal(host.agent?.snapshot().kubeconfig, undefined, 'root has done it');
    t.equal(wishes(host), 1, 'and the kubelet has to read it');
  },
);

t.test('with caFile the kubeconfig names the file, and a kubelet that reads it again needs no restart', async (t) => {
  const { host, cluster } = await joined(t, { caFile: OWN_FILE, kubeletVersion: 'v1.36.2' });
  const named = (): unknown => host.kubeconfigs.node.kind === 'usable' && host.kubeconfigs.node.config.cluster.caPath;
  t.equal(named(), OWN_FILE);
  cluster.published = [OLD, NEW];
  await host.until(() => trusted(host).length === 2, 2 * HOUR);
  await host.clock.advance(HOUR);
  t.equal(named(), OWN_FILE);
  t.equal(wishes(host), 0);
  t.equal(followed(host).kubelet, undefined);
});

t.test(
  'a CA file that certlet did not make is not written: the kubelet may take it for the CAs of its callers',
  async (t) => {
    const { host, cluster } = await joined(t);
    await host.stop();
    const foreign = '/etc/kubernetes/pki/ca.crt';
    const { node } = host.kubeconfigs;
    if (node.kind !== 'usable') throw new Error('no kubeconfig');
    const { credential, files, cluster: entry } = node.config;
    host.kubeconfigs.node = usable(NODE_PATH, { ...entry, caPath: foreign }, credential, files);
    cluster.published = [OLD, NEW];
    const { writes } = host.kubeconfigs;
    await host.restart();
    await host.clock.advance(3 * HOUR);
    t.equal(host.kubeconfigs.writes, writes);
    t.match(followed(host).refused, [/caFile is not set: \/etc\/kubernetes\/pki\/ca\.crt/]);
    t.match(host.log.of('The cluster publishes a CA that is not trusted'), [{ level: 'warn' }]);
    t.equal(host.log.of('The cluster publishes a CA that is not trusted').length, 1, 'once, however often it is read');
  },
);

t.test(
  'CAs with names of pages filled the record of what the kubelet holds, until it could not be read again',
  async (t) => {
    const { host, cluster } = await joined(t);
    cluster.published = [OLD, createAuthority({ name: 'x'.repeat(60_000) }).pem];
    await host.until(() => trusted(host).length === 2, 2 * HOUR);
    host.clusterCa.run = 'run 2';
    await host.clock.advance(HOUR);
    t.ok(host.clusterCa.text.length < 10_000, String(host.clusterCa.text.length));
  },
);

t.test('ClusterTrustBundles: those of the signer of API servers alone, in whatever version is served', async (t) => {
  const { host, cluster } = await joined(t, { followCa: { ...FOLLOW, source: 'clusterTrustBundle' } });
  const stranger = createAuthority({ name: 'other' }).pem;
  host.api.answers = (path, as) => {
    const served = as === 'node' && path.startsWith('/apis/certificates.k8s.io/v1beta1/clustertrustbundles');
    if (!served) return new CertletError('ERR_API_NOT_FOUND', '404');
    const bundle = (signerName: string, trustBundle: string): unknown => ({ spec: { signerName, trustBundle } });
    return { items: [bundle('example.com/other', stranger), bundle(TRUST_BUNDLE_SIGNER, cluster.published.join(''))] };
  };
  cluster.published = [OLD, NEW];
  await host.clock.advance(3 * HOUR);
  t.strictSame(trusted(host), [fingerprint(OLD), fingerprint(NEW)]);
  host.api.answers = () => ({ items: [] });
  await host.clock.advance(9 * HOUR);
  t.match(followed(host).trouble, { code: 'ERR_API_NOT_FOUND' });
  t.equal(trusted(host).length, 2);
});

t.test('a kubeconfig without a CA, or without verification, follows nothing', async (t) => {
  const { host } = await joined(t);
  await host.stop();
  const { node } = host.kubeconfigs;
  if (node.kind !== 'usable') throw new Error('no kubeconfig');
  const { credential, files } = node.config;
  host.kubeconfigs.node = usable(NODE_PATH, { server: CLUSTER.server, insecureSkipTlsVerify: true }, credential, files);
  host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
  host.api.tls = () => undefined;
  host.api.calls.length = 0;
  await host.restart();
  await host.clock.advance(2 * HOUR);
  t.match(followed(host).trouble, { code: 'ERR_KUBECONFIG_INVALID', message: /switches verification off/ });
  t.equal(host.count('request'), 0);
});
