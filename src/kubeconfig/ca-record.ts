import { timestamp } from '../timestamp.ts';

/** In which form a kubeconfig gives its CAs: inside of it, or in a file that it names. */
export type CaForm = 'data' | 'file';

/** A CA by what tells it from others. */
export interface CaMark {
  /** Lower-case hex of SHA-256. */
  readonly fingerprint: string;
  readonly subject: string;
}

/** Which CAs the kubelet read at its start, as far as that is known. */
export interface KubeletCas {
  /** Tells one run of the kubelet from the next; undefined where nothing on this host does. */
  readonly run: string | undefined;
  readonly form: CaForm;
  readonly cas: readonly CaMark[];
}

/** How long servers have been verified without the CAs that are to go. */
export interface RemovalProof {
  /** `bundleId` of those that go: another set begins anew. */
  readonly without: string;
  /** By the server's URL: since when without a failure in between, and how often. */
  readonly servers: Readonly<Record<string, { readonly since: Date; readonly count: number }>>;
}

/** What outlives a process of following the cluster's CA. */
export interface CaRecord {
  readonly kubelet?: KubeletCas | undefined;
  readonly removal?: RemovalProof | undefined;
  /** Digest of the bootstrap kubeconfig as it was when the CAs were changed last: what it names is no offer any more. */
  readonly passedBy?: string | undefined;
}

/** As text for its file, ending in a newline. */
export function encodeCaRecord({ kubelet, removal, passedBy }: CaRecord): string {
  const servers = Object.entries(removal?.servers ?? {}).map(([server, { since, count }]) => ({
    server,
    since: timestamp(since),
    count,
  }));
  const proof = removal === undefined ? undefined : { without: removal.without, servers };
  return `${JSON.stringify({ kubelet, removal: proof, passedBy })}\n`;
}

/** Reads what `encodeCaRecord` wrote. What is damaged counts as absent: the price is a day's wait that begins anew, or one restart too many. */
export function decodeCaRecord(text: string): CaRecord {
  const fields = mapOf(parsed(text));
  const { passedBy } = fields;
  return {
    kubelet: kubeletOf(fields['kubelet']),
    removal: removalOf(fields['removal']),
    ...(typeof passedBy === 'string' ? { passedBy } : {}),
  };
}

function kubeletOf(value: unknown): KubeletCas | undefined {
  const { run, form, cas } = mapOf(value);
  if ((form !== 'data' && form !== 'file') || !Array.isArray(cas)) return undefined;
  const marks = cas.map(mapOf).flatMap(({ fingerprint, subject }): readonly CaMark[] => {
    return typeof fingerprint === 'string' && typeof subject === 'string' ? [{ fingerprint, subject }] : [];
  });
  return { run: typeof run === 'string' ? run : undefined, form, cas: marks };
}

function removalOf(value: unknown): RemovalProof | undefined {
  const { without, servers } = mapOf(value);
  if (typeof without !== 'string' || !Array.isArray(servers)) return undefined;
  const known = servers.map(mapOf).flatMap(({ server, since, count }) => {
    const at = typeof since === 'string' ? new Date(since) : new Date(Number.NaN);
    const whole = typeof server === 'string' && Number.isInteger(count) && !Number.isNaN(at.getTime());
    return whole ? [[server, { since: at, count: count as number }] as const] : [];
  });
  return { without, servers: Object.fromEntries(known) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const mapOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {};
