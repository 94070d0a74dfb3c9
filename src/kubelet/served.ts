import type { PairInUse } from './restart-window.ts';

/** What one attempt to see a served certificate showed. */
export type Look =
  /** `name`: the DNS name that was asked for (SNI); undefined for a client that sends none. Serial and fingerprint as in `CertificateFacts`. */
  | {
      readonly kind: 'served';
      readonly name?: string;
      readonly serial: string;
      readonly fingerprint: string;
      /** Absent where they cannot be read. */
      readonly dates?: PairInUse;
    }
  /** Nothing listens there. */
  | { readonly kind: 'absent' }
  /** Something listens, and no handshake came of it. */
  | { readonly kind: 'failed'; readonly name?: string; readonly error: string };

/** What all looks at one moment say together. */
export type Served =
  | { readonly kind: 'current' }
  /** Another certificate was shown, to these clients. */
  | { readonly kind: 'stale'; readonly serial: string; readonly to: string; readonly dates?: PairInUse }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unclear'; readonly error: string };

/** The current pair must be shown to everybody: kubelets 1.31 to 1.35 show a new one to clients that send SNI alone (facts F7.3). */
export function judgeLooks(looks: readonly Look[], wanted: { readonly fingerprint: string }): Served {
  const shown = looks.filter((look) => look.kind === 'served');
  const stale = shown.filter(({ fingerprint }) => fingerprint !== wanted.fingerprint);
  const [first] = stale;
  if (first !== undefined) {
    const to = stale.length === shown.length ? 'every client' : stale.map(({ name }) => clientOf(name)).join(', ');
    const { serial, dates } = first;
    return { kind: 'stale', serial, to, ...(dates === undefined ? {} : { dates }) };
  }
  const failed = looks.find((look) => look.kind === 'failed');
  if (failed !== undefined) return { kind: 'unclear', error: failed.error };
  // One that went away between two looks comes again with the newest pair.
  return looks.length > 0 && shown.length === looks.length ? { kind: 'current' } : { kind: 'absent' };
}

const clientOf = (name: string | undefined): string =>
  name === undefined ? 'clients that connect by address' : `clients that ask for ${name}`;

/** Whoever takes a new pair over by itself does so in the first moments, or within a minute (programs that poll). */
const LOOK_AFTER_MS = [300, 1_000, 3_000, 10_000, 30_000, 60_000];

/** When to look, counted from the swap or the restart; the last moment is the end of the time that was given. */
export const lookMoments = (withinMs: number): readonly number[] => [
  ...LOOK_AFTER_MS.filter((afterMs) => afterMs < withinMs),
  withinMs,
];

/** Where to look, in this order until somebody answers. */
export interface Endpoint {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** What the settings say of where the kubelet listens. */
export interface KubeletListens {
  readonly address?: string | undefined;
  readonly port?: number | undefined;
}

/** What the cluster says of it. */
export interface KubeletSeen {
  /** The Node has been read, or cannot be. */
  readonly informed: boolean;
  readonly version: string | undefined;
  /** `status.daemonEndpoints.kubeletEndpoint`. */
  readonly port: number | undefined;
  /** Internal addresses of the Node. */
  readonly addresses: readonly string[];
}

/** `--port` of kubelets and `port` of their configuration, unless told otherwise. */
export const KUBELET_PORT = 10_250;

/** Settings win over the Node, which wins over the kubelet's default. A kubelet listens on every address as a rule, so this host's own comes first. */
export function kubeletEndpoint(
  set: KubeletListens,
  seen: Pick<KubeletSeen, 'port' | 'addresses'> | undefined,
  nodeIPs: readonly string[],
): Endpoint {
  const { address, port } = set;
  const everywhere = address === undefined || /^[0:.]+$/.test(address);
  const addresses = everywhere ? ['127.0.0.1', '::1', ...nodeIPs, ...(seen?.addresses ?? [])] : [address];
  return { addresses: [...new Set(addresses)], port: port ?? seen?.port ?? KUBELET_PORT };
}
