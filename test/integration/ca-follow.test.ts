/** The cluster's CA changes, over real TLS and a real disk: what the kubeconfigs trust at each moment, and what a hostile publication comes to. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { assembleAgent, systemClock } from '../../src/assembly.ts';
import { loadSettings } from '../../src/config.ts';
import { caPinOf } from '../../src/discovery/ca-pin.ts';
import { CLUSTER_CA, readTrustedCas } from '../../src/kubeconfig/trusted-ca.ts';
import { parseYaml } from '../../src/kubeconfig/yaml.ts';
import { parseChain } from '../../src/pki/certificate.ts';
import type { Clock, RotationEvent } from '../../src/ports.ts';
import type { Agent } from '../../src/rotation/agent.ts';
import type { ClusterCaSnapshot } from '../../src/rotation/snapshot.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { type FakeCluster, type FakeClusterOptions, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { eventually } from '../fixtures/eventually.ts';
import { FakeLogger } from '../fixtures/fakes/logger.ts';
import { NodeFolder } from './program.ts';
import { proxyEntry } from './two-more.ts';

const DAY_MS = 86_400_000;
const PATIENCE_SECONDS = 60;
const ADDED = 'Trusting another CA of the cluster';
const REMOVED = 'No longer trusting a CA of the cluster';
const REFUSED = 'The cluster publishes a CA that is not trusted';
const UNREAD = 'Cannot follow the CA of the cluster';

/** The real clock, until a test lets a day pass: for the cluster, too. */
class ShiftedClock implements Clock {
  aheadMs = 0;
  readonly #inner = systemClock();

  now(): Date {
    return new Date(this.#inner.now().getTime() + this.aheadMs);
  }

  sleepUntil(deadline: Date, signal: AbortSignal): Promise<void> {
    return this.#inner.sleepUntil(new Date(deadline.getTime() - this.aheadMs), signal);
  }
}

interface Trusted {
  /** The file that it names; undefined where the CAs stand in it. */
  readonly file: string | undefined;
  readonly fingerprints: readonly string[];
}

/** What a kubeconfig trusts, in the form that it has. */
function trustedIn(path: string): Trusted {
  const document = parseYaml(readFileSync(path, 'utf8'), path).value as {
    readonly clusters: readonly { readonly cluster: Readonly<Record<string, string>> }[];
  };
  const { 'certificate-authority-data': data, 'certificate-authority': file } = document.clusters[0]?.cluster ?? {};
  const pem = file === undefined ? Buffer.from(data ?? '', 'base64').toString('utf8') : readFileSync(file, 'utf8');
  return { file, fingerprints: readTrustedCas(pem).map(({ fingerprint }) => fingerprint) };
}

/** A node with a real agent, which reads what the cluster publishes every second. */
class Node {
  readonly log = new FakeLogger();
  readonly told: RotationEvent[] = [];
  readonly folder: NodeFolder;
  readonly cluster: FakeCluster;
  readonly clock: ShiftedClock;
  readonly agent: Agent;
  readonly #stop = new AbortController();
  readonly #run: Promise<void>;

  constructor(folder: NodeFolder, cluster: FakeCluster, clock: ShiftedClock) {
    this.folder = folder;
    this.cluster = cluster;
    this.clock = clock;
    const filePath = folder.file('config.yaml');
    const fileText = readFileSync(filePath, 'utf8');
    const settings = loadSettings({ flags: {}, fileText, filePath, osHostname: folder.name });
    this.agent = assembleAgent(settings, {
      log: this.log,
      clock,
      environment: {},
      version: '0.0.0',
      userId: process.getuid?.() ?? 0,
      after: { announce: async () => undefined, rotated: async (event) => void this.told.push(event) },
      observer: { observe: () => undefined },
      onTick: () => undefined,
      hurry: true,
    });
    this.#run = this.agent.run(this.#stop.signal);
  }

  get kubeconfig(): string {
    return this.folder.file('kubelet.conf');
  }

  get followed(): ClusterCaSnapshot {
    const { clusterCa } = this.agent.snapshot();
    if (clusterCa === undefined) throw new Error('nothing is followed');
    return clusterCa;
  }

