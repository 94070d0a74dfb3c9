import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { KubeconfigReading } from '../../ports.ts';
import { clusterDifferences } from './clusters.ts';

/** A kubeconfig of the node that has to be written anew, which is left to root. */
export interface KubeconfigNeed {
  readonly path: string;
  /** What it lacks, one sentence. */
  readonly reason: string;
  /** What a person has to run. */
  readonly command: string;
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
