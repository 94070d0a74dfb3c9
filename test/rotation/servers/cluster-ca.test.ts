/** Several API servers while the cluster's CA changes: who is asked, which of them keeps a CA, and that neither puts back what the other has written. */
import t, { type Test } from 'tap';
import type { CertletError } from '../../../src/errors.ts';
import { readTrustedCas } from '../../../src/kubeconfig/trusted-ca.ts';
import type { FollowOptions } from '../../../src/rotation/rotation-context.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { FakePublication } from '../../fixtures/fakes/cluster-ca.ts';
import { CLUSTER, DAY, FakeHost, type HostOptions, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { BOOTSTRAP_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';

const OLD = createAuthority({ name: 'kubernetes' }).pem;
const NEW = createAuthority({ name: 'kubernetes' }).pem;
const A = CLUSTER.server;
const B = 'https://b.test:6443';
const FOLLOW: FollowOptions = {
  source: 'cluster-info',
  refreshMs: HOUR,
  verifiedForMs: 6 * HOUR,
  ownFile: '/pki/cluster-ca.crt',
  rootCommand: (pins) => `certlet join HOST:PORT ${pins.join(' ')}`,
};
const TOKEN = { kind: 'token', token: new Secret('abcdef.0123456789abcdef') } as const;

class Played extends FakeHost {
  readonly cluster = new FakePublication(OLD);
  readonly #down = new Set<string>();

  constructor(options: HostOptions) {
    super({ followCa: FOLLOW, kubeletVersion: 'v1.20.2', servers: [B], ...options });
    this.api.lifetimeMs = 3650 * DAY;
    this.cluster.playOn(this.api);
    this.api.fault = ({ server }): CertletError | undefined =>
      this.#down.has(server) ? apiFault('ERR_API_UNREACHABLE', 'connect ECONNREFUSED') : undefined;
    const { tls } = this.api;
    // Who does not answer shows no certificate.
    this.api.tls = (cluster) => (this.#down.has(cluster.server) ? undefined : tls(cluster));
    this.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: OLD }, TOKEN);
  }

  down(server: string): void {
    this.#down.add(server);
    this.api.breakWatches(apiFault('ERR_API_UNREACHABLE', 'the connection broke'));
  }

  up(server: string): void {
    this.#down.delete(server);
  }

  /** What the node's kubeconfig says: its server, and how many CAs it trusts. */
  get named(): { readonly server: string; readonly cas: readonly string[] } {
    const { node } = this.kubeconfigs;
    if (node.kind !== 'usable') throw new Error('no usable kubeconfig');
    const { server, caPem } = node.config.cluster;
    return { server, cas: readTrustedCas(caPem).map(({ fingerprint }) => fingerprint) };
  }

  get waits(): readonly string[] {
    return this.agent?.snapshot().clusterCa?.waits ?? [];
  }
}

const marks = (...pems: readonly string[]): readonly string[] =>
  pems.map((pem) => readTrustedCas(pem)[0]?.fingerprint ?? '');

async function joined(t: Test, options: HostOptions = {}): Promise<Played> {
  const host = new Played(options);
  t.teardown(() => host.stop());
  await host.bootstrap();
  return host;
}

t.test("a new CA is read from the next server where the kubeconfig's does not answer", async (t) => {
  const host = await joined(t);
  host.down(A);
  host.cluster.published = [OLD, NEW];
  await host.clock.advance(3 * HOUR);
  t.strictSame(host.named, { server: A, cas: marks(OLD, NEW) });
  t.equal(host.agent?.snapshot().clusterCa?.trouble, undefined);
});

t.test('an old CA that a further server of the settings needs stays, though nobody uses that server', async (t) => {
  const host = await joined(t);
  host.cluster.published = [OLD, NEW];
  await host.clock.advance(2 * HOUR);
  host.cluster.signers[''] = NEW;
  host.cluster.signers[B] = OLD;
  host.cluster.published = [NEW];
  await host.clock.advance(12 * HOUR);
  t.strictSame(host.named.cas, marks(OLD, NEW));
  t.strictSame(host.waits, [`the certificate of ${B} does not hold without them`]);
  host.down(B);
  await host.clock.advance(2 * HOUR);
  t.strictSame(host.waits, [`${B} does not answer`]);
  host.up(B);
  host.cluster.signers[B] = NEW;
  await host.clock.advance(10 * HOUR);
  t.strictSame(host.named.cas, marks(NEW));
});

t.test('a server that the cluster has named keeps an old CA as well', async (t) => {
  const host = await joined(t, { servers: [], serversFromEndpoints: true });
  const found = 'https://10.0.0.1:6443';
  host.api.endpoints = {
    subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ name: 'https', port: 6443 }] }],
  };
  host.cluster.published = [OLD, NEW];
  await host.clock.advance(2 * HOUR);
  t.strictSame(host.servers.record.found, [found]);
  host.cluster.signers[''] = NEW;
  host.cluster.signers[found] = OLD;
  host.cluster.published = [NEW];
  await host.clock.advance(9 * HOUR);
  t.strictSame(host.waits, [`the certificate of ${found} does not hold without them`]);
});