  /** Waits for it, and sees at each look that the kubeconfig is never empty, never over twenty, and always verifies the server in use. */
  async until(what: string, holds: () => boolean): Promise<void> {
    await eventually(
      what,
      () => {
        const { fingerprints } = trustedIn(this.kubeconfig);
        const inUse = fingerprintOf(this.cluster.serverCa.pem);
        const sound = fingerprints.length > 0 && fingerprints.length <= 20 && fingerprints.includes(inUse);
        if (!sound) this.unsound.push(`${what}: ${fingerprints.join()}`);
        return holds() || undefined;
      },
      PATIENCE_SECONDS,
    );
  }

  readonly unsound: string[] = [];

  /** So many more readings, or failures to read, come to their end. */
  async rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round += 1) {
      const before = this.#roundAt;
      await eventually('a further reading', () => this.#roundAt !== before || undefined, PATIENCE_SECONDS);
    }
  }

  get #roundAt(): number {
    const { readAt, trouble } = this.followed;
    return Math.max(readAt?.getTime() ?? 0, trouble?.at.getTime() ?? 0);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }
}

const fingerprintOf = (pem: string): string => readTrustedCas(pem)[0]?.fingerprint ?? '';

async function joined(t: Test, more = '', options: FakeClusterOptions = {}): Promise<Node> {
  const clock = new ShiftedClock();
  const cluster = await startFakeCluster({
    approveServing: true,
    approval: 'automatic',
    now: () => clock.now(),
    ...options,
  });
  t.teardown(() => cluster.close());
  const folder = new NodeFolder(t.testdir({}));
  const rotation =
    'rotation: {minimumSpacing: 1s, addressDebounce: 0s, startSpread: 0s, clusterCARefresh: 1s, nodeRefresh: 1s}';
  folder.writeSettings(['followClusterCA: cluster-info', 'rotateServerCertificates: false', rotation, more].join('\n'));
  folder.writeBootstrap(cluster.bootstrapKubeconfig());
  const node = new Node(folder, cluster, clock);
  t.teardown(() => node.stop());
  await eventually(
    'the first certificate',
    () => (node.followed.readAt !== undefined ? true : undefined),
    PATIENCE_SECONDS,
  );
  return node;
}

for (const { name, more, file } of [
  { name: 'inside the kubeconfig', more: '', file: undefined },
  { name: 'in a file beside the pairs', more: 'caFile: true', file: 'pki/cluster-ca.crt' },
]) {
  t.test(`the CA changes from old to both to new, ${name}`, async (t) => {
    const node = await joined(t, more);
    const { cluster, kubeconfig } = node;
    const [old, fresh] = [cluster.serverCa, createAuthority({ name: 'kubernetes' })];
    const [first, second] = [fingerprintOf(old.pem), fingerprintOf(fresh.pem)];
    const named = file === undefined ? undefined : node.folder.file(file);
    t.strictSame(trustedIn(kubeconfig), { file: named, fingerprints: [first] });

    cluster.publishes = old.pem + fresh.pem;
    await node.until('both to be trusted', () => trustedIn(kubeconfig).fingerprints.length === 2);
    t.strictSame(trustedIn(kubeconfig), { file: named, fingerprints: [first, second] });
    await node.until('the kubelet to be wanted restarted', () =>
      node.told.some(({ purpose }) => purpose === CLUSTER_CA),
    );

    cluster.rotateServerCa(fresh);
    cluster.closeConnections();
    const { serial } = node.agent.snapshot().managers[0]?.certificate ?? {};
    await node.rounds(2);
    t.equal(node.followed.trouble, undefined, 'the new certificate of the server holds');

    cluster.publishes = fresh.pem;
    await node.until('the old one to be on its way', () => node.followed.going.length === 1);
    await node.rounds(5);
    t.strictSame(
      trustedIn(kubeconfig).fingerprints,
      [first, second],
      'not within the day, however often it was verified',
    );
    node.clock.aheadMs = DAY_MS;
    await node.until('the new one alone', () => trustedIn(kubeconfig).fingerprints.length === 1);
    t.strictSame(trustedIn(kubeconfig), { file: named, fingerprints: [second] });
    t.strictSame(node.unsound, [], 'never empty, never over twenty, never without the CA of the server in use');
    await node.until('both changes to be told', () => node.log.of(ADDED).length + node.log.of(REMOVED).length >= 2);
    t.equal(node.log.of(ADDED).length, 1);
    t.equal(node.log.of(REMOVED).length, 1);
    t.equal(node.agent.snapshot().managers[0]?.certificate?.serial, serial, 'the same certificate');
    const bootstraps = cluster.csrs.filter(({ username }) => username.startsWith('system:bootstrap:'));
    t.equal(bootstraps.length, 1, 'nobody began anew');
  });
}

