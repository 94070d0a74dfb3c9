/**
 * Kubernetes' manual rotation of CA certificates on a real control plane: old, old and new, servers with certificates of the new CA, the signer switched, the
 * old one removed. A fleet follows it; one node is off during the middle of it.
 */
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { assembleAgent, systemClock } from '../../src/assembly.ts';
import { loadSettings } from '../../src/config.ts';
import { caPinOf } from '../../src/discovery/ca-pin.ts';
import { CLUSTER_CA, readTrustedCas } from '../../src/kubeconfig/trusted-ca.ts';
import { parseYaml } from '../../src/kubeconfig/yaml.ts';
import type { Clock, RotationEvent } from '../../src/ports.ts';
import type { Agent } from '../../src/rotation/agent.ts';
import type { AgentSnapshot } from '../../src/rotation/snapshot.ts';
import { eventually } from '../fixtures/eventually.ts';
import { FakeLogger } from '../fixtures/fakes/logger.ts';
import { createFileAuthority } from './fixtures/certificates.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { TOKEN_GROUP } from './fixtures/objects.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

const NODES = 20;
const DAY_MS = 86_400_000;
/** For what twenty nodes do that look every second, on a machine with other work. */
const PATIENCE_SECONDS = 90;
const quick = { rotation: { minimumSpacing: '1s', startSpread: '0s', clusterCARefresh: '1s' } };

/** The real clock, until a test lets a day pass. */
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

/** CAs in a kubeconfig, by fingerprint. */
function trustedIn(path: string): readonly string[] {
  const document = parseYaml(readFileSync(path, 'utf8'), path).value as {
    readonly clusters: readonly { readonly cluster: Readonly<Record<string, string>> }[];
  };
  const data = document.clusters[0]?.cluster['certificate-authority-data'] ?? '';
  return readTrustedCas(Buffer.from(data, 'base64').toString('utf8')).map(({ fingerprint }) => fingerprint);
}

/** One node of the fleet: a real agent over a folder of its own. */
class FleetNode {
  readonly name: string;
  readonly clock = new ShiftedClock();
  readonly log = new FakeLogger();
  readonly told: RotationEvent[] = [];
  readonly kubeconfig: string;
  readonly agent: Agent;
  readonly #stop = new AbortController();
  readonly #run: Promise<void>;

  constructor(plane: ControlPlane, index: number, bootstrapText: string) {
    this.name = `fleet-${String(index)}`;
    const folder = join(plane.folder, 'nodes', this.name);
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const at = (name: string): string => join(folder, name);
    writeFileSync(at('bootstrap.conf'), bootstrapText, { mode: 0o600 });
    this.kubeconfig = at('kubelet.conf');
    const fileText = JSON.stringify({
      bootstrapKubeconfig: at('bootstrap.conf'),
      kubeconfig: this.kubeconfig,
      certDir: at('pki'),
      runtimeDir: at('run'),
      hostnameOverride: this.name,
      rotateServerCertificates: false,
      followClusterCA: 'cluster-info',
      ...quick,
    });
    const settings = loadSettings({ flags: {}, fileText, filePath: at('config.yaml'), osHostname: this.name });
    this.agent = assembleAgent(settings, {
      log: this.log,
      clock: this.clock,
      environment: {},
      version: '0.0.0',
      userId: process.getuid?.() ?? 0,
      after: { rotated: async (event) => void this.told.push(event), announce: async () => undefined },
      observer: { observe: () => undefined },
      onTick: () => undefined,
      hurry: true,
    });
    this.#run = this.agent.run(this.#stop.signal);
  }

  get snapshot(): AgentSnapshot {
    return this.agent.snapshot();
  }

  get issuer(): string | undefined {
    return this.snapshot.managers[0]?.certificate?.issuer;
  }

  get wishes(): number {
    return this.told.filter(({ purpose }) => purpose === CLUSTER_CA).length;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#run;
  }
}

/** Waits until it holds for every node, and names one for which it does not. */
async function all(what: string, nodes: readonly FleetNode[], holds: (node: FleetNode) => boolean): Promise<void> {
  await eventually(what, () => nodes.every(holds) || undefined, PATIENCE_SECONDS).catch((error: unknown) => {
    const late = nodes.filter((node) => !holds(node));
    const trouble = late.map(({ name, snapshot, clock }) => {
      const { trouble, waits, readAt } = snapshot.clusterCa ?? {};
      return `${name}: ${JSON.stringify({ trouble, waits, readAt, now: clock.now() })}`;
    });
    throw new Error(`${what}:\n${trouble.join('\n')}`, { cause: error });
  });
}

const fingerprintOf = (pem: string): string => readTrustedCas(pem)[0]?.fingerprint ?? '';

