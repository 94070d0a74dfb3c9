import { isCertletError } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { bundleOf, type TrustedCa } from '../../kubeconfig/trusted-ca.ts';
import type { ApiConnector } from '../../ports.ts';
import type { Verification } from '../rules/cluster-ca.ts';

/** A path that every API server answers to anybody, if only with a refusal. */
const ANY_PATH = '/version';

/** A handshake with a server under these CAs alone, on a connection of its own and without a credential. Whatever is answered, TLS held. */
export async function verifyUnder(
  connector: Pick<ApiConnector, 'connect'>,
  cluster: ClusterAccess,
  cas: readonly TrustedCa[],
  signal: AbortSignal,
): Promise<Verification> {
  const api = connector.connect({ ...cluster, caPem: bundleOf(cas) }, { kind: 'none' });
  try {
    await api.request('GET', ANY_PATH, undefined, signal);
    return 'verified';
  } catch (error) {
    signal.throwIfAborted();
    if (!isCertletError(error)) throw error;
    if (isCertletError(error, 'ERR_API_TLS', 'ERR_API_TLS_DATES', 'ERR_API_TLS_NO_NAMES')) return 'refused';
    return isCertletError(error, 'ERR_API_UNREACHABLE') ? 'silent' : 'verified';
  } finally {
    await api.close();
  }
}

/** The same with each of these servers, once; by its URL. */
export async function verifyEach(
  connector: Pick<ApiConnector, 'connect'>,
  clusters: readonly ClusterAccess[],
  cas: readonly TrustedCa[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Verification>> {
  const results = new Map<string, Verification>();
  for (const cluster of clusters) {
    if (results.has(cluster.server)) continue;
    results.set(cluster.server, await verifyUnder(connector, cluster, cas, signal));
  }
  return results;
}
