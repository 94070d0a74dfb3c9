import { isCertletError } from '../errors.ts';
import type { Cluster } from './cluster.ts';
import { judge, type Judgement, type JudgeParts } from './judge.ts';
import { decodeNodeEntry } from './node-object.ts';
import type { NodeIndex } from './nodes.ts';
import { policyOf } from './policy.ts';
import { type Finding, findReserved } from './reserved.ts';
import { decodeSigningRequest, type SigningRequest } from './request.ts';
import { type ApproveSettings, signersOf } from './settings.ts';

/** Fills the index with the Nodes that there are; gives the resourceVersion to watch from. */
export async function loadNodes(
  cluster: Cluster,
  nodes: NodeIndex,
  settings: Pick<ApproveSettings, 'withholdLabel'>,
  signal: AbortSignal,
): Promise<string> {
  const seen = new Set<string>();
  let from = '';
  for await (const { items, resourceVersion } of cluster.nodePages(signal)) {
    from = resourceVersion;
    for (const item of items) {
      const entry = decodeNodeEntry(item, settings.withholdLabel);
      seen.add(entry.name);
      nodes.put(entry);
    }
  }
  nodes.keepOnly(seen);
  return from;
}

/** What a list tells of one request; an item that is no request is told and left out. */
export function readItem(item: unknown, onBroken: (error: Error) => void): SigningRequest | undefined {
  try {
    return decodeSigningRequest(item);
  } catch (error) {
    if (!isCertletError(error, 'ERR_API_PROTOCOL')) throw error;
    onBroken(error);
    return undefined;
  }
}

/** Takes note of an approval for the rule `pace`. */
export function countApproval(request: SigningRequest, parts: Pick<JudgeParts, 'settings' | 'counts'>): void {
  const nodeName = policyOf(request, parts.settings)?.nodeName;
  if (nodeName !== undefined && request.approvedAt !== undefined)
    parts.counts.note(nodeName, request.uid, request.approvedAt);
}

/** Oldest first; the API tells whole seconds, so equal ones go by name. */
export function byArrival(
  one: Pick<SigningRequest, 'createdAt' | 'name'>,
  other: Pick<SigningRequest, 'createdAt' | 'name'>,
): number {
  const apart = one.createdAt.getTime() - other.createdAt.getTime();
  return apart === 0 ? (one.name < other.name ? -1 : 1) : apart;
}

/** What a survey could not make out, for whoever reads its answer. */
export interface SurveyEars {
  readonly onBroken: (error: Error) => void;
  readonly onFound: (finding: Finding) => void;
}

/** Every pending request that the settings are about, judged, in order of arrival; what is the cluster's own and the Nodes are read first. */
export async function survey(
  parts: JudgeParts,
  { onBroken, onFound }: SurveyEars,
  signal: AbortSignal,
): Promise<readonly Judgement[]> {
  const { cluster, settings, nodes, reserved } = parts;
  const finding = await findReserved(cluster.api, settings, signal);
  reserved.found(finding);
  onFound(finding);
  await loadNodes(cluster, nodes, settings, signal);
  const pending = new Map<string, SigningRequest>();
  for (const signerName of signersOf(settings)) {
    for await (const { items } of cluster.requestPages(signerName, signal)) {
      for (const item of items) {
        const request = readItem(item, onBroken);
        if (request?.decided === undefined && request !== undefined) pending.set(request.uid, request);
        else if (request !== undefined) countApproval(request, parts);
      }
    }
    if (!cluster.selectsBySigner) break;
  }
  const judged: Judgement[] = [];
  for (const request of [...pending.values()].toSorted(byArrival)) {
    const judgement = await judge(request, parts, signal);
    if (judgement !== undefined) judged.push(judgement);
  }
  return judged;
}