await withControlPlane(t, { clusterInfo: true }, (plane) => {
  t.test(
    'a fleet follows the rotation of the CA, and a node that was off names what it misses and keeps its key',
    async (t) => {
      const pki = join(plane.folder, 'pki');
      const fresh = await createFileAuthority(pki, 'kubernetes-ca-2');
      const [old, both] = [plane.authority, join(pki, 'both.crt')];
      writeFileSync(both, old.authority.pem + fresh.authority.pem);
      const names = { dnsNames: ['localhost', 'kubernetes'], ipAddresses: ['127.0.0.1'] };
      const serving = await fresh.issue('apiserver-2', { commonName: 'kube-apiserver', ...names });
      const admin = await fresh.issue('admin-2', { organizations: ['system:masters'], commonName: 'test-admin' });
      const [first, second] = [fingerprintOf(old.authority.pem), fingerprintOf(fresh.authority.pem)];

      const late = hostFor(t, plane, 'late', {
        followClusterCA: 'cluster-info',
        rotateServerCertificates: false,
        ...quick,
      });
      late.bootstrapWith(staticUsers.automatic.token);
      const bootstrapText = readFileSync(late.bootstrapKubeconfig, 'utf8');
      const nodes = Array.from({ length: NODES }, (_, index) => new FleetNode(plane, index, bootstrapText));
      t.teardown(() => Promise.all(nodes.map((node) => node.stop())));
      const before = late.start();
      const pair = await late.issued('client', { seconds: PATIENCE_SECONDS });
      await all('the first certificates', nodes, ({ snapshot }) => snapshot.upToDate);
      await before.end();
      const begun = (await plane.csrs()).filter(({ spec }) => spec.username === staticUsers.automatic.user).length;

      // Old and new: whose client certificates are taken, then what is published.
      await plane.changeCas({ clients: both }, { trusted: both });
      await plane.publishClusterInfo(both);
      await all('both CAs trusted', nodes, ({ kubeconfig }) => trustedIn(kubeconfig).length === 2);
      await all('a restart of the kubelet wanted', nodes, ({ wishes }) => wishes === 1);

      // Servers with certificates of the new CA, and the signer.
      await plane.changeCas({ serving, signer: fresh.files }, { trusted: both });
      const changedAt = Date.now();
      await all('the new server followed', nodes, ({ snapshot: { clusterCa } }) => {
        return clusterCa?.trouble === undefined && (clusterCa?.readAt?.getTime() ?? 0) > changedAt;
      });
      for (const node of nodes) await node.agent.renew(['client']);
      await all('certificates of the new CA', nodes, ({ issuer }) => issuer === `CN=${fresh.authority.name}`);

      // The node that was off all the while.
      const returned = late.start();
      const said = await returned.line(/Cannot follow the CA of the cluster/, PATIENCE_SECONDS);
      t.match(
        String(said.fields['error']),
        /is signed by CN=kubernetes-ca-2.*which this node does not trust; it trusts CN=kubernetes-ca /,
      );
      t.match(
        String(said.fields['do'] ?? said.fields['remedy']),
        /: certlet join --config \S+ 127\.0\.0\.1:\d+ --token-file FILE --discovery-token-ca-cert-hash sha256:HASH --force/,
      );
      t.strictSame(trustedIn(late.kubeconfig), [first]);
      const token = await plane.createBootstrapToken({
        id: 'late01',
        secret: '0123456789abcdef',
        extraGroups: [TOKEN_GROUP],
      });
      const file = join(late.folder, 'token');
      writeFileSync(file, `${token}\n`, { mode: 0o600 });
      const pin = caPinOf(new X509Certificate(fresh.authority.pem));
      const endpoint = plane.server.replace('https://', '');
      const hash = ['--discovery-token-ca-cert-hash', pin];
      const joining = late.start(['join', endpoint, '--token-file', file, ...hash, '--force']);
      t.equal((await joining.exited).code, 0, joining.output);
      t.match(joining.output, /keeps identity and key/);
      await eventually(
        'the late node to trust both',
        () => trustedIn(late.kubeconfig).includes(second) || undefined,
        PATIENCE_SECONDS,
      );
      t.equal(late.current('client')?.pem, pair.pem, 'the same certificate and the same key');
      await returned.end();
      const renewal = late.start(['renew', 'client']);
      t.equal((await renewal.exited).code, 0, renewal.output);

      // The old one goes.
      await plane.changeCas({ clients: fresh.files.certificate }, { trusted: fresh.files.certificate, admin });
      await plane.publishClusterInfo(fresh.files.certificate);
      await all('the old CA noticed as gone', nodes, ({ snapshot }) => (snapshot.clusterCa?.waits.length ?? 0) > 0);
      for (const { kubeconfig } of nodes.slice(0, 3)) t.equal(trustedIn(kubeconfig).length, 2, 'not within the day');
      for (const { clock } of nodes) clock.aheadMs = DAY_MS;
      await all('the new CA alone', nodes, ({ kubeconfig }) => trustedIn(kubeconfig).join() === second);
      const ended = (await plane.csrs()).filter(({ spec }) => spec.username === staticUsers.automatic.user).length;
      t.equal(ended, begun, 'nobody began anew');
      t.strictSame(
        (await plane.csrs()).filter(({ spec }) => spec.username === 'system:bootstrap:late01'),
        [],
      );
      const faults = nodes.flatMap(({ log }) => log.entries.filter(({ level }) => level === 'error'));
      t.strictSame(
        faults.map(({ event }) => event),
        [],
      );
    },
  );
});
