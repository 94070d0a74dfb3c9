import { bundleId, CLUSTER_ENTRY, readTrustedCas } from '../../kubeconfig/trusted-ca.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { AfterRotation, KubeconfigReading, RotationEvent } from '../../ports.ts';
import type { RotationOptions } from '../rotation-context.ts';
import { LAST_STATIC } from '../rules/cluster-ca.ts';
import { clusterDifferences } from '../rules/clusters.ts';

/** What the host is told of another cluster entry in the kubelet's kubeconfig, but which one it is. */
export const entryEvent = (kubeconfigPath: string): Omit<RotationEvent, 'pairPath'> => ({
  purpose: CLUSTER_ENTRY,
  after: { lastStaticKubelet: Number.POSITIVE_INFINITY },
  currentPath: kubeconfigPath,
  kubeconfigPath,
  kubeletVersion: undefined,
});

type Options = Pick<RotationOptions, 'manageKubeconfig' | 'kubeconfigPath' | 'followCa' | 'caFile'>;

/**
 * What the host is told when the node's kubeconfig comes to name another cluster entry: a running kubelet reads its kubeconfig no more. Undefined where
 * there is nothing to tell: nothing differs, root writes that file, or only the CA differs and it is followed, which looks at the kubelet by itself.
 */
export function entryChange(before: KubeconfigReading, to: ClusterAccess, options: Options): RotationEvent | undefined {
  if (before.kind !== 'usable' || !options.manageKubeconfig) return undefined;
  const { cluster } = before.config;
  const { caPem, caPath } = cluster;
  const withItsCa = caPem === undefined ? to : { ...to, caPem };
  const onlyCa = clusterDifferences(cluster, withItsCa).length === 0;
  if (clusterDifferences(cluster, to).length === 0 || (onlyCa && options.followCa !== undefined)) return undefined;
  const stays = onlyCa && caPath !== undefined && caPath === options.caFile;
  return {
    ...entryEvent(options.kubeconfigPath),
    ...(stays && { after: { lastStaticKubelet: LAST_STATIC.file } }),
    pairPath: `${to.server} ${bundleId(readTrustedCas(to.caPem))}`,
  };
}

/** Writes, and has the host told: a process that dies in between leaves a restart too many, and never one too few. */
export async function writingEntry(
  after: AfterRotation,
  change: RotationEvent | undefined,
  write: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  if (change !== undefined) await after.announce(change);
  await write();
  if (change !== undefined) await after.rotated(change, signal);
}
