import { createKubeconfigFiles } from '../adapters/kubeconfig-files.ts';
import { NodeFileSystem } from '../adapters/file-system.ts';
import { identityOf } from '../adapters/api/credential-label.ts';
import { serviceUser } from '../adapters/probe/store-view.ts';
import { createRouteProbe } from '../adapters/route-probe.ts';
import type { Settings } from '../config.ts';
import type { Approval, CertificateSpec } from '../csr/spec.ts';
import { type CertificateTemplate, templateOf } from '../csr/template.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import type { KubeconfigReading } from '../ports.ts';
import { chooseCluster } from '../rotation/rules/clusters.ts';
import { chooseIdentity } from '../rotation/rules/asker.ts';
import { servingNamesOf } from '../rotation/rules/names.ts';
import { dueAt } from '../rotation/rules/schedule.ts';
import { rotationReasons } from '../rotation/rules/step.ts';
import type { DiskCertificate } from '../status/disk.ts';
import { certificateOnDisk, storeOnDisk } from '../disk-pairs.ts';

/** What a renewal would ask for. */
export interface RenewalPlan {
  readonly template: CertificateTemplate;
  readonly keyAlgorithm: string;
  /** Undefined when no kubeconfig names one. */
  readonly server: string | undefined;
  /** Who asks, or why nobody can. */
  readonly identity: string;
  readonly reasons: readonly string[];
  readonly approval: string;
  /** A request that is under way: a renewal goes on waiting for that one. */
  readonly pending?: string;
}

/** What `renew` would do, from files alone: no request is sent and nothing is written. Addresses that only the Node object knows are missing. Throws what the cert-dir refuses. */
export async function planRenewal(
  settings: Settings,
  names: readonly string[],
  edge: {
    readonly environment: Readonly<Record<string, string | undefined>>;
    readonly userId: number;
    readonly now: () => Date;
  },
): Promise<readonly RenewalPlan[]> {
  const readings = await readKubeconfigs(settings, edge);
  const view = storeOnDisk(settings, edge.userId);
  const cluster = chooseCluster(readings.node, readings.bootstrap);
  const server = (cluster.active ?? cluster.offered)?.server;
  const route = server === undefined ? undefined : await createRouteProbe().localAddress(server);
  const own = settings.specs.find(({ isIdentity }) => isIdentity);
  const client = own && (await certificateOnDisk(view, own)).facts;
  const now = edge.now();
  const wanted = settings.specs.filter(({ name }) => names.includes(name));
  return Promise.all(
    wanted.map(async (spec) => {
      const current = await certificateOnDisk(view, spec);
      const pending = await view.pending(spec.name);
      const template = wantedTemplate(settings, current, route);
      const identity = askingIdentity({ settings, spec, client, bootstrap: readings.bootstrap, now });
      return {
        template,
        keyAlgorithm: spec.keyAlgorithm,
        server,
        identity,
        reasons: reasonsFor(current, { wanted: template, nodeName: settings.nodeName, now }),
        approval: APPROVAL[spec.approval.by],
        ...(pending.kind === 'read' ? { pending: pending.value.name } : {}),
      };
    }),
  );
}

const APPROVAL: Readonly<Record<Approval['by'], string>> = {
  subresource: 'by kube-controller-manager where the roles say so, else by a person',
  approver: 'by a person (kubectl certificate approve NAME) or a separate approver',
  person: 'by a person (kubectl certificate approve NAME)',
};

async function readKubeconfigs(
  settings: Settings,
  edge: { readonly environment: Readonly<Record<string, string | undefined>>; readonly userId: number },
): Promise<{ readonly node: KubeconfigReading; readonly bootstrap: KubeconfigReading }> {
  const fs = new NodeFileSystem();
  const files = createKubeconfigFiles({
    fs,
    bootstrapPath: settings.bootstrapKubeconfig,
    nodePath: settings.kubeconfig,
    uid: await serviceUser(fs, settings, edge.userId),
    searchPath: edge.environment['PATH'] ?? '',
  });
  return { node: await files.readNode(), bootstrap: await files.readBootstrap() };
}

function wantedTemplate(
  settings: Settings,
  { spec, history: { keyEncipherment } }: DiskCertificate,
  routeAddress: string | undefined,
): CertificateTemplate {
  const { nodeName } = settings;
  const nodeNames = servingNamesOf({ ...settings, node: undefined, routeAddress });
  return templateOf(spec, { nodeName, nodeNames, keyEncipherment });
}

interface Asking {
  readonly settings: Settings;
  readonly spec: CertificateSpec;
  readonly client: CertificateFacts | undefined;
  readonly bootstrap: KubeconfigReading;
  readonly now: Date;
}

function askingIdentity({ settings, spec, client, bootstrap, now }: Asking): string {
  const wantedCommonName = `system:node:${settings.nodeName}`;
  const choice = chooseIdentity({ current: client, wantedCommonName, dead: false, now });
  if (choice.kind === 'node') return `the node itself, client certificate ${client?.serial ?? ''}`;
  if (!spec.isIdentity) return `the node itself, once it has a client certificate (${choice.reason})`;
  if (bootstrap.kind === 'usable')
    return `${identityOf(bootstrap.config.credential).label} of ${bootstrap.path} (${choice.reason})`;
  const problem = bootstrap.kind === 'absent' ? 'is missing' : `cannot be used: ${bootstrap.error.message}`;
  return `nobody: ${choice.reason}, and ${bootstrap.path} ${problem}`;
}

function reasonsFor(
  { spec, facts: current, history }: DiskCertificate,
  { wanted, nodeName, now }: { readonly wanted: CertificateTemplate; readonly nodeName: string; readonly now: Date },
): readonly string[] {
  return rotationReasons({
    now: { local: now, earliest: now, latest: now },
    current,
    refused: false,
    wanted,
    deadline: dueAt(current, { ...spec, nodeName }, history, now),
    forced: true,
  });
}

/** For a person; ends in a newline. */
export function describePlan(plan: RenewalPlan): string {
  const { template, keyAlgorithm, server, identity, reasons, approval, pending } = plan;
  const { purpose, organizations, commonName, dnsNames, ipAddresses, signerName, usages, expirationSeconds } = template;
  const names = [...dnsNames, ...ipAddresses];
  const rows: readonly (readonly [label: string, value: string])[] = [
    ['subject', `O=${organizations.join(', O=')}, CN=${commonName}`],
    ...(names.length === 0 ? [] : [['names', `${names.join(', ')}, and what the Node object adds`] as const]),
    ['usages', usages.join(', ')],
    ['key', `new, ${keyAlgorithm}`],
    ...(expirationSeconds === undefined ? [] : [['lifetime', `${String(expirationSeconds)} s`] as const]),
    ['signer', signerName],
    ['API server', server ?? 'none: no kubeconfig names one'],
    ['asked by', identity],
    ['why', reasons.join('; ')],
    ['approval', approval],
    ...(pending === undefined ? [] : [['under way', `${pending}: renew goes on waiting for this request`] as const]),
  ];
  return [`${purpose}: would ask for`, ...rows.map(([label, value]) => `  ${label.padEnd(10)}  ${value}`), ''].join(
    '\n',
  );
}
