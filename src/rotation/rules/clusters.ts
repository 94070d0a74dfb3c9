import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { KubeconfigReading } from '../../ports.ts';

/** What differs between two ways to reach a cluster, as words for a log line; empty means the same. */
export function clusterDifferences(left: ClusterAccess, right: ClusterAccess): readonly string[] {
  return [
    ...(left.server === right.server ? [] : [`server ${left.server} became ${right.server}`]),
    ...(normalPem(left.caPem) === normalPem(right.caPem) ? [] : ['certificate-authority changed']),
    ...(left.tlsServerName === right.tlsServerName ? [] : ['tls-server-name changed']),
    ...(left.proxyUrl?.reveal() === right.proxyUrl?.reveal() ? [] : ['proxy-url changed']),
    ...(left.insecureSkipTlsVerify === right.insecureSkipTlsVerify ? [] : ['insecure-skip-tls-verify changed']),
  ];
}

const normalPem = (pem: string | undefined): string | undefined => pem?.replace(/\s+/g, '');

export interface ClusterChoice {
  /** What the node's kubeconfig names now (or, without one, the bootstrap kubeconfig): proven or the only one there is. */
  readonly active: ClusterAccess | undefined;
  /** What the bootstrap kubeconfig offers instead: taken over only after an accepted request with it. */
  readonly offered: ClusterAccess | undefined;
}

/** Which cluster to talk to. The node's kubeconfig wins until the bootstrap kubeconfig's differing entry has been proven. */
export function chooseCluster(node: KubeconfigReading, bootstrap: KubeconfigReading): ClusterChoice {
  const active = node.kind === 'usable' ? node.config.cluster : undefined;
  const source = bootstrap.kind === 'usable' ? bootstrap.config.cluster : undefined;
  if (active === undefined) return { active: source, offered: undefined };
  const differs = source !== undefined && clusterDifferences(active, source).length > 0;
  return { active, offered: differs ? source : undefined };
}
