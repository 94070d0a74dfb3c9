import { type CertletError, isCertletError } from '../../errors.ts';
import type { Remedy } from '../../remedy.ts';
import type { ClusterAccess, ClientConfig } from '../../kubeconfig/client-config.ts';
import type { KubeconfigReading, ServerMove } from '../../ports.ts';
import { credentialKey } from './asker.ts';

/** What differs between two ways to reach a cluster, as words for a log line; empty means the same. `authority` is what to call the CA. */
export function clusterDifferences(
  left: ClusterAccess,
  right: ClusterAccess,
  authority = 'certificate-authority',
): readonly string[] {
  return [
    ...(left.server === right.server ? [] : [`server ${left.server} became ${right.server}`]),
    ...(samePem(left.caPem, right.caPem) ? [] : [`${authority} changed`]),
    ...(left.tlsServerName === right.tlsServerName ? [] : ['tls-server-name changed']),
    ...(left.proxyUrl?.reveal() === right.proxyUrl?.reveal() ? [] : ['proxy-url changed']),
    ...(left.insecureSkipTlsVerify === right.insecureSkipTlsVerify ? [] : ['insecure-skip-tls-verify changed']),
  ];
}

/** Asked at every round, mostly of the same text: only of another one blanks are taken out. */
const samePem = (left: string | undefined, right: string | undefined): boolean =>
  left === right || normalPem(left) === normalPem(right);

const normalPem = (pem: string | undefined): string | undefined => pem?.replace(/\s+/g, '');

export interface ClusterChoice {
  /** What the node's kubeconfig names now (or, without one, the bootstrap kubeconfig): proven or the only one there is. */
  readonly active: ClusterAccess | undefined;
  /** What the bootstrap kubeconfig offers instead: taken over only after an accepted request with it. */
  readonly offered: ClusterAccess | undefined;
}

/**
 * Which cluster to talk to. The node's kubeconfig wins until the bootstrap kubeconfig's differing entry has been proven. That this goes on to name the
 * server which it named before certlet has moved the node's to another one is no difference.
 */
export function chooseCluster(
  node: KubeconfigReading,
  bootstrap: KubeconfigReading,
  moved?: Pick<ServerMove, 'home' | 'to'>,
): ClusterChoice {
  const active = node.kind === 'usable' ? node.config.cluster : undefined;
  const named = bootstrap.kind === 'usable' ? bootstrap.config.cluster : undefined;
  if (active === undefined) return { active: named, offered: undefined };
  const isOurs = moved !== undefined && moved.to === active.server && moved.home === named?.server;
  const source = isOurs && named !== undefined ? { ...named, server: active.server } : named;
  const differs = source !== undefined && clusterDifferences(active, source).length > 0;
  return { active, offered: differs ? source : undefined };
}

/** A kubeconfig that others than root and its owner could have written. */
export const isUnsafe = (
  reading: KubeconfigReading,
): reading is KubeconfigReading & { readonly kind: 'unusable'; readonly error: CertletError } =>
  reading.kind === 'unusable' && isCertletError(reading.error, 'ERR_KUBECONFIG_UNSAFE');

/** A kubeconfig of the node that has to be written anew, which is left to root. */
export interface KubeconfigNeed {
  readonly path: string;
  /** What it lacks, one sentence. */
  readonly reason: string;
  /** What a person has to run. */
  readonly command: Remedy;
}

/** Why the node's kubeconfig is not the one for this cluster and pair; empty means that it is. */
export function kubeconfigNeeds(
  reading: KubeconfigReading,
  cluster: ClusterAccess,
  pairPath: string,
): readonly string[] {
  if (reading.kind === 'absent') return ['it is not there'];
  if (reading.kind === 'unusable') return [reading.error.message];
  const { config } = reading;
  const names = config.credential.kind === 'certificate' && config.files.includes(pairPath);
  return [...clusterDifferences(config.cluster, cluster), ...(names ? [] : [`it does not name ${pairPath}`])];
}

/**
 * What a kubeconfig and the files that it names say otherwise than before, as words for a log line; empty means the same. No secret is in them.
 * Of a CA in a file of its own the words name that file.
 */
export function readingChanges(before: KubeconfigReading, after: KubeconfigReading): readonly string[] {
  if (before.kind === 'usable' && after.kind === 'usable') return configChanges(before.config, after.config);
  if (before.kind !== after.kind) return [APPEARANCE[after.kind]];
  const same = before.kind !== 'unusable' || after.kind !== 'unusable' || before.error.message === after.error.message;
  return same ? [] : ['it cannot be used, for another reason'];
}

const APPEARANCE: Readonly<Record<KubeconfigReading['kind'], string>> = {
  absent: 'it is gone',
  unusable: 'it cannot be used',
  usable: 'it is there and can be used',
};

function configChanges(before: ClientConfig, after: ClientConfig): readonly string[] {
  const { caPath } = after.cluster;
  const inFile = caPath !== undefined && caPath === before.cluster.caPath;
  return [
    ...clusterDifferences(before.cluster, after.cluster, inFile ? `certificate-authority ${caPath}` : undefined),
    ...(credentialKey(before.credential) === credentialKey(after.credential) ? [] : ['credential changed']),
  ];
}
