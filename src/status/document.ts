import { type Remedy, reworded } from '../remedy.ts';
import type { AgentSnapshot, FailureSnapshot, ManagerSnapshot, PendingSnapshot, Phase } from '../rotation/snapshot.ts';
import { timestamp } from '../timestamp.ts';
import { type ClusterCaStatus, clusterCaStatus } from './cluster-ca.ts';
import { type ServerStatus, serverStatuses } from './servers.ts';
import { type ReserveStatus, reserveStatus, survivesOffUntil } from './time-off.ts';
import { foreign, optionalTimestamp, present, type Timestamp } from './fields.ts';
import { type PlannedFacts, type PlannedRestartStatus, plannedStatus } from './planned.ts';
import { type ServedFacts, type ServedStatus, servedStatus } from './served.ts';

export type { Timestamp } from './fields.ts';

/** Changes when a field changes its meaning or goes; new fields come without a change. */
export const STATUS_VERSION = 1;

/** Everything that there is to know of a certlet, without a secret. `config/status.schema.json` describes it; absent fields are left out. */
export interface StatusDocument {
  readonly version: number;
  readonly writtenAt: Timestamp;
  readonly process: ProcessStatus;
  readonly node: NodeStatus;
  /** Why the daemon can do nothing at all: its cert-dir cannot be used. */
  readonly trouble?: ErrorStatus;
  /** Nothing is due and nothing waits. */
  readonly upToDate: boolean;
  readonly certificates: readonly CertificateStatus[];
  /** Hooks that failed and were not made good yet. */
  readonly hooks: readonly HookStatus[];
  /** The last lines at warn and above that this process has logged, the newest last. */
  readonly warnings?: readonly WarningStatus[];
  /** Files of certificates that the settings named once and name no more, as long as they are there. */
  readonly left?: readonly LeftStatus[];
  /** The node's kubeconfig, where it is left to root and has to be written anew. */
  readonly kubeconfig?: KubeconfigStatus;
  /** Only where the cluster's CA is followed. */
  readonly clusterCA?: ClusterCaStatus;
}

/** A line of the journal, without what not everybody may read. */
export interface WarningStatus {
  readonly at: Timestamp;
  readonly level: 'warn' | 'error';
  readonly event: string;
  /** The certificate that it is about. */
  readonly purpose?: string;
  readonly code?: string;
  /** How often it was logged in a row. */
  readonly times: number;
}

/** What is left of one certificate. */
export interface LeftStatus {
  readonly purpose: string;
  readonly files: readonly string[];
}

export interface KubeconfigStatus {
  readonly path: string;
  readonly reason: string;
  /** What root should run. */
  readonly command: Remedy;
}

export interface ProcessStatus {
  /** `run` is the daemon; the others end by themselves. `none`: nobody wrote it, `certlet status` read the disk. */
  readonly command: 'run' | 'once' | 'renew' | 'none';
  readonly pid: number;
  readonly version: string;
  /** When it began, or began anew with other settings: what is counted is counted from then on. */
  readonly startedAt: Timestamp;
  /** When the process itself began; only for the daemon, which may begin anew. */
  readonly processStartedAt?: Timestamp;
  /** It is run again after so long (`certlet once --every`). */
  readonly everySeconds?: number;
  /** When systemd starts the next run; in the answer of `certlet status`, which asks it. */
  readonly nextRunAt?: Timestamp;
  /** The process said goodbye then. */
  readonly stoppedAt?: Timestamp;
}

export interface NodeStatus {
  readonly name: string;
  readonly server?: string;
  /** How far this host's clock is ahead of the API server's (negative: behind). */
  readonly clockSkewSeconds?: number;
  readonly kubeletVersion?: string;
  /** All that are known, the kubeconfig's first; only where the settings know of several. */
  readonly servers?: readonly ServerStatus[];
  /** When certlet last made the node's kubeconfig name another one. */
  readonly serverMovedAt?: Timestamp;
  /** It may be off until then and comes back by its own certificate; absent where it has none that is still good. After that it needs a bootstrap credential. */
  readonly survivesOffUntil?: Timestamp;
}