t.test('the program of another certificate is told of its kubeconfig when that trusts another CA', async (t) => {
  const node = await joined(t);
  await node.stop();
  node.folder.writeSettings(
    [
      'followClusterCA: cluster-info',
      'rotateServerCertificates: false',
      'rotation: {minimumSpacing: 1s, startSpread: 0s, clusterCARefresh: 1s, nodeRefresh: 1s}',
      proxyEntry(node.folder),
    ].join('\n'),
  );
  const again = new Node(node.folder, node.cluster, node.clock);
  t.teardown(() => again.stop());
  const proxy = node.folder.file('kube-proxy.conf');
  await eventually('its request', () =>
    node.cluster.csrs.find(({ signerName }) => signerName === 'kubernetes.io/kube-apiserver-client'),
  );
  const request = node.cluster.csrs.find(({ signerName }) => signerName === 'kubernetes.io/kube-apiserver-client');
  node.cluster.approve(request?.name ?? '');
  await eventually('its pair', () => again.told.find(({ purpose }) => purpose === 'kube-proxy'));
  const old = node.cluster.serverCa;
  node.cluster.publishes = old.pem + createAuthority({ name: 'kubernetes' }).pem;
  const told = await eventually(
    'its program to be told',
    () => again.told.find(({ cause }) => cause === 'kubeconfig'),
    PATIENCE_SECONDS,
  );
  t.match(told, { purpose: 'kube-proxy', after: { reload: 'kube-proxy' }, kubeconfigPath: proxy });
  t.equal(trustedIn(proxy).fingerprints.length, 2, 'by then it has the new one');
});

const NOW = new Date();
const years = (count: number): Date => new Date(NOW.getTime() + count * 365 * DAY_MS);
const many = (count: number, options: Partial<Parameters<typeof createAuthority>[0]> = {}): string =>
  Array.from({ length: count }, (_, index) => createAuthority({ ...options, name: `ca-${String(index)}` }).pem).join(
    '',
  );
const served = (cluster: FakeCluster, body: string): void =>
  void cluster.faults.add({ kind: 'answer', body, contentType: 'application/json' }, { path: /cluster-info/ });

