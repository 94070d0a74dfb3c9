import type { CaForm, CaMark, KubeletCas, RemovalProof } from '../../kubeconfig/ca-record.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { bundleId, caName, readTrustedCas, type TrustedCa } from '../../kubeconfig/trusted-ca.ts';
import { clusterDifferences } from './clusters.ts';

/** So many CAs are trusted at most: a rotation needs two, and whoever can publish must not be able to fill memory or every handshake. */
export const MAX_TRUSTED_CAS = 20;
/** A server counts as verified without a CA after so many times, too: a day that the node was off for shows nothing. */
export const LEAST_VERIFICATIONS = 4;

/** What a cluster publishes that is not trusted yet. */
export interface Additions {
  readonly added: readonly TrustedCa[];
  readonly refused: readonly Refused[];
}

/** A published CA that is not trusted. */
export interface Refused {
  readonly ca: TrustedCa;
  readonly why: string;
}

/** So many reasons, and names of each, are told: whoever can publish must not be able to fill the journal. */
const TOLD_REASONS = 10;
const TOLD_NAMES = 5;

/** Those of one reason. */
export interface Refusal {
  readonly why: string;
  readonly cas: readonly [TrustedCa, ...TrustedCa[]];
  /** All of it in one line. */
  readonly text: string;
}

/** Refused CAs by their reason, in the order in which they came. */
export function refusalsOf(refused: readonly Refused[]): readonly Refusal[] {
  const groups = new Map<string, [TrustedCa, ...TrustedCa[]]>();
  for (const { ca, why } of refused) {
    const group = groups.get(why);
    if (group === undefined) groups.set(why, [ca]);
    else group.push(ca);
  }
  return [...groups].slice(0, TOLD_REASONS).map(([why, cas]) => {
    const more = cas.length - TOLD_NAMES;
    const names = caNames(cas.slice(0, TOLD_NAMES));
    return { why, cas, text: `${names}${more > 0 ? ` and ${String(more)} more` : ''}: ${why}` };
  });
}

/** Which of the published CAs are to be trusted besides, and why others are not. `now`: the earliest that it may be. */
export function additionsOf(trusted: readonly TrustedCa[], published: readonly TrustedCa[], now: Date): Additions {
  const known = new Set(trusted.map(({ fingerprint }) => fingerprint));
  const judged = published
    .filter(({ fingerprint }) => !known.has(fingerprint))
    .map((ca) => ({ ca, why: ca.unfit ?? (ca.notAfter < now ? 'it has expired' : undefined) }));
  const refused = judged.flatMap(({ ca, why }) => (why === undefined ? [] : [{ ca, why }]));
  const fit = judged.filter(({ why }) => why === undefined).map(({ ca }) => ca);
  const count = trusted.length + fit.length;
  if (fit.length === 0 || count <= MAX_TRUSTED_CAS) return { added: fit, refused };
  // Which of them matter nobody knows here, so none is taken for the one that does.
  const why = `it would be one of ${String(count)} CAs, and no more than ${String(MAX_TRUSTED_CAS)} are trusted`;
  return { added: [], refused: [...refused, ...fit.map((ca) => ({ ca, why }))] };
}

/** The trusted CAs that the cluster does not publish any more. None where nothing that it publishes is trusted: something has to stay. */
export function goingOf(trusted: readonly TrustedCa[], published: readonly TrustedCa[]): readonly TrustedCa[] {
  const named = new Set(published.map(({ fingerprint }) => fingerprint));
  const going = trusted.filter(({ fingerprint }) => !named.has(fingerprint));
  return going.length === trusted.length ? [] : going;
}

/** Those of `cas` that are not among `others`. */
export function withoutCas<T extends CaMark>(cas: readonly T[], others: readonly CaMark[]): readonly T[] {
  const left = new Set(others.map(({ fingerprint }) => fingerprint));
  return cas.filter(({ fingerprint }) => !left.has(fingerprint));
}

/** What a handshake with a server came to under a bundle: its certificate holds, it does not, or nobody answered. */
export type Verification = 'verified' | 'refused' | 'silent';

/** What one round of handshakes without the CAs that are to go adds to what is known; by the server's URL. */
export function notedRound(
  before: RemovalProof | undefined,
  going: readonly TrustedCa[],
  round: { readonly results: ReadonlyMap<string, Verification>; readonly now: Date },
): RemovalProof {
  const { results, now } = round;
  const without = bundleId(going);
  const known = before?.without === without ? before.servers : {};
  const servers = [...results].flatMap(([server, result]) => {
    const past = known[server];
    if (result === 'refused') return [];
    if (result === 'silent') return past === undefined ? [] : [[server, past] as const];
    // A clock that was set back has no past.
    const since = past === undefined || past.since > now ? now : past.since;
    return [[server, { since, count: (past?.count ?? 0) + 1 }] as const];
  });
  return { without, servers: Object.fromEntries(servers) };
}

