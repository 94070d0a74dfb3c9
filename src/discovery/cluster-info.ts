import { filledIn, onControlPlane, byHand } from '../remedy.ts';
import { CertletError } from '../errors.ts';
import { type Fault, readHost, splitUrl } from '../kubeconfig/url-host.ts';
import { Secret } from '../secret.ts';

/** Path of the ConfigMap that kubeadm publishes and lets anonymous users read (role `kubeadm:bootstrap-signer-clusterinfo`). */
export const CLUSTER_INFO_PATH = '/api/v1/namespaces/kube-public/configmaps/cluster-info';

/** The ConfigMap as it came: the exact text that was signed, and one signature per token id. */
export interface ClusterInfo {
  readonly kubeconfig: string;
  readonly signatures: ReadonlyMap<string, string>;
}

/** All that is believed of a cluster-info document or a discovery file. */
export interface DiscoveredCluster {
  /** https URL without trailing slash. */
  readonly server: string;
  readonly caPem: string;
}

type Fields = Readonly<Record<string, unknown>>;

const SIGNATURE_PREFIX = 'jws-kubeconfig-';

/** Reads the JSON of the ConfigMap; the kubeconfig's text is not touched, since the signature covers its exact bytes. Throws `ERR_DISCOVERY`. */
export function readClusterInfo(body: string, source: string): ClusterInfo {
  return clusterInfoOf(parseJson(body, source), source);
}

/** The same of a ConfigMap that has been parsed. Throws `ERR_DISCOVERY`. */
export function clusterInfoOf(configMap: unknown, source: string): ClusterInfo {
  const data = fieldsOf(fieldsOf(configMap)?.['data']);
  const kubeconfig = data?.['kubeconfig'];
  if (data === undefined || typeof kubeconfig !== 'string' || kubeconfig === '') {
    throw new CertletError('ERR_DISCOVERY', `${source}: the cluster-info ConfigMap has no text under data.kubeconfig`, {
      remedy: onControlPlane('kubeadm init phase bootstrap-token', 'publishes it again'),
    });
  }
  const signatures = new Map<string, string>();
  for (const [key, value] of Object.entries(data)) {
    if (key.startsWith(SIGNATURE_PREFIX) && typeof value === 'string') {
      signatures.set(key.slice(SIGNATURE_PREFIX.length), value);
    }
  }
  return { kubeconfig, signatures };
}

/**
 * Server and CA out of a kubeconfig that was parsed from YAML. Everything else in it is left alone on purpose: a document
 * that anybody may read must not be able to switch verification off or to name a proxy, a user or a file of this host.
 * Throws `ERR_DISCOVERY` when there is not exactly one cluster, or it is not https, or brings no CA data.
 */
export function clusterFromKubeconfig(document: unknown, source: string): DiscoveredCluster {
  const clusters = fieldsOf(document)?.['clusters'];
  if (!Array.isArray(clusters) || clusters.length !== 1) {
    const count = Array.isArray(clusters) ? clusters.length : 0;
    throw new CertletError('ERR_DISCOVERY', `${source}: expected exactly one cluster, found ${String(count)}`);
  }
  const cluster = fieldsOf(fieldsOf(clusters[0])?.['cluster']);
  const caData = cluster?.['certificate-authority-data'];
  if (typeof caData !== 'string' || caData === '') {
    throw new CertletError('ERR_DISCOVERY', `${source}: clusters[0].cluster has no certificate-authority-data`, {
      remedy: filledIn(
        'kubectl config view --kubeconfig FILE --raw --flatten > FLAT',
        'where the CA is named by a path',
      ),
    });
  }
  const caPem = Buffer.from(caData, 'base64').toString('utf8');
  if (!caPem.includes('-----BEGIN CERTIFICATE-----')) {
    throw new CertletError('ERR_DISCOVERY', `${source}: certificate-authority-data holds no PEM certificate`);
  }
  return { server: httpsServer(cluster?.['server'], source), caPem };
}

/** The bearer token of a discovery file's only user, undefined when it has none. Any form: it need not be a bootstrap token. */
export function tokenFromKubeconfig(document: unknown): Secret | undefined {
  const users = fieldsOf(document)?.['users'];
  if (!Array.isArray(users) || users.length !== 1) return undefined;
  const token = fieldsOf(fieldsOf(users[0])?.['user'])?.['token'];
  return typeof token === 'string' && token !== '' ? new Secret(token) : undefined;
}

/** Whether two documents name the same cluster: the same server, and CAs that are the same text apart from blanks. */
export function sameCluster(one: DiscoveredCluster, other: DiscoveredCluster): boolean {
  const bare = (pem: string): string => pem.replaceAll(/\s/gu, '');
  return one.server === other.server && bare(one.caPem) === bare(other.caPem);
}

/**
 * The URL of a control plane endpoint as a person types it: `host`, `host:port`, `[v6]:port` or an https URL.
 * Without a port kubeadm's 6443 is meant. Throws `ERR_USAGE`.
 */
export function endpointUrl(endpoint: string): string {
  const text = endpoint.trim();
  const withScheme = text.includes('://') ? text : `https://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  const extras = url === undefined ? '' : `${url.username}${url.password}${url.search}${url.hash}`;
  if (url?.protocol !== 'https:' || url.hostname === '' || extras !== '' || !['', '/'].includes(url.pathname)) {
    throw new CertletError(
      'ERR_USAGE',
      `endpoint ${JSON.stringify(endpoint)}: want HOST:PORT of the API server, such as 10.0.0.1:6443`,
    );
  }
  const fault = hostFault(withScheme);
  if (fault !== undefined)
    throw new CertletError('ERR_USAGE', `endpoint ${JSON.stringify(endpoint)} ${fault.problem}`, {
      remedy: byHand(fault.mend),
    });
  const hasPort = /:\d+\/?$/u.test(withScheme);
  return hasPort ? withScheme.replace(/\/$/u, '') : `${url.origin}:6443`;
}

function httpsServer(value: unknown, source: string): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  if (typeof value !== 'string' || url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new CertletError('ERR_DISCOVERY', `${source}: clusters[0].cluster.server is no https URL`);
  }
  const fault = hostFault(value);
  if (fault !== undefined)
    throw new CertletError('ERR_DISCOVERY', `${source}: clusters[0].cluster.server ${fault.problem}`, {
      remedy: byHand(fault.mend),
    });
  // The lookbehind keeps a long row of slashes from costing the square of its length.
  return value.replace(/(?<!\/)\/+$/u, '');
}

/** What Go would not connect to, or to another address than Node. */
function hostFault(url: string): Fault | undefined {
  const host = readHost(splitUrl(url)?.authority ?? '');
  return 'problem' in host ? host : undefined;
}

function parseJson(body: string, source: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new CertletError(
      'ERR_DISCOVERY',
      `${source}: the answer is no JSON; something else than an API server answers there`,
      {
        cause: error,
        remedy: onControlPlane(
          'kubeadm token create --print-join-command',
          'compare its endpoint with the one given; a proxy may answer in its place',
        ),
      },
    );
  }
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}
