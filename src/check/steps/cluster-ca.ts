import { caFilePath } from '../../adapters/cluster-ca-files.ts';
import { errnoOf } from '../../adapters/file-errors.ts';
import type { Settings } from '../../config.ts';
import { isCertletError, unlessDefect } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { readTrustedCas } from '../../kubeconfig/trusted-ca.ts';
import type { ApiConnection } from '../../ports.ts';
import { rootJoinCommand } from '../../root-commands.ts';
import { readPublished } from '../../rotation/ca/publication.ts';
import type { CaSource } from '../../rotation/rotation-context.ts';
import type { CaFile, CheckContext, CheckPorts, Facts, PublishedCas, Step, StepOutcome } from '../facts.ts';
import { clusterCaFindings, type Following } from '../rules/cluster-ca.ts';
import { sameCluster, withApi } from '../targets.ts';
import { NO_SETTINGS } from './host.ts';

/** Well above any bundle of CAs. */
const MAX_CA_BYTES = 1024 * 1024;

/** What the cluster publishes of its CAs against what this node trusts and its kubelet believes. */
export const clusterCaStep: Step = {
  id: 'cluster-ca',
  title: "The cluster's CA",
  async run(context): Promise<StepOutcome | string> {
    const { settings, node } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    if (node?.kind !== 'usable') return { findings: [] };
    const { cluster } = node.config;
    const published = await publishedOf(context, settings, cluster);
    const clientCa = await clientCaOf(context.ports, context.facts);
    const findings = clusterCaFindings({
      now: context.ports.now(),
      following: followingOf(settings, cluster),
      node: { path: node.path, cas: readTrustedCas(cluster.caPem) },
      published,
      clientCa,
    });
    return { findings, facts: { publishedCas: published, clientCa } };
  },
};

/** What the settings make of another CA. */
export function followingOf(settings: Settings, { caPath }: Pick<ClusterAccess, 'caPath'>): Following {
  const isOurs = settings.caFile !== undefined || caPath === caFilePath(settings.certDir);
  return {
    source: settings.followClusterCA,
    byRoot: !settings.manageKubeconfig,
    rootCommand: (pins) => rootJoinCommand(settings, pins),
    foreignFile: isOurs ? undefined : caPath,
  };
}

/** Only over a connection that the node's own CAs verify; from where the settings say, else from where it could be followed. */
async function publishedOf(context: CheckContext, settings: Settings, cluster: ClusterAccess): Promise<PublishedCas> {
  const { trusted = [], accepted = [] } = context.facts;
  const verified = trusted.find((target) => sameCluster(target, { ...target, cluster }));
  if (verified === undefined) return { kind: 'unasked' };
  const { followClusterCA: set } = settings;
  const sources: readonly CaSource[] = set === 'off' ? ['cluster-info', 'clusterTrustBundle'] : [set];
  const own = accepted.find(({ role }) => role === 'node');
  const all = async (node: ApiConnection | undefined): Promise<PublishedCas> => {
    const tried: PublishedCas[] = [];
    for (const source of sources) {
      const found = await read(context, source, { cluster, node });
      if (found.kind === 'read') return found;
      tried.push(found);
    }
    return tried[0] ?? { kind: 'unasked' };
  };
  return own === undefined ? await all(undefined) : await withApi(context, { ...own, cluster }, all);
}

async function read(
  { ports, signal }: CheckContext,
  source: CaSource,
  as: { readonly cluster: ClusterAccess; readonly node: ApiConnection | undefined },
): Promise<PublishedCas> {
  try {
    return { kind: 'read', source, cas: await readPublished(source, { connector: ports.connector, ...as }, signal) };
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return { kind: 'failed', source, error };
  }
}

/** What the kubelet verifies its callers by; undefined where it names no file, a text where that cannot be used. */
async function clientCaOf({ fs }: CheckPorts, { kubelet }: Facts): Promise<CaFile | string | undefined> {
  const path = kubelet?.facts?.clientCAFile;
  if (path === undefined) return undefined;
  try {
    return { path, cas: readTrustedCas(Buffer.from(await fs.read(path, MAX_CA_BYTES)).toString('utf8')) };
  } catch (error) {
    if (isCertletError(error))
      return `${path}, by which the kubelet believes its callers, cannot be used: ${error.message}`;
    unlessDefect(undefined)(error);
    return `${path}, by which the kubelet believes its callers, cannot be read: ${errnoOf(error) ?? 'it is no plain file'}`;
  }
}
