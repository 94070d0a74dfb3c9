import { CLUSTER_INFO_PATH, clusterFromKubeconfig, clusterInfoOf } from '../../discovery/cluster-info.ts';
import { CertletError, isCertletError } from '../../errors.ts';
import { readCaBundle } from '../../kubeconfig/ca-bundle.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { readTrustedCas, type TrustedCa } from '../../kubeconfig/trusted-ca.ts';
import { parseYaml } from '../../kubeconfig/yaml.ts';
import type { ApiConnection, ApiConnector } from '../../ports.ts';
import type { CaSource } from '../rotation-context.ts';

/** Whose CAs vouch for API servers (KEP-3257, kube-controller-manager's kube-apiserver-serving-clustertrustbundle-publisher). */
export const TRUST_BUNDLE_SIGNER = 'kubernetes.io/kube-apiserver-serving';
const BUNDLES = (version: string): string =>
  `/apis/certificates.k8s.io/${version}/clustertrustbundles?fieldSelector=${encodeURIComponent(`spec.signerName=${TRUST_BUNDLE_SIGNER}`)}`;
const BUNDLE_VERSIONS = ['v1', 'v1beta1', 'v1alpha1'] as const;
/** The Role for clusters where anonymous users may not read cluster-info. */
const ROLE = 'kubectl apply -f /usr/share/certlet/rbac/cluster-info.yaml';

/** What it takes to read what a cluster publishes. */
export interface PublicationReader {
  readonly connector: Pick<ApiConnector, 'connect'>;
  /** The cluster, with a CA that verifies the connection. */
  readonly cluster: ClusterAccess;
  /** The node's own connection to it; undefined while it has no certificate. */
  readonly node: ApiConnection | undefined;
}

/**
 * The CAs that a cluster publishes, over a connection that those in hand verify; never empty. Throws `ERR_KUBECONFIG_INVALID` where there is no CA
 * to verify by, `ERR_API_FORBIDDEN` with the Role, `ERR_API_NOT_FOUND`, `ERR_DISCOVERY` for what is no publication, and the codes of the connection.
 */
export async function readPublished(
  source: CaSource,
  reader: PublicationReader,
  signal: AbortSignal,
): Promise<readonly TrustedCa[]> {
  const { server, caPem, insecureSkipTlsVerify } = reader.cluster;
  if (caPem === undefined || insecureSkipTlsVerify) {
    const why = insecureSkipTlsVerify ? 'switches verification off' : 'gives no CA';
    throw new CertletError(
      'ERR_KUBECONFIG_INVALID',
      `the kubeconfig ${why}, so nothing that ${server} says is verified`,
      {
        remedy: "# Put the cluster's CA into the kubeconfig, or set followClusterCA: off.",
      },
    );
  }
  const { pem, place } =
    source === 'cluster-info' ? await clusterInfo(reader, signal) : await trustBundles(reader, signal);
  const cas = readTrustedCas(goodOf(pem, place));
  if (cas.length === 0) throw new CertletError('ERR_DISCOVERY', `${place}: no CA in it can be read`);
  return cas;
}

interface Publication {
  readonly pem: string;
  /** For messages. */
  readonly place: string;
}

async function clusterInfo(reader: PublicationReader, signal: AbortSignal): Promise<Publication> {
  const place = `${reader.cluster.server}${CLUSTER_INFO_PATH}`;
  const body = await asAnybody(reader, CLUSTER_INFO_PATH, signal);
  const { kubeconfig } = clusterInfoOf(body, place);
  const document = parseYaml(kubeconfig, `${place} data.kubeconfig`, 'ERR_DISCOVERY').value;
  return { pem: clusterFromKubeconfig(document, place).caPem, place };
}

/** As nobody, which kubeadm's Role allows; else as the node, which takes a Role that certlet ships. */
async function asAnybody(
  { connector, cluster, node }: PublicationReader,
  path: string,
  signal: AbortSignal,
): Promise<unknown> {
  const anonymous = connector.connect(cluster, { kind: 'none' });
  try {
    return await anonymous.request('GET', path, undefined, signal);
  } catch (error) {
    if (!isCertletError(error, 'ERR_API_UNAUTHORIZED', 'ERR_API_FORBIDDEN', 'ERR_API_ANONYMOUS')) throw error;
    if (node === undefined) throw forbidden(cluster.server, error);
  } finally {
    await anonymous.close();
  }
  return await node.request('GET', path, undefined, signal).catch((error: unknown) => {
    throw isCertletError(error, 'ERR_API_FORBIDDEN') ? forbidden(cluster.server, error) : error;
  });
}

const forbidden = (server: string, cause: CertletError): CertletError =>
  new CertletError(
    'ERR_API_FORBIDDEN',
    `${server}: neither anonymous users nor this node may read the ConfigMap kube-public/cluster-info`,
    { cause, remedy: ROLE },
  );

/** Every bundle of the signer counts: one of them is enough for a server's certificate. */
async function trustBundles({ cluster, node }: PublicationReader, signal: AbortSignal): Promise<Publication> {
  if (node === undefined)
    throw new CertletError(
      'ERR_CREDENTIAL_MISSING',
      'ClusterTrustBundles are read as the node, which has no certificate yet',
    );
  for (const version of BUNDLE_VERSIONS) {
    const path = BUNDLES(version);
    const place = `${cluster.server}${path.split('?', 1)[0] ?? ''}`;
    const list = await node.request('GET', path, undefined, signal).catch((error: unknown) => {
      if (isCertletError(error, 'ERR_API_NOT_FOUND')) return undefined;
      throw error;
    });
    if (list === undefined) continue;
    const bundles = bundlesIn(list);
    if (bundles.length > 0) return { pem: bundles.join('\n'), place };
    throw new CertletError('ERR_API_NOT_FOUND', `${place}: there is no bundle of the signer ${TRUST_BUNDLE_SIGNER}`, {
      remedy:
        '# Start kube-controller-manager with --feature-gates=ClusterTrustBundle=true, or set followClusterCA: cluster-info.',
    });
  }
  throw new CertletError('ERR_API_NOT_FOUND', `${cluster.server} serves no ClusterTrustBundles`, {
    remedy:
      '# Start kube-apiserver with --feature-gates=ClusterTrustBundle=true --runtime-config=certificates.k8s.io/v1beta1/clustertrustbundles=true, or set followClusterCA: cluster-info.',
  });
}

/** The server may not know the field selector: whose bundle it is, is looked at here. */
function bundlesIn(list: unknown): readonly string[] {
  const items = at(list, 'items');
  if (!Array.isArray(items)) return [];
  return items
    .map((item) => at(item, 'spec'))
    .filter((spec) => at(spec, 'signerName') === TRUST_BUNDLE_SIGNER)
    .map((spec) => at(spec, 'trustBundle'))
    .filter((bundle): bundle is string => typeof bundle === 'string');
}

function goodOf(pem: string, place: string): string {
  try {
    return readCaBundle(pem, { place, field: 'CA' }).pem;
  } catch (error) {
    if (!isCertletError(error, 'ERR_KUBECONFIG_INVALID')) throw error;
    throw new CertletError('ERR_DISCOVERY', error.message, { cause: error });
  }
}

const at = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (Reflect.get(value, key) as unknown) : undefined;
