import { addressKind, type NodeAddressType } from '../../kubelet/node-addresses.ts';
import { canonicalIpAddress } from '../../pki/ip-address.ts';
import { type IpRange, rangeHolds } from '../../pki/ip-range.ts';
import type { NodeFacts } from '../../ports.ts';

/** Which of the names that a node has are asked for. */
export interface NameRules {
  /** Types of the Node's addresses that count. */
  readonly addressTypes: readonly NodeAddressType[];
  /** Addresses of the Node and of the route that do not. */
  readonly ignoreAddresses: readonly IpRange[];
}

/** Where the names of the serving certificate come from. */
export interface NameSources extends NameRules {
  readonly nodeName: string;
  readonly nodeIPs: readonly string[];
  readonly servingNames: readonly string[];
  /** Undefined while the Node does not exist or could not be read. */
  readonly node: NodeFacts | undefined;
  /** The address that routes to the API server, used where nothing else gives one. */
  readonly routeAddress: string | undefined;
}

/**
 * Names and addresses for the serving template, host name first, addresses in their one text (RFC 5952). `--node-ip` and the settings seed it, the
 * Node adds what it knows; only where neither gives an address, the one that routes to the API server does. Never waits for the Node: its kubelet may
 * wait for this certificate.
 */
export function servingNamesOf(sources: NameSources): readonly string[] {
  const given = givenNames(sources);
  const known = nodeAddresses(sources);
  const seeded = [...given, ...known.map(({ address }) => address)];
  const hasAddress = given.some(looksLikeAddress) || known.some(({ type }) => addressKind(type) === 'address');
  const route = hasAddress ? [] : [sources.routeAddress].filter((address) => address !== undefined);
  const routed = route.filter((address) => !isIgnored(sources, address));
  return distinct([sources.nodeName, ...seeded, ...routed]);
}

/** Those of the settings, and the node's own: an administrator's word, which counts at once and is never ignored. */
export const givenNames = ({
  nodeName,
  nodeIPs,
  servingNames,
}: Pick<NameSources, 'nodeName' | 'nodeIPs' | 'servingNames'>): readonly string[] =>
  distinct([nodeName, ...nodeIPs, ...servingNames]);

/** The addresses of the Node of the types that count, without the ignored ones. */
function nodeAddresses(sources: NameSources): NodeFacts['addresses'] {
  return (sources.node?.addresses ?? []).filter(
    ({ type, address }) =>
      address !== '' && sources.addressTypes.some((wanted) => wanted === type) && !isIgnored(sources, address),
  );
}

/** The addresses that this node has, in their order, when every one of them is ignored and the settings give none: nobody could dial it then. */
export function allIgnored(sources: NameSources): readonly string[] {
  if (sources.ignoreAddresses.length === 0 || givenNames(sources).some(looksLikeAddress)) return [];
  const ofNode = (sources.node?.addresses ?? [])
    .filter(({ type }) => addressKind(type) === 'address' && sources.addressTypes.some((wanted) => wanted === type))
    .map(({ address }) => address);
  const seen = distinct([...ofNode, sources.routeAddress ?? '']);
  return seen.every((address) => isIgnored(sources, address)) ? seen : [];
}

/** The Node's first InternalIP, which most clients dial (metrics-server, API servers that kubeadm set up), where the rules leave it out. */
export function ignoredFirstAddress(sources: NameSources): string | undefined {
  const first = sources.node?.addresses.find(({ type }) => type === 'InternalIP')?.address;
  if (first === undefined || first === '') return undefined;
  return servingNamesOf(sources).includes(canonical(first)) ? undefined : canonical(first);
}

const isIgnored = ({ ignoreAddresses }: NameRules, address: string): boolean =>
  ignoreAddresses.some((range) => rangeHolds(range, address));

const looksLikeAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(':');

const canonical = (name: string): string => canonicalIpAddress(name) ?? name;

const distinct = (names: readonly string[]): readonly string[] => [
  ...new Set(names.filter((name) => name !== '').map(canonical)),
];

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
