import type { NodeFacts } from '../../ports.ts';

/** Where the names of the serving certificate come from. */
export interface NameSources {
  readonly nodeName: string;
  readonly nodeIPs: readonly string[];
  readonly servingNames: readonly string[];
  /** Undefined while the Node does not exist or could not be read. */
  readonly node: NodeFacts | undefined;
  /** The address that routes to the API server, used where nothing else gives one. */
  readonly routeAddress: string | undefined;
}

/** Address types as in client-go's node addresses; the kubelet puts the first into DNS names and the others by what they parse as. */
const NAME_TYPES = new Set(['Hostname', 'InternalDNS', 'ExternalDNS']);
const IP_TYPES = new Set(['InternalIP', 'ExternalIP']);

/**
 * Names and addresses for the serving template, host name first. `--node-ip` and the settings seed it, the Node adds what it knows;
 * only where neither gives an address, the one that routes to the API server does. Never waits for the Node: its kubelet may wait for this certificate.
 */
export function servingNamesOf(sources: NameSources): readonly string[] {
  const known = (sources.node?.addresses ?? [])
    .filter(({ type }) => NAME_TYPES.has(type) || IP_TYPES.has(type))
    .map(({ address }) => address);
  const seeded = [...sources.nodeIPs, ...sources.servingNames, ...known];
  const hasAddress =
    sources.nodeIPs.length > 0 ||
    sources.servingNames.some(looksLikeAddress) ||
    (sources.node?.addresses ?? []).some(({ type }) => IP_TYPES.has(type));
  const route = hasAddress || sources.routeAddress === undefined ? [] : [sources.routeAddress];
  return [...new Set([sources.nodeName, ...seeded, ...route].filter((name) => name !== ''))];
}

const looksLikeAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(':');

/** A set of names, and since when a different one has been seen. */
export interface SettledNames {
  readonly names: readonly string[];
  readonly candidate?: { readonly names: readonly string[]; readonly since: Date };
}

/**
 * Debounce: a changed set counts once it has been the same for `debounceMs`; names that only went away count at once,
 * since a certificate with more names than wanted is fine. Flapping addresses therefore cost no request.
 */
export function settleNames(
  settled: SettledNames | undefined,
  seen: readonly string[],
  now: Date,
  debounceMs: number,
): SettledNames {
  if (settled === undefined) return { names: seen };
  const gained = seen.filter((name) => !settled.names.includes(name));
  if (gained.length === 0) return { names: seen };
  const same = settled.candidate !== undefined && sameNames(settled.candidate.names, seen);
  const since = same && settled.candidate.since <= now ? settled.candidate.since : now;
  if (now.getTime() - since.getTime() >= debounceMs) return { names: seen };
  return { names: settled.names, candidate: { names: seen, since } };
}

function sameNames(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name) => right.includes(name));
}
