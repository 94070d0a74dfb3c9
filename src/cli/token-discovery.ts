import type { DiscoveryFetch, FetchedDocument, FetchTrust } from '../adapters/discovery-fetch.ts';
import type { BootstrapToken } from '../discovery/bootstrap-token.ts';
import { type CaPin, pinnedOf } from '../discovery/ca-pin.ts';
import {
  CLUSTER_INFO_PATH,
  type ClusterInfo,
  clusterFromKubeconfig,
  type DiscoveredCluster,
  readClusterInfo,
} from '../discovery/cluster-info.ts';
import { signatureProblems } from '../discovery/cluster-info-signature.ts';
import { CertletError, isCertletError } from '../errors.ts';
import { filledIn, onControlPlane, shellWord } from '../remedy.ts';
import { parseYaml } from '../kubeconfig/yaml.ts';
import { parseChain } from '../pki/certificate.ts';
import { encodePem } from '../pki/pem.ts';
import type { Chance, Clock } from '../ports.ts';

/** What token discovery reaches the world through. */
export interface DiscoveryPorts {
  readonly fetch: DiscoveryFetch;
  readonly clock: Clock;
  readonly chance: Chance;
  /** Told each time something new is waited for; never repeats itself. */
  readonly progress: (text: string) => void;
}

export interface TokenDiscovery {
  /** https URL of the endpoint, without path. */
  readonly endpoint: string;
  readonly token: BootstrapToken;
  /** Empty only when the caller was told, in so many words, to trust the token alone. */
  readonly pins: readonly CaPin[];
  readonly timeoutMs: number;
}

/** A cluster of which nothing but what the pins allow is believed. */
export interface TokenCluster extends DiscoveredCluster {
  /** Pins of the CAs in the document that are not pinned, and so are not among its CAs here. */
  readonly leftOut: readonly CaPin[];
}

/** kubeadm's interval (DiscoveryRetryInterval) and the jitter it adds, up to 30 % (wait.JitterUntil). */
const POLL_INTERVAL_MS = 5_000;
const POLL_JITTER = 0.3;

/** What a later try may mend: no answer, a server that is still starting, a ConfigMap or a signature that comes late. */
const PASSING = [
  'ERR_API_UNREACHABLE',
  'ERR_API_SERVER',
  'ERR_API_THROTTLED',
  'ERR_API_NOT_FOUND',
  'ERR_TIMEOUT',
] as const;

/**
 * Server and CA of a cluster, believed because of a bootstrap token (kubeadm, discovery/token): cluster-info is read anonymously
 * over an unverified connection, its signature is checked with the token, what is not pinned is taken out of its CAs, and then it is read once
 * more over a connection that trusts the rest alone and must be the same to the byte. Without pins the token alone vouches.
 * Throws `ERR_TIMEOUT` when what is waited for does not come in time, `ERR_DISCOVERY` and the codes of the fetch at once for the rest.
 */
export async function discoverByToken(
  asked: TokenDiscovery,
  ports: DiscoveryPorts,
  signal: AbortSignal,
): Promise<TokenCluster> {
  const deadlineMs = ports.clock.now().getTime() + asked.timeoutMs;
  let told = '';
  for (;;) {
    const attempt = await attemptOnce(asked, ports.fetch, signal);
    if (attempt.kind === 'found') return attempt.cluster;
    const { error: failure } = attempt;
    signal.throwIfAborted();
    const nowMs = ports.clock.now().getTime();
    const nextMs = nowMs + POLL_INTERVAL_MS * (1 + POLL_JITTER * ports.chance.roll());
    if (nextMs > deadlineMs) throw timedOut(asked, failure);
    if (failure.message !== told) ports.progress(`waiting: ${failure.message}`);
    told = failure.message;
    await ports.clock.sleepUntil(new Date(nextMs), signal);
    signal.throwIfAborted();
  }
}

type Attempt =
  | { readonly kind: 'found'; readonly cluster: TokenCluster }
  | { readonly kind: 'notYet'; readonly error: CertletError };

/** Lets every error through that a later try cannot mend. */
async function attemptOnce(asked: TokenDiscovery, fetch: DiscoveryFetch, signal: AbortSignal): Promise<Attempt> {
  try {
    return { kind: 'found', cluster: await discoverOnce(asked, fetch, signal) };
  } catch (error) {
    if (isCertletError(error, ...PASSING)) return { kind: 'notYet', error };
    throw error;
  }
}