/** Why the CAs that are going stay for now, one sentence for each server that holds them; empty when they may go. */
export function removalWaits(
  proof: RemovalProof,
  round: { readonly results: ReadonlyMap<string, Verification>; readonly now: Date; readonly verifiedForMs: number },
): readonly string[] {
  const { results, now, verifiedForMs } = round;
  return [...results].flatMap(([server, result]) => {
    if (result === 'refused') return [`the certificate of ${server} does not hold without them`];
    if (result === 'silent') return [`${server} does not answer`];
    const known = proof.servers[server];
    const forMs = known === undefined ? 0 : now.getTime() - known.since.getTime();
    const long = known !== undefined && forMs >= verifiedForMs && known.count >= LEAST_VERIFICATIONS;
    return long ? [] : [`${server} has not been verified without them for long enough`];
  });
}

/**
 * Up to which minor version a running kubelet keeps the CAs that it has read: those from 1.36 on read a file again every five minutes, none reads what is
 * inside of its kubeconfig.
 */
export const LAST_STATIC: Readonly<Record<CaForm, number>> = { file: 35, data: Number.POSITIVE_INFINITY };

/** What the kubelet holds, given what was known of it and what its kubeconfig gives now. `rereads`: its version reads a CA file again. */
export function kubeletHolds(before: KubeletCas | undefined, now: KubeletCas, rereads: boolean): KubeletCas {
  if (before === undefined || before.run !== now.run) return now;
  return rereads && before.form === 'file' && now.form === 'file' ? now : before;
}

/**
 * How long the kubelet can do with the CAs that it holds of those that are trusted: until the first of them ends. Of that time a restart may use all but
 * the last part, so it counts from now: the servers change to another CA well before. Undefined where none is left.
 */
export function heldUntil(
  held: readonly Pick<TrustedCa, 'notAfter'>[],
  now: Date,
): { readonly notBefore: Date; readonly notAfter: Date; readonly selfSigned: false } | undefined {
  const ends = held.map(({ notAfter }) => notAfter.getTime()).filter((end) => end > now.getTime());
  if (ends.length === 0) return undefined;
  return { notBefore: now, notAfter: new Date(Math.min(...ends)), selfSigned: false };
}

/** The difference between what the kubelet holds and what it should; undefined where there is none. */
export interface KubeletLag {
  readonly lacks: readonly CaMark[];
  readonly keeps: readonly CaMark[];
}

export function kubeletLag(held: KubeletCas, wanted: readonly CaMark[]): KubeletLag | undefined {
  const lacks = withoutCas(wanted, held.cas);
  const keeps = withoutCas(held.cas, wanted);
  return lacks.length + keeps.length === 0 ? undefined : { lacks, keeps };
}

/** In which form a cluster entry gives its CAs. */
export const formOf = ({ caPath }: Pick<ClusterAccess, 'caPath'>): CaForm => (caPath === undefined ? 'data' : 'file');

/**
 * Whether a bootstrap kubeconfig that names another CA than the node's offers anything: not where all its CAs are trusted already, so that the CA of
 * the day on which the node joined does not come back in place of those that were followed since.
 */
export function offersNothing(active: ClusterAccess, offered: ClusterAccess): boolean {
  const elsewhere = { ...offered, ...(active.caPem === undefined ? {} : { caPem: active.caPem }) };
  if (clusterDifferences(active, elsewhere).length > 0) return false;
  const names = readTrustedCas(offered.caPem);
  return names.length > 0 && withoutCas(names, readTrustedCas(active.caPem)).length === 0;
}

/** For one line of text: each CA by name. */
export const caNames = (cas: readonly CaMark[]): string => cas.map(caName).join(', ');

/** What is to be done about a kubeconfig that trusts some CAs and should trust others, for whoever writes it; empty where nothing is. */
export function changeWanted(trusted: readonly CaMark[], wanted: readonly CaMark[]): string {
  const [more, fewer] = [withoutCas(wanted, trusted), withoutCas(trusted, wanted)];
  return [
    ...(more.length === 0 ? [] : [`the cluster publishes CAs that it does not trust: ${caNames(more)}`]),
    ...(fewer.length === 0 ? [] : [`it trusts CAs that are gone from the cluster: ${caNames(fewer)}`]),
  ].join('; ');
}
