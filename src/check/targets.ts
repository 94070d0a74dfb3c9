import { identityOf } from '../adapters/api/credential-label.ts';
import type { ClusterAccess, Credential } from '../kubeconfig/client-config.ts';
import { encodePrivateKey } from '../pki/keys.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { ApiConnection, KubeconfigReading } from '../ports.ts';
import { chooseCluster } from '../rotation/rules/clusters.ts';
import { chooseIdentity } from '../rotation/rules/asker.ts';
import type { CheckContext, Facts, Role, Target } from './facts.ts';

export interface TargetSources {
  readonly nodeName: string;
  readonly node: KubeconfigReading;
  readonly bootstrap: KubeconfigReading;
  /** Behind the link in the cert-dir. */
  readonly clientPair: CertificatePair | undefined;
  readonly now: Date;
}

/**
 * The ways to the API server that this node has, the one that certlet would take first. A client certificate that has expired by this
 * host's clock is no way: the API server refuses it whatever else holds.
 */
export function targetsOf(sources: TargetSources): readonly Target[] {
  const { node, bootstrap, clientPair, now, nodeName } = sources;
  const choice = chooseIdentity({
    current: clientPair?.chain.leaf,
    wantedCommonName: `system:node:${nodeName}`,
    dead: false,
    now,
  });
  const own = nodeTarget(sources, choice.kind === 'node');
  const first = bootstrapTarget(bootstrap, choice.kind === 'bootstrap');
  const targets = [own, first].filter((target) => target !== undefined);
  return node.kind === 'usable' || bootstrap.kind === 'usable'
    ? targets.sort((a, b) => Number(b.inUse) - Number(a.inUse))
    : [];
}

function nodeTarget(sources: TargetSources, inUse: boolean): Target | undefined {
  const { node, bootstrap, clientPair, now } = sources;
  const cluster = chooseCluster(node, bootstrap).active;
  const source = node.kind === 'usable' ? node.path : bootstrap.path;
  if (cluster === undefined) return undefined;
  if (clientPair !== undefined) {
    if (now > clientPair.chain.leaf.notAfter) return undefined;
    const { chain, key } = clientPair;
    const credential = { kind: 'certificate', chainPem: chain.pem, keyPem: encodePrivateKey(key) } as const;
    return { role: 'node', cluster, credential, label: identityOf(credential).label, source, inUse };
  }
  if (node.kind !== 'usable') return undefined;
  const { credential } = node.config;
  if (credential.kind === 'none') return undefined;
  return { role: 'node', cluster, credential, label: identityOf(credential).label, source, inUse: false };
}

function bootstrapTarget(bootstrap: KubeconfigReading, inUse: boolean): Target | undefined {
  if (bootstrap.kind !== 'usable') return undefined;
  const { cluster, credential } = bootstrap.config;
  if (credential.kind === 'none') return undefined;
  return { role: 'bootstrap', cluster, credential, label: identityOf(credential).label, source: bootstrap.path, inUse };
}

/** Targets of the same server under the same trust, so that each is looked at once. */
export function distinctClusters(targets: readonly Target[]): readonly Target[] {
  const key = ({ server, caPem, tlsServerName, proxyUrl }: ClusterAccess): string =>
    JSON.stringify([server, caPem?.replace(/\s+/g, ''), tlsServerName, proxyUrl?.reveal()]);
  return targets.filter(
    (target, index) => targets.findIndex((other) => key(other.cluster) === key(target.cluster)) === index,
  );
}

/** Whether two targets go to the same server under the same trust. */
export const sameCluster = (left: Target, right: Target): boolean => distinctClusters([left, right]).length === 1;

/**
 * How much a failure of this target matters: the credential in use is a problem; the other one too once the one in use has failed, since
 * it is the way out; else a warning, since it will be needed one day.
 */
export function weightOf(target: Target, lost: readonly Role[]): 'problem' | 'warning' {
  return target.inUse || lost.length > 0 ? 'problem' : 'warning';
}

/** The roles that were there at the start and got lost on the way. */
export const lostRoles = ({ targets = [] }: Facts, left: readonly Target[]): readonly Role[] =>
  targets.filter(({ role, inUse }) => inUse && !left.some((target) => target.role === role)).map(({ role }) => role);

/** The accepted identity to ask with: the node's own where it was accepted. */
export const askerOf = (facts: Facts): Target | undefined =>
  facts.accepted?.find(({ role }) => role === 'node') ?? facts.accepted?.[0];

/** Does some work over a connection that is closed afterwards. */
export async function withApi<T>(
  context: CheckContext,
  target: { readonly cluster: ClusterAccess; readonly credential: Credential },
  work: (api: ApiConnection) => Promise<T>,
): Promise<T> {
  const api = context.ports.connector.connect(target.cluster, target.credential);
  try {
    return await work(api);
  } finally {
    await api.close().catch(() => undefined);
  }
}
