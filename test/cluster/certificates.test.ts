/** Four certificates of one node: the kubelet's two, kube-proxy's, and one of a signer that is no part of Kubernetes, as config/certificates has them. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { parseYaml } from '../../src/kubeconfig/yaml.ts';
import { asset } from './fixtures/assets.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { MONITORING_APPROVERS, startCustomSigner } from './fixtures/custom-signer.ts';
import type { CustomSigner } from './fixtures/custom-signer.ts';
import type { CsrObject } from './fixtures/csr-object.ts';
import { eventually } from '../fixtures/eventually.ts';
import { pairAt } from './fixtures/host.ts';
import type { CurrentPair, Settings, TestHost } from './fixtures/host.ts';
import { runWell } from './fixtures/processes.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

/** What is left of a certificate's life when it is issued. Rotation is due at about half of it. */
const USABLE_SECONDS = 40;
const config = resolve(import.meta.dirname, '../../config');

/** Who decides about the requests for each signer, besides the stock approver; nobody does for example.com/never. */
const APPROVERS: Readonly<Record<string, string>> = {
  'kubernetes.io/kubelet-serving': 'node-certificate-approvers',
  'kubernetes.io/kube-apiserver-client': 'client-certificate-approvers',
  'example.com/monitoring': MONITORING_APPROVERS,
};

/** An example as it is shipped, but for the places of its files: all below this host's folder. */
function example(name: string, host: TestHost): Settings {
  const text = readFileSync(join(config, `certificates/${name}.yaml`), 'utf8');
  const here = text
    .replaceAll('/var/lib/certlet/certs', join(host.folder, 'certs'))
    .replaceAll('/etc/kubernetes', host.folder);
  const [entry, ...rest] = (parseYaml(here, name).value as { certificates: readonly Settings[] }).certificates;
  if (entry === undefined || rest.length > 0) throw new Error(`${name}.yaml has not one certificate`);
  return entry;
}

const never: Settings = {
  name: 'stuck',
  signerName: 'example.com/never',
  commonName: 'stuck-{nodeName}',
  usages: ['digital signature', 'client auth'],
};

function settings(host: TestHost, certificates: readonly Settings[]): Settings {
  return {
    certificatesDir: join(host.folder, 'certs'),
    certificates,
    rotation: { minimumSpacing: '1s', startSpread: '0s', pruneGrace: '0s', proofRetry: '5s' },
  };
}

const linkOf = (host: TestHost, name: string): string => join(host.folder, `certs/${name}/${name}-current.pem`);

/** As a person of the group that our manifests name. */
const approveAs = (plane: ControlPlane, { metadata, spec }: CsrObject): Promise<string> =>
  plane.kubectl([
    'certificate',
    'approve',
    metadata.name,
    '--as=jane',
    `--as-group=${APPROVERS[spec.signerName ?? ''] ?? 'nobody'}`,
    '--as-group=system:authenticated',
  ]);

const isPending = ({ status }: CsrObject): boolean => (status.conditions ?? []).length === 0;

/** Approves whatever has an approver until the test ends. */
function keepApproving(plane: ControlPlane): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const work = (async () => {
    while (!stopped.signal.aborted) {
      const waiting = await eventually(
        'a request to approve',
        async () => (await plane.csrs()).find((csr) => isPending(csr) && Object.hasOwn(APPROVERS, signerOf(csr))),
        1,
      ).catch(() => undefined);
      if (waiting !== undefined) await approveAs(plane, waiting);
    }
  })();
  return {
    stop: () => {
      stopped.abort();
      return work;
    },
  };
}

const signerOf = ({ spec }: CsrObject): string => spec.signerName ?? '';

const pendingFor = (plane: ControlPlane, signerName: string): Promise<CsrObject> =>
  eventually(`a pending request for ${signerName}`, async () =>
    (await plane.csrs()).find((csr) => isPending(csr) && signerOf(csr) === signerName),
  );

/** Takes the flag as certlet-reload@NAME.path does, and counts. */
class FlagTaker {
  taken = 0;
  readonly #stopped = new AbortController();
  readonly #work: Promise<void>;

  constructor(flag: string) {
    this.#work = (async () => {
      while (!this.#stopped.signal.aborted) {
        const raised = await eventually('the flag', () => existsSync(flag) || undefined, 1).catch(() => false);
        if (!raised) continue;
        rmSync(flag);
        this.taken += 1;
      }
    })();
  }

  stop(): Promise<void> {
    this.#stopped.abort();
    return this.#work;
  }
}

/** The pairs of the node by name; each signed by the authority that should. */
function pairs(
  plane: ControlPlane,
  host: TestHost,
  signer: CustomSigner,
): Readonly<Record<string, () => CurrentPair | undefined>> {
  const cluster = plane.authority.authority.pem;
  return {
    client: () => host.current('client'),
    serving: () => host.current('serving'),
    'kube-proxy': () => pairAt(linkOf(host, 'kube-proxy'), cluster),
    'node-exporter': () => pairAt(linkOf(host, 'node-exporter'), signer.authority.authority.pem),
  };
}

const issued = (name: string, read: () => CurrentPair | undefined, notThis?: CurrentPair): Promise<CurrentPair> =>
  eventually(
    `another ${name} pair`,
    () => {
      const pair = read();
      return pair?.byCluster === true && pair.leaf.serialNumber !== notThis?.leaf.serialNumber ? pair : undefined;
    },
    USABLE_SECONDS,
  );

