import type { AgentSnapshot } from '../rotation/snapshot.ts';
import { type Family, gauge, type Sample, seconds } from './exposition.ts';

/** Of the API servers: nothing where the settings know of one server only. */
export function serverFamilies({ servers }: AgentSnapshot): readonly Family[] {
  if (servers === undefined) return [];
  const { moved } = servers;
  return [
    gauge(
      'certlet_api_server_up',
      '1 for an API server that answered when it was last asked, 0 for one that did not or is not trusted.',
      servers.servers
        .filter(({ state }) => state !== 'unknown')
        .map(({ server, state }) => ({ labels: { server }, value: Number(state === 'up') })),
    ),
    gauge('certlet_api_server_in_use', '1 for the API server that is asked first.', [
      { labels: { server: servers.inUse }, value: 1 },
    ]),
    gauge(
      'certlet_kubeconfig_moved_timestamp_seconds',
      "When the node's kubeconfig was last made to name another API server.",
      moved === undefined ? [] : [{ value: seconds(moved.at) }],
    ),
  ];
}

/** Of the CAs that are trusted. Without a CA in the kubeconfig, none of these. */
export function caFamilies({ trusted = [], clusterCa }: AgentSnapshot): readonly Family[] {
  const ends = trusted.map(({ notAfter }) => seconds(notAfter));
  const followed = (value: number): readonly Sample[] => (clusterCa === undefined ? [] : [{ value }]);
  return [
    gauge(
      'certlet_cluster_ca_not_after_timestamp_seconds',
      'When the first of the CAs ends that the kubeconfig trusts.',
      ends.length === 0 ? [] : [{ value: Math.min(...ends) }],
    ),
    gauge(
      'certlet_cluster_ca_trusted',
      'How many CAs the kubeconfig trusts.',
      ends.length === 0 ? [] : [{ value: ends.length }],
    ),
    gauge(
      'certlet_cluster_ca_kubelet_stale',
      '1 when the kubelet has to be restarted to trust the CAs of its kubeconfig, with followClusterCA.',
      followed(Number(clusterCa?.kubelet !== undefined)),
    ),
    gauge(
      'certlet_cluster_ca_last_read_timestamp_seconds',
      'When what the cluster publishes was read last, with followClusterCA.',
      clusterCa?.readAt === undefined ? [] : [{ value: seconds(clusterCa.readAt) }],
    ),
  ];
}