t.test('a kubeconfig that moves to another server goes on trusting what was followed', async (t) => {
  const host = await joined(t, { moveKubeconfigMs: 10 * MINUTE });
  host.cluster.published = [OLD, NEW];
  await host.clock.advance(2 * HOUR);
  host.down(A);
  await host.until(() => host.named.server === B, HOUR);
  t.strictSame(host.named.cas, marks(OLD, NEW));
  await host.restart();
  await host.clock.advance(2 * HOUR);
  t.strictSame(
    host.named,
    { server: B, cas: marks(OLD, NEW) },
    'the bootstrap kubeconfig of before offers neither its server nor its CA',
  );
});

t.test('a CA that is followed while the move is being proven is not put back', async (t) => {
  const host = await joined(t, { moveKubeconfigMs: 10 * MINUTE });
  const { kubeconfigs } = host;
  const { write } = host.servers;
  host.servers.write = async (record) => {
    await write.call(host.servers, record);
    const { node } = kubeconfigs;
    // Between the note of the move and the kubeconfig somebody makes that trust another CA.
    if (record.move?.owed === true && node.kind === 'usable' && node.config.cluster.server === A)
      kubeconfigs.node = { ...node, config: { ...node.config, cluster: { ...node.config.cluster, caPem: OLD + NEW } } };
  };
  host.down(A);
  await host.until(() => host.named.server === B, HOUR);
  t.strictSame(host.named.cas, marks(OLD, NEW));
});

t.test('a request that waits for days does not put back the server of when it was made', async (t) => {
  const host = await joined(t, { moveKubeconfigMs: 10 * MINUTE });
  host.api.approve = 'manual';
  await host.agent?.renew(['client']);
  await host.until(() => host.api.pendingNames.length === 1, HOUR);
  host.down(A);
  await host.until(() => host.named.server === B, HOUR);
  const before = host.leaf('client').serial;
  for (const name of host.api.pendingNames) host.api.approveRequest(name);
  await host.until(() => host.leaf('client').serial !== before, HOUR);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.named.server, B);
  t.equal(host.restarts.length, 1);
});

t.test('a kubeconfig that somebody writes for a third server while it is to move stays as it is', async (t) => {
  const host = await joined(t, { moveKubeconfigMs: 10 * MINUTE });
  const third = 'https://third.test:6443';
  const { kubeconfigs } = host;
  const { write } = host.servers;
  host.servers.write = async (record) => {
    await write.call(host.servers, record);
    const { node } = kubeconfigs;
    if (record.move?.owed === true && node.kind === 'usable' && node.config.cluster.server === A)
      kubeconfigs.node = { ...node, config: { ...node.config, cluster: { ...node.config.cluster, server: third } } };
  };
  host.down(A);
  await host.until(() => host.named.server === third, HOUR);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.named.server, third);
  t.equal(host.servers.record.move, undefined, 'nothing is noted of a move that was none');
  t.equal(host.restarts.length, 0);
});