export interface CertificateStatus {
  readonly purpose: string;
  readonly phase: Phase;
  readonly reason: string;
  /** What a person should run. */
  readonly command?: Remedy;
  readonly since: Timestamp;
  /** The `-current.pem` link. */
  readonly path: string;
  /** A self-signed pair stands there until the first one is issued. */
  readonly placeholder: boolean;
  readonly certificate?: CertificateDetails;
  /** When that certificate came; absent for one that certlet did not ask for. */
  readonly receivedAt?: Timestamp;
  readonly rotationDeadline?: Timestamp;
  readonly reserve?: ReserveStatus;
  readonly nextAttempt?: Timestamp;
  readonly pending?: PendingStatus;
  readonly lastSuccess?: Timestamp;
  readonly lastError?: ErrorStatus;
  /** Attempts in a row that failed. */
  readonly failing?: { readonly since: Timestamp; readonly tries: number };
  /** The restart of the kubelet for this certificate waits. */
  readonly kubeletRestart?: PlannedRestartStatus;
  /** What the program that serves the pair showed at the last look; absent where nobody looked. */
  readonly served?: ServedStatus;
  /** Attempts since the process started (or read its settings anew) by result: `issued` or the error's code. */
  readonly attempts: Readonly<Record<string, number>>;
}

export interface PendingStatus {
  readonly name: string;
  readonly since: Timestamp;
  readonly approved: boolean;
  /** How far it has come: key and name are on disk before the API server is asked. */
  readonly state?: 'requesting' | 'posted' | 'approved' | 'issued';
}

export interface CertificateDetails {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly fingerprint: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly notBefore: Timestamp;
  /** When the first certificate of the chain ends. */
  readonly notAfter: Timestamp;
  /** Subject of the certificate of the chain that ends before its leaf does. */
  readonly endsWith?: string;
}

export interface ErrorStatus {
  readonly code: string;
  readonly message: string;
  readonly remedy?: Remedy;
  /** The file or folder that it is about. */
  readonly path?: string;
  /** The system's name for why (`EACCES`), where the system refused. */
  readonly errno?: string;
  readonly at: Timestamp;
}

export interface HookStatus {
  readonly hook: string;
  readonly purpose: string;
  readonly message: string;
  readonly remedy?: Remedy;
  readonly since: Timestamp;
  readonly attempts: number;
  readonly nextAttempt?: Timestamp;
}

/** What the agent's snapshot does not know. */
export interface StatusParts {
  readonly command: ProcessStatus['command'];
  readonly pid: number;
  readonly version: string;
  readonly processStartedAt?: Date | undefined;
  readonly everyMs?: number | undefined;
  readonly now: Date;
  readonly hooks: readonly HookProblemFacts[];
  readonly served?: readonly ServedFacts[];
  readonly planned?: readonly PlannedFacts[];
  readonly warnings?: readonly WarningStatus[];
  readonly left?: readonly { readonly name: string; readonly files: readonly string[] }[];
}

/** A hook's problem with its dates as dates. */
export interface HookProblemFacts {
  readonly hook: string;
  readonly purpose: string;
  readonly message: string;
  readonly remedy: Remedy | undefined;
  readonly since: Date;
  readonly attempts: number;
  readonly nextAttempt: Date | undefined;
}

/** The document of this moment. Texts of foreign origin pass the filter for secrets once more: the file is readable by everyone. */
export function statusDocument(snapshot: AgentSnapshot, parts: StatusParts): StatusDocument {
  const { kubeconfig } = snapshot;
  return present({
    version: STATUS_VERSION,
    writtenAt: timestamp(parts.now),
    process: present({
      command: parts.command,
      pid: parts.pid,
      version: parts.version,
      startedAt: timestamp(snapshot.startedAt),
      processStartedAt: optionalTimestamp(parts.processStartedAt),
      everySeconds: parts.everyMs === undefined ? undefined : Math.round(parts.everyMs / 1000),
    }),
    node: nodeStatus(snapshot, parts.now),
    trouble: snapshot.trouble && errorStatus(snapshot.trouble),
    upToDate: snapshot.upToDate,
    certificates: snapshot.managers.map((manager) => certificateStatus(manager, parts)),
    hooks: parts.hooks.map(hookStatus),
    warnings: parts.warnings === undefined || parts.warnings.length === 0 ? undefined : parts.warnings,
    left: leftStatus(parts.left ?? []),
    kubeconfig: kubeconfig && { ...kubeconfig, reason: foreign(kubeconfig.reason) },
    clusterCA: clusterCaStatus(snapshot.clusterCa, snapshot.trusted ?? [], foreign, parts.planned),
  });
}

