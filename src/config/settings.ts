import type { CertificateSpec } from '../csr/spec.ts';
import type { NodeAddressType } from '../kubelet/node-addresses.ts';
import type { IpRange } from '../pki/ip-range.ts';
import type { RestartWindow } from '../kubelet/restart-window.ts';
import type { LogLevel } from '../ports.ts';

/** Everything that can be set, resolved: paths absolute, durations in milliseconds, lists in the order given. */
export interface Settings {
  /** The settings file that was read; undefined when there was none. */
  readonly source: string | undefined;
  /** Name of the Node object: the override or the host's name, trimmed and in lower case. */
  readonly nodeName: string;
  /** The name is the host's own: nothing in the settings says so, and it may be a passing one. */
  readonly namedByHost?: boolean;
  /** Digest of this machine's id, where the host's name counts and the id is known. */
  readonly machine?: string;
  /** Nothing in the settings names the cert-dir: a daemon may have been given another on its command line. */
  readonly certDirByDefault?: boolean;
  readonly bootstrapKubeconfig: string;
  readonly kubeconfig: string;
  /** Whether the service writes the node's kubeconfig; else root does, outside of its sandbox. */
  readonly manageKubeconfig: boolean;
  /** Where the cluster publishes the CAs that are followed. */
  readonly followClusterCA: 'cluster-info' | 'clusterTrustBundle' | 'off';
  /** File of the kubeconfig's CA; undefined: in whatever form it has. */
  readonly caFile?: string;
  /** Further API servers of the cluster: URLs of https without a slash at the end, in the order of asking. */
  readonly servers: readonly string[];
  /** Ask the cluster for its API servers, too. */
  readonly serversFromEndpoints: boolean;
  /** The kubelet's kubeconfig follows after its server was away for so long; undefined: never. */
  readonly moveKubeconfigMs?: number;
  readonly certDir: string;
  readonly stateDir: string;
  readonly runtimeDir: string;
  /** Addresses of this node for the serving certificate. `0.0.0.0` and `::` stand for "find out" and are left out. */
  readonly nodeIPs: readonly string[];
  readonly rotateServerCertificates: boolean;
  /** Further DNS names and IP addresses of the node, in lower case. */
  readonly servingNames: readonly string[];
  /** Types of the Node's addresses that are asked for. */
  readonly addressTypes: readonly NodeAddressType[];
  /** Addresses of the Node that are not. */
  readonly ignoreAddresses: readonly IpRange[];
  /** A certificate with more names and addresses is not asked for; undefined for no limit. */
  readonly maxNames: number | undefined;
  /** Holds a folder for each entry of `certificates`. */
  readonly certificatesDir: string;
  /** Every certificate that is managed, the node's identity first. */
  readonly specs: readonly CertificateSpec[];
  readonly deleteBootstrapKubeconfig: boolean;
  readonly rotation: RotationSettings;
  readonly kubelet: KubeletSettings;
  readonly hooks: readonly HookSettings[];
  /** Instance names of `certlet-hook@`. */
  readonly privilegedHooks: readonly string[];
  readonly log: LogSettings;
  readonly metrics: MetricsSettings;
  readonly events: boolean;
}

export interface RotationSettings {
  readonly minimumSpacingMs: number;
  readonly keepOldFiles: number;
  readonly pruneGraceMs: number;
  readonly addressDebounceMs: number;
  readonly nodeRefreshMs: number;
  readonly startSpreadMs: number;
  readonly refusedBackoffMs: number;
  readonly proofRetryMs: number;
  readonly clusterCARefreshMs: number;
}

export interface KubeletSettings {
  readonly unit: string;
  readonly version?: string;
  readonly restart: 'auto' | 'always' | 'never';
  /** Who gives the Node its addresses: `external` is a cloud controller manager. */
  readonly cloudProvider: 'none' | 'external';
  /** How long it may go on serving an older pair, and how long it may take to come back after a restart. */
  readonly reloadWithinMs: number;
  /** Where it listens; `0.0.0.0` and `::` stand for everywhere. */
  readonly address?: string;
  readonly port?: number;
  /** Undefined: restarts happen when they are wanted. */
  readonly restartWindow?: RestartWindow;
}

export interface HookSettings {
  readonly name: string;
  /** Argument vector; the first is an absolute path. */
  readonly command: readonly string[];
  /** Names of the certificates after whose rotation it runs. */
  readonly on: readonly string[];
  readonly timeoutMs: number;
}

export interface LogSettings {
  readonly level: LogLevel;
  readonly format: 'auto' | 'text' | 'journal' | 'json';
}

export interface MetricsSettings {
  /** Loopback only; port 0 takes a free one. */
  readonly address?: { readonly host: string; readonly port: number };
  readonly textfile?: string;
}
