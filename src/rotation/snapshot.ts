import type { Remedy } from '../remedy.ts';
import type { ErrorCode } from '../error-rules.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import type { CaMark } from '../kubeconfig/ca-record.ts';
import type { CaSource } from './rotation-context.ts';
import type { KubeletLag } from './rules/cluster-ca.ts';
import type { KubeconfigNeed } from './rules/clusters.ts';
import type { ServerMove } from '../ports.ts';
import type { ReserveFacts } from './rules/reserve.ts';
import type { ServerFacts } from './rules/servers.ts';

/** The named states of one certificate. */
export type Phase =
  | 'starting'
  | 'valid'
  | 'requesting'
  | 'waiting for approval'
  | 'waiting for issuance'
  | 'proving'
  | 'installing'
  | 'waiting to request'
  | 'waiting to retry'
  | 'waiting for the client certificate'
  | 'waiting for the clock'
  | 'waiting for the cloud provider'
  | 'held'
  | 'not managed';

export interface PendingSnapshot {
  readonly name: string;
  readonly createdAt: Date;
  /** The API server has taken it: before that there is nothing that somebody could approve. */
  readonly posted: boolean;
  readonly approved: boolean;
  readonly received: boolean;
}

export interface FailureSnapshot {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: Remedy | undefined;
  /** The file or folder that it is about, where it is about one. */
  readonly path?: string | undefined;
  /** The system's name for why, where the system refused. */
  readonly errno?: string | undefined;
  readonly at: Date;
}

/** Everything that status, metrics and the service manager say of one certificate. No secret in it. */
export interface ManagerSnapshot {
  /** The name of the certificate. */
  readonly purpose: string;
  /** The node asks with it. */
  readonly isIdentity: boolean;
  readonly phase: Phase;
  /** Why it is in this phase, one sentence. */
  readonly reason: string;
  /** The command a person should run, where one is needed. */
  readonly command: Remedy | undefined;
  readonly since: Date;
  readonly certificate: CertificateFacts | undefined;
  readonly currentPath: string;
  readonly placeholder: boolean;
  /** When this certificate came, as far as two clocks tell; undefined for one that certlet did not ask for. */
  readonly receivedAt: Date | undefined;
  readonly rotationDeadline: Date | undefined;
  /** What the settings' reserve comes to with its lifetime; absent where there is none. */
  readonly reserve?: ReserveFacts | undefined;
  readonly nextAttempt: Date | undefined;
  readonly pending: PendingSnapshot | undefined;
  readonly lastSuccess: Date | undefined;
  readonly lastError: FailureSnapshot | undefined;
  /** Attempts that failed in a row, and since when; undefined where the last one did not fail. */
  readonly failing: { readonly since: Date; readonly tries: number } | undefined;
  /** Attempts by result since the process started: `issued`, or the error code. */
  readonly attempts: Readonly<Record<string, number>>;
}

/** A CA, for people and metrics. */
export interface CaSnapshot {
  readonly fingerprint: string;
  readonly subject: string;
  readonly notAfter: Date;
}

/** What following the cluster's CA has come to. */
export interface ClusterCaSnapshot {
  readonly source: CaSource;
  /** When what the cluster publishes was read last. */
  readonly readAt: Date | undefined;
  /** Trusted, not published any more, and why they stay for now. */
  readonly going: readonly CaMark[];
  readonly waits: readonly string[];
  /** Published, and why they are not trusted. */
  readonly refused: readonly string[];
  /** What the running kubelet has read otherwise than its kubeconfig says now: it does not trust the first, and goes on trusting the second. */
  readonly kubelet: KubeletLag | undefined;
  readonly trouble: FailureSnapshot | undefined;
}

/** The API servers of the cluster, where there are several. */
export interface ServersSnapshot {
  readonly inUse: string;
  readonly ofKubeconfig: string;
  readonly servers: readonly ServerFacts[];
  /** When the node's kubeconfig was last made to name another one. */
  readonly moved: ServerMove | undefined;
}

export interface AgentSnapshot {
  readonly nodeName: string;
  readonly startedAt: Date;
  readonly at: Date;
  readonly managers: readonly ManagerSnapshot[];
  readonly server: string | undefined;
  readonly servers?: ServersSnapshot | undefined;
  readonly clockSkewMs: number | undefined;
  readonly kubeletVersion: string | undefined;
  readonly lastTick: Date;
  /** Only where the kubeconfig is left to root and has to be written anew. */
  readonly kubeconfig?: KubeconfigNeed | undefined;
  /** The CAs that the kubeconfig gives; empty where it gives none. */
  readonly trusted?: readonly CaSnapshot[];
  /** Only where the cluster's CA is followed. */
  readonly clusterCa?: ClusterCaSnapshot | undefined;
  /** Why nothing can be done at all: the cert-dir cannot be used. */
  readonly trouble?: FailureSnapshot | undefined;
  /** Nothing is due, nothing waits: what `certlet once` waits for. */
  readonly upToDate: boolean;
}