function nodeStatus(snapshot: AgentSnapshot, now: Date): NodeStatus {
  const { nodeName, server, servers, clockSkewMs, kubeletVersion } = snapshot;
  return present({
    name: nodeName,
    server: server === undefined ? undefined : foreign(server),
    clockSkewSeconds: clockSkewMs === undefined ? undefined : Math.round(clockSkewMs / 1000),
    kubeletVersion,
    servers: servers && serverStatuses(servers, foreign),
    serverMovedAt: optionalTimestamp(servers?.moved?.at),
    survivesOffUntil: optionalTimestamp(survivesOffUntil(snapshot, now)),
  });
}

const leftStatus = (left: NonNullable<StatusParts['left']>): readonly LeftStatus[] | undefined =>
  left.length === 0 ? undefined : left.map(({ name: purpose, files }) => ({ purpose, files }));

function certificateStatus(
  manager: ManagerSnapshot,
  { served, planned }: Pick<StatusParts, 'served' | 'planned'>,
): CertificateStatus {
  const { purpose, phase, reason, command, since, placeholder, pending, lastError, failing } = manager;
  return present({
    purpose,
    phase,
    reason: foreign(reason),
    command: command === undefined ? undefined : reworded(command, foreign),
    since: timestamp(since),
    path: manager.currentPath,
    placeholder,
    certificate: manager.certificate && details(manager.certificate),
    receivedAt: optionalTimestamp(manager.receivedAt),
    rotationDeadline: optionalTimestamp(manager.rotationDeadline),
    reserve: manager.reserve && reserveStatus(manager.reserve, foreign),
    nextAttempt: optionalTimestamp(manager.nextAttempt),
    pending: pending && pendingStatus(pending),
    lastSuccess: optionalTimestamp(manager.lastSuccess),
    lastError: lastError && errorStatus(lastError),
    failing: failing && { since: timestamp(failing.since), tries: failing.tries },
    kubeletRestart: plannedStatus(planned ?? [], purpose),
    served: servedStatus(served?.find((one) => one.purpose === purpose)),
    attempts: manager.attempts,
  });
}

function errorStatus({ code, message, remedy, path, errno, at }: FailureSnapshot): ErrorStatus {
  return present({
    code,
    message: foreign(message),
    remedy: remedy === undefined ? undefined : reworded(remedy, foreign),
    path: path === undefined ? undefined : foreign(path),
    errno,
    at: timestamp(at),
  });
}

function pendingStatus({ name, createdAt, approved, posted, received }: PendingSnapshot): PendingStatus {
  const state = received ? 'issued' : approved ? 'approved' : posted ? 'posted' : 'requesting';
  return { name, since: timestamp(createdAt), approved, state };
}

function details(facts: NonNullable<ManagerSnapshot['certificate']>): CertificateDetails {
  const { subject, issuer, serial, fingerprint, dnsNames, ipAddresses, notBefore, notAfter, endsWith } = facts;
  return present({
    subject,
    issuer,
    serial,
    fingerprint,
    dnsNames,
    ipAddresses,
    notBefore: timestamp(notBefore),
    notAfter: timestamp(notAfter),
    endsWith: endsWith === undefined ? undefined : foreign(endsWith),
  });
}

function hookStatus(problem: HookProblemFacts): HookStatus {
  const { hook, purpose, message, remedy, since, attempts, nextAttempt } = problem;
  return present({
    hook,
    purpose,
    message: foreign(message),
    remedy: remedy === undefined ? undefined : reworded(remedy, foreign),
    since: timestamp(since),
    attempts,
    nextAttempt: optionalTimestamp(nextAttempt),
  });
}

/**
 * Two documents with the same mark tell a reader the same: the moment of writing does not count, nor the clock's skew to less than a minute,
 * since the `Date` header has whole seconds and would change with every answer.
 */
export function statusMark(document: StatusDocument): string {
  const { writtenAt: _moment, node, ...rest } = document;
  const { clockSkewSeconds: skew, ...kept } = node;
  const minutes = skew === undefined ? undefined : Math.trunc(skew / 60);
  return JSON.stringify({ ...rest, node: { ...kept, minutes } });
}