async function discoverOnce(asked: TokenDiscovery, fetch: DiscoveryFetch, signal: AbortSignal): Promise<TokenCluster> {
  const url = `${asked.endpoint}${CLUSTER_INFO_PATH}`;
  const info = await fetchClusterInfo(fetch, url, { kind: 'unverified' }, signal);
  checkSignature(info, asked.token, url);
  const document = clusterFromKubeconfig(
    parseYaml(info.kubeconfig, `${url} data.kubeconfig`, 'ERR_DISCOVERY').value,
    url,
  );
  if (asked.pins.length === 0) return { ...document, leftOut: [] };
  const { kept, leftOut } = pinnedOf(parseChain(document.caPem).certificates, asked.pins);
  if (kept.length === 0) {
    const pins = asked.pins.join(', ');
    throw untrusted(`${url}: the cluster's CA is ${leftOut.join(', ')}; none of the pinned ${pins} is among it`);
  }
  const caPem = kept.map(({ raw }) => encodePem('CERTIFICATE', raw)).join('');
  const verified = await fetchClusterInfo(fetch, url, { kind: 'ca', caPem }, signal);
  if (verified.kubeconfig !== info.kubeconfig) {
    throw untrusted(`${url}: the document read over the verified connection differs from the one read first`);
  }
  return { server: document.server, caPem, leftOut };
}

function checkSignature(info: ClusterInfo, token: BootstrapToken, url: string): void {
  const jws = info.signatures.get(token.id);
  if (jws === undefined) {
    throw new CertletError('ERR_TIMEOUT', `${url}: cluster-info is not signed for token id ${token.id} yet`, {
      remedy: onControlPlane('kubeadm token list', `is ${token.id} there, not expired, with usage "signing"?`),
    });
  }
  const problems = signatureProblems(info.kubeconfig, jws, token);
  if (problems.length > 0) throw untrusted(`${url}: ${problems.join('; ')}`);
}

async function fetchClusterInfo(
  fetch: DiscoveryFetch,
  url: string,
  trust: FetchTrust,
  signal: AbortSignal,
): Promise<ClusterInfo> {
  const answer = await fetch(url, trust, signal);
  if (answer.status !== 200) throw statusError(answer, url);
  return readClusterInfo(answer.body, url);
}

/** A 401 or 403 here says that anonymous requests are refused, not that a credential is bad: none was sent. */
function statusError(answer: FetchedDocument, url: string): CertletError {
  const { status } = answer;
  if (status === 401 || status === 403) {
    return new CertletError(
      'ERR_DISCOVERY',
      `${url}: ${String(status)}, anonymous users may not read cluster-info here`,
      {
        status,
        remedy: filledIn(
          'certlet join --discovery-file FILE --token-file FILE',
          'the first FILE: a kubeconfig with server and CA of the cluster',
        ),
      },
    );
  }
  if (status === 404) {
    const remedy = onControlPlane('kubeadm init phase bootstrap-token', 'publishes cluster-info');
    return new CertletError('ERR_API_NOT_FOUND', `${url}: 404, there is no cluster-info ConfigMap yet`, {
      status,
      remedy,
    });
  }
  if (status === 429)
    return new CertletError('ERR_API_THROTTLED', `${url}: 429, asked to slow down`, {
      status,
      remedy: `curl -ks ${probed(url)}   # once it answers 200, run certlet join again; whoever limits it is between, or the server is busy`,
    });
  if (status >= 500)
    return new CertletError('ERR_API_SERVER', `${url}: the API server answers ${String(status)}`, {
      status,
      remedy: `curl -ks ${probed(url)}   # the server's own words; look at kube-apiserver and etcd, or at what stands before them`,
    });
  return noApiServer(
    status >= 300 && status < 400
      ? `${url}: ${String(status)}, a redirect, which is not followed`
      : `${url}: unexpected status ${String(status)}`,
    url,
    { status },
  );
}

/** Something else than an API server answers. */
function noApiServer(message: string, url: string, more: { readonly status: number }): CertletError {
  return new CertletError('ERR_DISCOVERY', message, {
    ...more,
    remedy: `curl -kis ${probed(url)}   # an API server shows gitVersion; else correct host and port of ENDPOINT, or the proxy between`,
  });
}

/** What everybody may ask an API server. */
const probed = (url: string): string => shellWord(`${new URL(url).origin}/version`);

function untrusted(message: string): CertletError {
  return new CertletError('ERR_DISCOVERY', message, {
    remedy: onControlPlane('kubeadm token create --print-join-command', 'compare endpoint, token and CA hash'),
  });
}

function timedOut(asked: TokenDiscovery, last: CertletError): CertletError {
  const seconds = String(Math.round(asked.timeoutMs / 1000));
  const { remedy } = last;
  return new CertletError('ERR_TIMEOUT', `gave up after ${seconds} s; last: ${last.message}`, {
    cause: last,
    ...(remedy === undefined ? {} : { remedy }),
  });
}
