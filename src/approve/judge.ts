import { isCertletError } from '../errors.ts';
import { isHostName } from '../pki/dns-name.ts';
import type { Cluster } from './cluster.ts';
import type { ApprovalCounts } from './counts.ts';
import { decide, type Decision } from './decide.ts';
import type { Inventory } from './inventory.ts';
import type { NodeIndex } from './nodes.ts';
import { type Policy, policyOf } from './policy.ts';
import type { SigningRequest } from './request.ts';
import type { ReservedNames } from './reserved.ts';
import type { ApproveSettings } from './settings.ts';
import type { AccessReview, ClusterFacts } from './view.ts';

/** What a judgement draws on besides the request. */
export interface JudgeParts {
  readonly cluster: Cluster;
  readonly settings: ApproveSettings;
  readonly nodes: NodeIndex;
  readonly counts: ApprovalCounts;
  readonly inventory: () => Inventory | undefined;
  readonly reserved: ReservedNames;
  /** Addresses that a name resolves to, canonical; undefined where nothing came. */
  readonly lookUp: (name: string) => Promise<readonly string[] | undefined>;
  readonly now: () => Date;
}

/** A request with what the rules make of it. */
export interface Judgement {
  readonly request: SigningRequest;
  readonly policy: Policy;
  readonly decision: Decision;
}

/** Which subresource the requester must be allowed to create; for first requests: must not. */
const SUBRESOURCES = {
  serving: 'selfnodeserver',
  clientRenewal: 'selfnodeclient',
  clientBootstrap: 'nodeclient',
  certificate: undefined,
} as const;

/**
 * Judges a pending request; undefined for one that the settings have nothing to do with. The API server is asked only about requests
 * that pass the rules which need nothing but the request.
 */
export async function judge(
  request: SigningRequest,
  parts: JudgeParts,
  signal: AbortSignal,
): Promise<Judgement | undefined> {
  const { settings } = parts;
  const policy = policyOf(request, settings);
  if (policy === undefined) return undefined;
  const first = decide({ request, policy, settings, facts: undefined });
  if (first.verdict !== 'approve') return { request, policy, decision: first };
  const facts = await factsFor({ request, policy }, parts, signal);
  return { request, policy, decision: decide({ request, policy, settings, facts }) };
}

type Asked = Pick<Judgement, 'request' | 'policy'>;

async function factsFor(asked: Asked, parts: JudgeParts, signal: AbortSignal): Promise<ClusterFacts> {
  const { nodes, counts, settings } = parts;
  const { nodeName = '' } = asked.policy;
  const now = parts.now();
  const resolved = await lookedUp(asked.request, parts);
  return {
    now,
    permission: await permission(asked, parts, signal),
    node: nodes.get(nodeName),
    othersWith: (text, name) => nodes.othersWith(text, name),
    inventory: parts.inventory(),
    reserved: settings.findReserved ? parts.reserved.with(parts.cluster.api.serverNames()) : undefined,
    resolved: (name) => resolved.get(name),
    approvals: counts.of(nodeName, now),
  };
}

async function permission(
  { request, policy }: Asked,
  { cluster, settings }: JudgeParts,
  signal: AbortSignal,
): Promise<AccessReview | undefined> {
  const subresource = SUBRESOURCES[policy.kind];
  const asks = policy.kind === 'clientBootstrap' || settings.permission;
  return subresource === undefined || !asks ? undefined : cluster.mayCreate(request, subresource, signal);
}

/** Nobody is asked for names that are no names of hosts, nor for any unless the settings say so. */
async function lookedUp(
  { content }: SigningRequest,
  { settings, lookUp }: JudgeParts,
): Promise<ReadonlyMap<string, readonly string[] | undefined>> {
  const names = settings.dns && !isCertletError(content) ? content.dnsNames.map((name) => name.toLowerCase()) : [];
  // At once: a zone of a stranger may answer as slowly as it likes, for each of a hundred names.
  return new Map(await Promise.all(names.filter(isHostName).map(async (name) => [name, await lookUp(name)] as const)));
}
