import type { Remedy } from '../remedy.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import type { Troubles } from '../trouble.ts';
import type { NameRules } from './rules/names.ts';
import { type DateSample, type JudgedTime, judgedTime } from './rules/clock-judge.ts';
import type { Connections } from './node/connections.ts';
import type {
  AfterRotation,
  ApiConnector,
  CertificateStore,
  Chance,
  Clock,
  ClusterCaFiles,
  KubeconfigFiles,
  Logger,
  Observer,
  RestartFlag,
  RouteProbe,
  ServersFile,
  ServingProof,
} from '../ports.ts';

/** Everything rotation is told by the settings. Durations in milliseconds. */
export interface RotationOptions extends NameRules {
  readonly nodeName: string;
  /** The name is the host's own and may be a passing one; absent: from the settings. */
  readonly namedByHost?: boolean;
  /** Digest of this machine's id; undefined where that is not known. */
  readonly machine?: string | undefined;
  readonly certDir: string;
  readonly kubeconfigPath: string;
  /** Else root writes it, and certlet says when that is needed. */
  readonly manageKubeconfig: boolean;
  /** How root writes it. */
  readonly kubeconfigCommand: Remedy;
  /** Every certificate that is managed, the node's identity first. */
  readonly specs: readonly CertificateSpec[];
  /** Extra DNS names and addresses of the node. */
  readonly servingNames: readonly string[];
  readonly nodeIPs: readonly string[];
  /** A certificate with more names is held; undefined for no limit. */
  readonly maxNames: number | undefined;
  /** A cloud controller gives the Node its addresses: the first request that takes them waits for it. */
  readonly externalCloud: boolean;
  readonly minimumSpacingMs: number;
  /** A changed address counts once it has stayed so long. */
  readonly addressDebounceMs: number;
  /** How often the own Node is read again. */
  readonly nodeRefreshMs: number;
  /** A start with a pair in hand spreads its first request over this. */
  readonly startSpreadMs: number;
  /** Base of the delay after a denial or a failure. */
  readonly refusedBackoffMs: number;
  /** How long a fresh or refused client certificate is tried before it counts as dead. */
  readonly proofRetryMs: number;
  readonly deleteBootstrapKubeconfig: boolean;
  /** Further API servers of the cluster, URLs in the order of asking. */
  readonly servers?: readonly string[];
  /** The cluster's own list of them is asked for. */
  readonly serversFromEndpoints?: boolean;
  /** The node's kubeconfig follows after its server was away for so long; undefined: never. */
  readonly moveKubeconfigMs?: number | undefined;
  /** The next run comes so much later: what falls due before is due now. Undefined for a daemon. */
  readonly everyMs?: number | undefined;
  /** A run renews only what ends within this time, in place of what is due. Undefined for a daemon. */
  readonly expiringWithinMs?: number | undefined;
  /** A proof so young is good enough for a start with that pair. Undefined for a daemon: it starts seldom. */
  readonly proofGoodForMs?: number | undefined;
  /** Overrides what the Node says. */
  readonly kubeletVersion: string | undefined;
  /** Where the kubeconfig's CA is kept in a file of its own; undefined for inside the kubeconfig, or in whatever form it has. */
  readonly caFile?: string | undefined;
  /** Undefined: the CAs are those of the kubeconfig, whatever the cluster publishes. */
  readonly followCa?: FollowOptions | undefined;
}

/** How the cluster's CA is followed. */
export interface FollowOptions {
  readonly source: CaSource;
  /** How often what the cluster publishes is read. */
  readonly refreshMs: number;
  /** How long every known server must have been verified without a CA before it goes. */
  readonly verifiedForMs: number;
  /** Restarts of the kubelet wait for a window, but not while it cannot verify the server in use any more. */
  readonly restartsWait?: boolean;
  /** The CA file beside the pairs, whether or not it is there: the only one that may be written. */
  readonly ownFile: string;
  /** What root runs where the kubeconfig is root's, for CAs with these pins. */
  readonly rootCommand: (pins: readonly string[]) => Remedy;
}

/** Where a cluster publishes its CAs: the ConfigMap kube-public/cluster-info, or ClusterTrustBundles of the API servers' signer. */
export type CaSource = 'cluster-info' | 'clusterTrustBundle';

export interface RotationPorts {
  readonly clock: Clock;
  readonly chance: Chance;
  readonly log: Logger;
  readonly store: CertificateStore;
  readonly kubeconfigs: KubeconfigFiles;
  readonly connector: ApiConnector;
  readonly route: RouteProbe;
  readonly serving: ServingProof;
  readonly after: AfterRotation;
  readonly observer: Observer;
  /** Only where the cluster's CA is followed. */
  readonly clusterCa?: ClusterCaFiles | undefined;
  /** Only where there are several API servers. */
  readonly serversFile?: ServersFile | undefined;
  readonly restartFlag?: RestartFlag | undefined;
}

/** What the rotation of every certificate works with. A reload makes a new agent with a context of its own. */
export interface RotationContext extends RotationPorts {
  readonly options: RotationOptions;
  readonly connections: Connections;
  /** What fails again and again, of all certificates: how much of it is told. */
  readonly troubles: Troubles;
  /** The last `Date` header that an API server sent; set by the agent. */
  dateSample: DateSample | undefined;
  /** An attempt entered another phase: what watches the agent is told without waiting for the next round. */
  readonly changed?: () => void;
}

/** Now, as this host and the last server date bound it. */
export function judgedNow(context: RotationContext): JudgedTime {
  return judgedTime(context.clock.now(), context.dateSample);
}