const hostile: readonly {
  readonly name: string;
  readonly arrange: (cluster: FakeCluster) => void;
  readonly says: string;
  readonly why: RegExp;
}[] = [
  {
    name: 'no PEM',
    arrange: (cluster) => void (cluster.publishes = 'nonsense'),
    says: UNREAD,
    why: /no certificate in it can be parsed|certificate-authority-data/,
  },
  {
    name: 'PEM with a broken certificate',
    arrange: (cluster) => void (cluster.publishes = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
    says: UNREAD,
    why: /no certificate in it can be parsed/,
  },
  {
    name: 'twenty further CAs, which would be 21 with the present one',
    arrange: (cluster) => void (cluster.publishes = cluster.serverCa.pem + many(20)),
    says: REFUSED,
    why: /one of 21 CAs, and no more than 20/,
  },
  {
    name: 'what is no CA',
    arrange: (cluster) =>
      void (cluster.publishes = cluster.serverCa.pem + createAuthority({ name: 'x' }).issue().certPem),
    says: REFUSED,
    why: /no CA by its basic constraints/,
  },
  {
    name: 'CAs that have expired',
    arrange: (cluster) =>
      void (cluster.publishes = cluster.serverCa.pem + many(3, { notBefore: years(-9), notAfter: years(-1) })),
    says: REFUSED,
    why: /it has expired/,
  },
  {
    name: 'more than anybody reads',
    arrange: (cluster) => served(cluster, `"${'x'.repeat(9 * 1024 * 1024)}"`),
    says: UNREAD,
    why: /larger than 8 MiB/,
  },
  {
    name: 'no ConfigMap',
    arrange: (cluster) => served(cluster, '{"data":{"kubeconfig":["x"]}}'),
    says: UNREAD,
    why: /kubeconfig/,
  },
  {
    name: 'a kubeconfig that is an alias bomb',
    arrange(cluster) {
      const lines = [
        'a: &a0 [x, x]',
        ...Array.from(
          { length: 40 },
          (_, index) => `b${String(index)}: &a${String(index + 1)} [*a${String(index)}, *a${String(index)}]`,
        ),
      ];
      served(cluster, JSON.stringify({ data: { kubeconfig: lines.join('\n') } }));
    },
    says: UNREAD,
    why: /./,
  },
  {
    name: 'its own CA, over a connection that no CA in hand has signed',
    arrange(cluster) {
      const stranger = createAuthority({ name: 'kubernetes' });
      cluster.publishes = cluster.serverCa.pem + stranger.pem;
      cluster.rotateServerCa(stranger);
      cluster.closeConnections();
    },
    says: UNREAD,
    why: /is signed by CN=kubernetes .*which this node does not trust/,
  },
];
for (const { name, arrange, says, why } of hostile) {
  t.test(`a hostile cluster-info changes nothing and is told once: ${name}`, async (t) => {
    const node = await joined(t);
    const before = readFileSync(node.kubeconfig, 'utf8');
    arrange(node.cluster);
    await eventually(
      `the journal to say "${says}"`,
      () => (node.log.of(says).length > 0 ? true : undefined),
      PATIENCE_SECONDS,
    );
    await node.rounds(2);
    t.equal(readFileSync(node.kubeconfig, 'utf8'), before);
    const loud = node.log.of(says).filter(({ level }) => level === 'warn');
    t.equal(loud.length, 1, 'once');
    const [line] = node.log.of(says);
    t.match(String(line?.fields['why'] ?? line?.fields['error']), why);
    t.strictSame(node.log.of(ADDED), []);
    t.notOk(
      node.told.some(({ purpose }) => purpose === CLUSTER_CA),
      'no kubelet is restarted for it',
    );
  });
}

t.test(
  'a node that was off, and follows nothing: certlet join with the new hash, and identity and key are the same',
  async (t) => {
    const cluster = await startFakeCluster({ approveServing: true });
    t.teardown(() => cluster.close());
    const node = new NodeFolder(t.testdir({}));
    node.writeSettings('rotateServerCertificates: false');
    node.writeBootstrap(cluster.bootstrapKubeconfig());
    const first = node.run('run');
    t.teardown(() => first.end('SIGKILL'));
    await first.said('Certificate is current');
    await first.end();
    const pair = readFileSync(join(node.path, 'pki/kubelet-client-current.pem'), 'utf8');
    const before = cluster.csrs.length;
    const fresh = createAuthority({ name: 'kubernetes' });
    cluster.rotateServerCa(fresh);
    const late = node.run('run');
    t.teardown(() => late.end('SIGKILL'));
    await late.said('Could not prove the client certificate');
    const [said] = late.of('Could not prove the client certificate');
    t.match(String(said?.['error']), /is signed by CN=kubernetes \(key id [\w:]+\), which this node does not trust/);
    t.match(
      String(said?.['do']),
      /: certlet join --config \S+ 127\.0\.0\.1:\d+ --token-file FILE --discovery-token-ca-cert-hash sha256:HASH --force/,
    );
    const check = node.run('check');
    await check.exited;
    t.match(check.text.join('\n'), /do: .*: certlet join --config \S+ 127\.0\.0\.1:\d+ --token-file FILE/);
    const pin = parseChain(fresh.pem).certificates.map(caPinOf).join();
    const token = ['--token', 'abcdef.0123456789abcdef', '--discovery-token-ca-cert-hash', pin];
    const join2 = node.run('join', cluster.url.replace('https://', ''), ...token, '--force');
    t.equal(await join2.exited, 0, join2.text.join('\n'));
    await late.said('Taking over the cluster entry of the bootstrap kubeconfig');
    await eventually(
      'the new CA',
      () => trustedIn(node.file('kubelet.conf')).fingerprints.includes(fingerprintOf(fresh.pem)) || undefined,
    );
    t.equal(
      readFileSync(join(node.path, 'pki/kubelet-client-current.pem'), 'utf8'),
      pair,
      'the same certificate and the same key',
    );
    t.equal(cluster.csrs.length, before, 'and nothing was asked for');
    t.equal(await late.end(), 0);
  },
);