await withControlPlane(t, { usableSeconds: USABLE_SECONDS }, async (plane) => {
  for (const manifest of ['rbac/kube-proxy.yaml', 'certificates/custom-signer-rbac.yaml'])
    await plane.kubectl(['apply', '-f', join(config, manifest)]);
  const signer = await startCustomSigner(plane, {
    signerName: 'example.com/monitoring',
    lifetimeSeconds: USABLE_SECONDS,
  });
  t.teardown(() => signer.service.stop());

  t.test('one daemon keeps four certificates; a fifth whose signer never answers holds up none of them', async (t) => {
    const host = hostFor(t, plane, 'four');
    // As root does once, for the group that is to read the key; the group of this process will do.
    const folder = join(host.folder, 'certs/node-exporter');
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o2750);
    host.settings(settings(host, [never, example('kube-proxy', host)]));
    host.bootstrapWith(staticUsers.automatic.token);
    const flags = new FlagTaker(join(host.folder, 'run/reload/kube-proxy'));
    t.teardown(() => flags.stop());
    const certlet = host.start();
    const read = pairs(plane, host, signer);

    const proxy = await pendingFor(plane, 'kubernetes.io/kube-apiserver-client');
    t.equal(proxy.spec.username, 'system:node:four', 'the node asks');
    const told = await certlet.line(/waits for approval.*kube-proxy/);
    t.match(told.fields, { remedy: `kubectl certificate approve ${proxy.metadata.name}` });
    await approveAs(plane, proxy);
    await issued('kube-proxy', () => read['kube-proxy']?.());
    // What a reload comes upon undone is done again: at least once, not once.
    await certlet.line(/Hook done.*kube-proxy/);
    const kubeconfig = join(host.folder, 'kube-proxy.kubeconfig');
    await eventually('the kubeconfig', () => existsSync(kubeconfig) || undefined);
    const kubectl = ['--kubeconfig', kubeconfig, '--cache-dir', join(host.folder, 'kubectl-cache')];
    const listed = await runWell(asset('kubectl') ?? '', [...kubectl, 'get', 'endpointslices,services,nodes', '-A']);
    t.match(listed, /service\/kubernetes/, 'kube-proxy sees what it needs');
    const asked = plane.requests({ user: 'system:kube-proxy' });
    for (const resource of ['endpointslices', 'services', 'nodes'])
      t.ok(
        asked.some((request) => request.resource === resource && request.status === 200),
        resource,
      );

    // Added to a daemon that runs, by a reload.
    host.settings(settings(host, [never, example('kube-proxy', host), example('node-exporter', host)]));
    certlet.signal('SIGHUP');
    const monitoring = await pendingFor(plane, 'example.com/monitoring');
    t.equal(monitoring.spec.expirationSeconds, undefined, 'no lifetime is asked for unless the settings say one');
    const approver = keepApproving(plane);
    t.teardown(() => approver.stop());

    await Promise.all(
      Object.entries(read).map(async ([name, current]) => {
        let pair = await issued(name, current);
        for (const turn of ['first', 'second']) {
          const next = await issued(name, current, pair);
          t.ok(Date.now() < Date.parse(pair.leaf.validTo), `${name}: the ${turn} rotation came before expiry`);
          pair = next;
        }
      }),
    );
    const files = ['tls.crt', 'tls.key'].map((name) => readFileSync(join(folder, name), 'utf8'));
    t.match(files[0], /BEGIN CERTIFICATE/);
    t.match(files[1], /PRIVATE KEY/);

    const verbs = plane
      .requests({ user: 'system:node:four', resource: 'certificatesigningrequests' })
      .map(({ verb }) => verb);
    const times = (verb: string): number => verbs.filter((each) => each === verb).length;
    // A reload takes up what is pending: what waits for ever, and serving, which nobody has approved until then.
    t.ok(times('get') <= 2, `nothing is polled: ${String(times('get'))} reads`);
    t.ok(times('watch') <= times('create') + times('get'), 'one watch for each request');
    const proofs = plane.requests({ user: 'system:kube-proxy', resource: 'selfsubjectaccessreviews' }).length;
    t.ok(
      proofs <= (await plane.csrs()).filter((csr) => signerOf(csr) === 'kubernetes.io/kube-apiserver-client').length,
    );
    console.log(
      `# figure requests of a node: ${['create', 'watch', 'get'].map((verb) => `${verb} ${String(times(verb))}`).join(', ')}`,
    );

    const stuck = (await plane.csrs()).filter((csr) => signerOf(csr) === 'example.com/never');
    t.equal(stuck.length, 1, 'one request for the signer that never answers');
    t.ok(stuck.every(isPending));

    // Removed from the daemon that runs: nothing is asked for it any more, and what there is stays.
    host.settings(settings(host, [never, example('kube-proxy', host)]));
    const before = certlet.count(/Settings reloaded/);
    certlet.signal('SIGHUP');
    await eventually('the reload', () => certlet.count(/Settings reloaded/) > before || undefined);
    const left = read['node-exporter']?.();
    const asking = (): Promise<readonly CsrObject[]> =>
      plane.csrs().then((all) => all.filter((csr) => signerOf(csr) === 'example.com/monitoring'));
    const soFar = (await asking()).length;
    const proxyPair = read['kube-proxy']?.();
    await issued('kube-proxy', () => read['kube-proxy']?.(), proxyPair);
    t.equal((await asking()).length, soFar, 'nothing is asked for what was dropped from the settings');
    t.equal(read['node-exporter']?.()?.leaf.serialNumber, left?.leaf.serialNumber, 'and its pair is left');

    const swaps = (): number => certlet.count(/Certificate is current.*kube-proxy|kube-proxy.*Certificate is current/);
    // Reloading is told by the flag alone: raised once for each swap, and for no other certificate.
    // The pair is on the disk before its line is in the log.
    await eventually('the four swaps that were seen', () => swaps() >= 4 || undefined);
    await eventually('a flag for each swap, and no more', () => flags.taken === swaps() || undefined);
  });
});
