import { bareHost } from '../../pki/ip-address.ts';
import { chooseProxy } from '../../adapters/api/proxy-choice.ts';
import { asCertletError, type CertletError, isCertletError } from '../../errors.ts';
import { portOf } from '../../kubeconfig/url-host.ts';
import type { ServerGlimpse } from '../../ports.ts';
import type { CheckContext, Step, StepOutcome, Target } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { connectFindings, lookupFindings, type Peer } from '../rules/network.ts';
import { clockFindings, isThrough, tlsFindings, type TlsSeen } from '../rules/tls.ts';
import { distinctClusters, lostRoles, sameCluster, weightOf, withApi } from '../targets.ts';
import { fromError } from '../walk.ts';
import { NO_SETTINGS } from './host.ts';

/** Addresses of one name that are tried; a load balancer with more behind it is not this node's business. */
const MAX_ADDRESSES = 8;

const NO_TARGETS = 'no kubeconfig names a server and a credential that can be used';

/** Name resolution and TCP to each server, or to the proxy before it. */
export const networkStep: Step = {
  id: 'network',
  title: 'Network',
  async run(context): Promise<StepOutcome | string> {
    const { settings, targets = [] } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    if (targets.length === 0) return NO_TARGETS;
    const findings: Finding[] = [];
    const reachable: Target[] = [];
    const seen = new Map<string, boolean>();
    for (const target of targets) {
      const peer = peerOf(context, target);
      if ('error' in peer) {
        findings.push(fromError('network.proxy', peer.error));
        continue;
      }
      const key = `${peer.host} ${String(peer.port)}`;
      const known = seen.get(key);
      const result =
        known === undefined
          ? await probe(context, peer, weightOf(target, lostSoFar(targets, target, reachable)))
          : { open: known, findings: [] };
      seen.set(key, result.open);
      findings.push(...result.findings);
      if (result.open) reachable.push(target);
    }
    return { findings, facts: { reachable } };
  },
};

/** Roles in use that came before this target and did not get through. */
function lostSoFar(targets: readonly Target[], target: Target, through: readonly Target[]): readonly Target['role'][] {
  const before = targets.slice(0, targets.indexOf(target));
  return before.filter((each) => each.inUse && !through.includes(each)).map(({ role }) => role);
}

function peerOf({ ports }: CheckContext, target: Target): Peer | { readonly error: CertletError } {
  const server = new URL(target.cluster.server);
  try {
    const proxy = chooseProxy(server, target.cluster.proxyUrl, ports.environment);
    if (proxy !== undefined) return { host: proxy.host, port: proxy.port, what: `the proxy before ${server.host}` };
    return { host: bareHost(server.hostname), port: portOf(server), what: 'the API server' };
  } catch (error) {
    return { error: asCertletError(error) };
  }
}

async function probe(
  { ports }: CheckContext,
  peer: Peer,
  weight: 'problem' | 'warning',
): Promise<{ readonly open: boolean; readonly findings: readonly Finding[] }> {
  const answer = await ports.lookUp(peer.host);
  const names = lookupFindings(peer, answer, weight);
  if (answer.kind === 'failed') return { open: false, findings: names };
  const addresses = answer.addresses.slice(0, MAX_ADDRESSES);
  const tries = await Promise.all(addresses.map((address) => ports.connectTcp(address, peer.port)));
  const open = tries.some(({ kind }) => kind === 'open');
  return { open, findings: [...names, ...connectFindings(peer, tries, weight)] };
}

/** TLS with each server, what answers there, and the clocks. */
export const tlsStep: Step = {
  id: 'tls',
  title: 'TLS and clock',
  async run(context): Promise<StepOutcome | string> {
    const { reachable = [], settings } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    if (reachable.length === 0) return 'no server can be reached';
    const seen: TlsSeen[] = [];
    for (const target of distinctClusters(reachable)) seen.push(await look(context, target, { seen, reachable }));
    const trusted = reachable.filter((target) =>
      seen.some((one) => sameCluster(one.target, target) && isThrough(one.error)),
    );
    const dates = seen.find(({ glimpse, error }) => glimpse?.serverDate !== undefined && isThrough(error));
    const skewMs = skewOf(dates);
    const host = { kubeletUnit: settings.kubelet.unit, byRoot: !settings.manageKubeconfig };
    return {
      findings: [...tlsFindings(seen, host), ...clockFindings(skewMs)],
      facts: { trusted, ...(skewMs === undefined ? {} : { skewMs }) },
    };
  },
};

function skewOf(seen: TlsSeen | undefined): number | undefined {
  const serverDate = seen?.glimpse?.serverDate;
  return seen === undefined || serverDate === undefined ? undefined : seen.at.getTime() - serverDate.getTime();
}

async function look(
  context: CheckContext,
  target: Target,
  { seen, reachable }: { readonly seen: readonly TlsSeen[]; readonly reachable: readonly Target[] },
): Promise<TlsSeen> {
  const error = await verifiedRequest(context, target);
  const failed = seen.filter((one) => one.target.inUse && !isThrough(one.error)).map((one) => one.target.role);
  const weight = weightOf(target, [...failed, ...lostRoles(context.facts, reachable)]);
  const shown = await glimpse(context, target);
  return { target, error, glimpse: shown, at: context.ports.now(), weight };
}

/**
 * Asks without a credential first. A server that demands a client certificate breaks that handshake off, each TLS version and library in a
 * way of its own: then the certificate is shown.
 */
async function verifiedRequest(context: CheckContext, target: Target): Promise<CertletError | undefined> {
  const { cluster, credential } = target;
  const error = await answerAs(context, { cluster, credential: { kind: 'none' } });
  if (credential.kind !== 'certificate' || !isCertletError(error, 'ERR_API_TLS', 'ERR_API_UNREACHABLE')) return error;
  const shown = await answerAs(context, { cluster, credential });
  return isThrough(shown) ? shown : error;
}

/** Any answer in the manner of an API server, also 401 and 403, shows that the verified handshake was good: undefined. */
async function answerAs(context: CheckContext, as: Parameters<typeof withApi>[1]): Promise<CertletError | undefined> {
  try {
    await withApi(context, as, (api) => api.request('GET', '/version', undefined, context.signal));
    return undefined;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    // Without a status the TLS alert of a server that wants a client certificate is meant.
    if (error.status !== undefined && isCertletError(error, 'ERR_API_UNAUTHORIZED')) return undefined;
    const answered = ['ERR_API_FORBIDDEN', 'ERR_API_ANONYMOUS', 'ERR_API_NOT_FOUND', 'ERR_API_REJECTED'] as const;
    return isCertletError(error, ...answered) ? undefined : error;
  }
}

async function glimpse({ ports, signal }: CheckContext, target: Target): Promise<ServerGlimpse | undefined> {
  if (!target.cluster.server.startsWith('https:')) return undefined;
  try {
    return await ports.connector.glimpse(target.cluster, signal);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return undefined;
  }
}
