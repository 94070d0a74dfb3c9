import { type Remedy, reworded } from '../remedy.ts';
import type { ClusterCaSnapshot } from '../rotation/snapshot.ts';
import { CLUSTER_CA } from '../kubeconfig/trusted-ca.ts';
import { timestamp } from '../timestamp.ts';
import { type PlannedFacts, type PlannedRestartStatus, plannedStatus } from './planned.ts';

/** A CA as it is told apart from others of its name. */
export interface CaStatus {
  readonly subject: string;
  /** SHA-256, lower-case hex. */
  readonly fingerprint: string;
}

/** What following the cluster's CA has come to; see `followClusterCA`. */
export interface ClusterCaStatus {
  readonly source: string;
  /** When what the cluster publishes was read last; RFC 3339. */
  readonly readAt?: string;
  /** What the node's kubeconfig trusts now. */
  readonly trusted: readonly (CaStatus & { readonly notAfter: string })[];
  /** Trusted and not published any more, and why they stay for now. */
  readonly going: readonly CaStatus[];
  readonly waits: readonly string[];
  /** Published and not trusted, each with the reason. */
  readonly refused: readonly string[];
  /** The running kubelet has other CAs than its kubeconfig: it lacks the first and goes on trusting the second until it is restarted. */
  readonly kubelet?: { readonly lacks: readonly CaStatus[]; readonly keeps: readonly CaStatus[] };
  /** The restart that changes that waits for its window. */
  readonly kubeletRestart?: PlannedRestartStatus;
  readonly error?: { readonly code: string; readonly message: string; readonly remedy?: Remedy; readonly at: string };
}

type Trusted = readonly (CaStatus & { readonly notAfter: Date })[];

/** The document's part; undefined where the CA is not followed. `foreign` makes text of others harmless. */
export function clusterCaStatus(
  snapshot: ClusterCaSnapshot | undefined,
  trusted: Trusted,
  foreign: (text: string) => string,
  planned: readonly PlannedFacts[] = [],
): ClusterCaStatus | undefined {
  if (snapshot === undefined) return undefined;
  const { source, readAt, going, waits, refused, kubelet, trouble } = snapshot;
  const kubeletRestart = plannedStatus(planned, CLUSTER_CA);
  const mark = ({ subject, fingerprint }: CaStatus): CaStatus => ({ subject: foreign(subject), fingerprint });
  return {
    source,
    ...(readAt === undefined ? {} : { readAt: timestamp(readAt) }),
    trusted: trusted.map((ca) => ({ ...mark(ca), notAfter: timestamp(ca.notAfter) })),
    going: going.map(mark),
    waits: waits.map(foreign),
    refused: refused.map(foreign),
    ...(kubelet === undefined ? {} : { kubelet: { lacks: kubelet.lacks.map(mark), keeps: kubelet.keeps.map(mark) } }),
    ...(kubeletRestart === undefined ? {} : { kubeletRestart }),
    ...(trouble === undefined ? {} : { error: errorOf(trouble, foreign) }),
  };
}

function errorOf(
  { code, message, remedy, at }: NonNullable<ClusterCaSnapshot['trouble']>,
  foreign: (text: string) => string,
): NonNullable<ClusterCaStatus['error']> {
  const fix = remedy === undefined ? {} : { remedy: reworded(remedy, foreign) };
  return { code, message: foreign(message), ...fix, at: timestamp(at) };
}

/** `CN=kubernetes (sha256 0a1b…)`, one after the other. */
const names = (cas: readonly CaStatus[]): string =>
  cas.map(({ subject, fingerprint }) => `${subject} (sha256 ${fingerprint.slice(0, 16)}…)`).join(', ');

/** What keeps a node from being ready for the next step of a CA's rotation, one sentence each; empty when nothing does. */
export function clusterCaReasons({ kubelet, refused, error }: ClusterCaStatus): readonly string[] {
  const lacks = kubelet?.lacks ?? [];
  const keeps = kubelet?.keeps ?? [];
  return [
    ...(error === undefined ? [] : [`cluster CA: ${error.message}`]),
    ...refused.map((text) => `cluster CA: published and not trusted: ${text}`),
    ...(lacks.length === 0 ? [] : [`cluster CA: until it is restarted, the kubelet does not trust ${names(lacks)}`]),
    ...(keeps.length === 0 ? [] : [`cluster CA: until it is restarted, the kubelet goes on trusting ${names(keeps)}`]),
  ];
}

/** The same as rows for a person, and what else is going on; empty when nothing is. */
export function clusterCaRows(status: ClusterCaStatus): readonly (readonly [string, string])[] {
  const { going, waits, refused, kubelet, error } = status;
  const lacks = kubelet?.lacks ?? [];
  const keeps = kubelet?.keeps ?? [];
  const rows: readonly (readonly [string, string])[] = [
    ...(error === undefined ? [] : [['error', error.message] as const]),
    ...refused.map((text) => ['not trusted', text] as const),
    ...(lacks.length === 0 ? [] : [['kubelet', `does not trust ${names(lacks)} until it is restarted`] as const]),
    ...(keeps.length === 0 ? [] : [['kubelet', `goes on trusting ${names(keeps)} until it is restarted`] as const]),
    ...(going.length === 0 ? [] : [['going', `${names(going)}: not published any more`] as const]),
    ...waits.map((text) => ['stays since', text] as const),
  ];
  if (rows.length === 0) return [];
  const trusted = status.trusted.map((ca) => ['trusts', `${names([ca])} until ${ca.notAfter}`] as const);
  return [...trusted, ...rows];
}
