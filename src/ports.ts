/**
 * The interfaces that rotation needs. Adapters implement them; tests implement them by hand in `test/fixtures/fakes`.
 * All methods that fail throw `CertletError`.
 */
import type { Remedy } from './remedy.ts';
import type { AfterSwap } from './csr/spec.ts';
import type { CertificatePair } from './pki/certificate.ts';
import type { CertificateSigningRequest, CsrApiVersion, CsrToCreate, CsrWatchEvent } from './csr/wire.ts';
import type { ClientConfig, ClusterAccess, Credential } from './kubeconfig/client-config.ts';
import type { PairInUse } from './kubelet/restart-window.ts';
import type { PendingRequest, RequestHistory } from './csr/pending.ts';
import type { CaRecord } from './kubeconfig/ca-record.ts';

/** Wall clock. */
export interface Clock {
  now(): Date;
  /** Resolves when the wall clock has reached `deadline`, when the time that was left at the call has passed (a clock set back postpones nothing) or when `signal` aborts; never rejects. Sleeps in slices of at most a minute. */
  sleepUntil(deadline: Date, signal: AbortSignal): Promise<void>;
}

/** Chance: a uniform number in [0, 1). */
export interface Chance {
  roll(): number;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFields = Readonly<Record<string, string | number | boolean | Date | undefined | readonly string[]>> & {
  readonly remedy?: Remedy | undefined;
};

/** One fact, one line: a fixed event text and fields. */
export interface Logger {
  log(level: LogLevel, event: string, fields?: LogFields): void;
}

/** systemd's notify protocol; every method is a no-op without NOTIFY_SOCKET and never throws. */
export interface ServiceNotifier {
  ready(status: string): void;
  status(text: string): void;
  reloading(): void;
  stopping(): void;
  watchdog(): void;
}

/** A whole, matching pair found on disk. */
export interface StoredPair {
  readonly path: string;
  /** `current`: behind `-current.pem`; `timestamped`: an older file of ours or the kubelet's; `legacy`: `.crt` and `.key`. */
  readonly origin: 'current' | 'timestamped' | 'legacy';
  readonly pair: CertificatePair;
}

/** The folders of the certificates and the state folder, each certificate by the name of its spec. One writer: whoever holds the lock. */
export interface CertificateStore {
  /** Absolute path of `<folder>/<prefix>-current.pem`. */
  currentPath(certificate: string): string;
  /**
   * Every whole pair of this certificate, the current one (if any) first, then by NotAfter, latest first. Moves corrupt files aside; finishes or undoes
   * an interrupted swap.
   */
  inspect(certificate: string): Promise<readonly StoredPair[]>;
  /** The pair behind the link now, undefined when there is none or it is not whole. Changes nothing. */
  current(certificate: string): Promise<CertificatePair | undefined>;
  /**
   * Whether the link names what this process saw or put there last: what changed it was its own doing, or has been seen. False where something else
   * than a link stands at its name. Changes nothing.
   */
  isLinkAsLeft(certificate: string): Promise<boolean>;
  /** Writes the timestamped file, swaps the link, touches older files and writes the plain files where its spec wants that. Returns the file's path. Idempotent for the pair that is current already. */
  install(certificate: string, pair: CertificatePair, now: Date): Promise<string>;
  /** Points the link at a pair that is on disk already under our prefix. */
  relink(certificate: string, stored: StoredPair): Promise<void>;
  /** Deletes old files beyond the last two once older than the grace time; never the live one. Returns what was deleted. */
  prune(certificate: string, now: Date): Promise<readonly string[]>;
  /** Files or a link target under its prefix that certlet did not write since it first took this folder over. Empty is the normal case. */
  foreign(certificate: string): Promise<readonly string[]>;
  /** Takes note of everything present, so that `foreign` is empty again (at adoption, or when a person decided). */
  acceptAll(certificate: string): Promise<void>;
  /** The pending request record; an unparsable one is moved aside and counts as none. */
  readPending(certificate: string): Promise<PendingRequest | undefined>;
  /** Durable before it resolves (written aside, synced, renamed, folder synced), 0600. */
  writePending(certificate: string, record: PendingRequest): Promise<void>;
  removePending(certificate: string): Promise<void>;
  /** What happened to earlier requests; survives restarts so that a denied node does not hammer. */
  readHistory(certificate: string): Promise<RequestHistory>;
  writeHistory(certificate: string, history: RequestHistory): Promise<void>;
}

export type KubeconfigReading =
  /** `linksTo`: it is a link to this path, where nothing is. */
  | { readonly kind: 'absent'; readonly path: string; readonly linksTo?: string }
  /** `files`: what it names, where that much could be read: one of them may be what is wrong. */
  | { readonly kind: 'unusable'; readonly path: string; readonly error: Error; readonly files?: readonly string[] }
  | { readonly kind: 'usable'; readonly path: string; readonly config: ClientConfig };

/** The two kubeconfig files of a node, and those of its other certificates. */
export interface KubeconfigFiles {
  readBootstrap(): Promise<KubeconfigReading>;
  readNode(): Promise<KubeconfigReading>;
  /** Replaces the node's kubeconfig atomically, 0600, if its text would change; returns whether it did. */
  writeNode(cluster: ClusterAccess, pairPath: string): Promise<boolean>;
  /** Finishes a write of the node's kubeconfig that a crash cut short (where it can only be written in place); returns whether there was one. */
  finishWrite(): Promise<boolean>;
  /** The same as `writeNode` for the kubeconfig of another certificate, at an absolute path. */
  write(path: string, cluster: ClusterAccess, pairPath: string): Promise<boolean>;
  removeBootstrap(): Promise<void>;
  /** Removes what writes of these two files that were cut short an hour ago or longer left; a `certlet join` under way is not disturbed. Never throws. */
  sweep(now: Date): Promise<void>;
}

/** What following the cluster's CA asks of this host. */
export interface ClusterCaFiles {
  /** What an earlier process noted; what is damaged or absent counts as nothing. */
  readRecord(): Promise<CaRecord>;
  /** Durable before it resolves, 0600. */
  writeRecord(record: CaRecord): Promise<void>;
  /** Tells one run of the kubelet from the next; undefined where nothing on this host does. Never throws. */
  kubeletRun(): Promise<string | undefined>;
}

export interface NodeFacts {
  readonly addresses: readonly { readonly type: string; readonly address: string }[];
  readonly kubeletVersion: string;
  /** It has the taint of a Node whose cloud provider has not given it its addresses yet. */
  readonly uninitialized?: true;
  /** Where its kubelet listens; undefined where it does not say. */
  readonly kubeletPort?: number;
}

/** What the proof of a client certificate found. */
export interface ApiIdentity {
  /** For log lines: `bootstrap token abcdef`, `client certificate CN=system:node:n1 serial 1f`. Never the secret. */
  readonly label: string;
}

/**
 * One credential's connections to one API server (pool, keep-alive, proxy). No method retries, but for a 401 where the credential has a
 * newer form (token file, exec plugin). When `signal` aborts, a call rejects with the signal's reason and nothing else.
 */
export interface ApiConnection {
  readonly identity: ApiIdentity;
  /** The resource list of certificates.k8s.io: the preferred version that serves certificatesigningrequests. `ERR_API_UNSUPPORTED` when none. */
  discover(signal: AbortSignal): Promise<CsrApiVersion>;
  createCsr(version: CsrApiVersion, csr: CsrToCreate, signal: AbortSignal): Promise<CertificateSigningRequest>;
  getCsr(version: CsrApiVersion, name: string, signal: AbortSignal): Promise<CertificateSigningRequest>;
  /** One watch of one name, from a resourceVersion. Ends when the server ends it; three minutes without a byte throw `ERR_API_UNREACHABLE`. */
  watchCsr(
    version: CsrApiVersion,
    name: string,
    resourceVersion: string,
    signal: AbortSignal,
  ): AsyncIterable<CsrWatchEvent>;
  /** SelfSubjectAccessReview: may this identity do that? Any answer (201) also proves the credential. */
  mayI(attributes: ResourceAttributes, signal: AbortSignal): Promise<boolean>;
  /** Undefined when the Node does not exist (404). */
  getNode(name: string, signal: AbortSignal): Promise<NodeFacts | undefined>;
  /** Generic JSON call for the rest (Events, ConfigMaps, /version): parsed body; throws by status. */
  request(method: 'GET' | 'POST' | 'PATCH', path: string, body: unknown, signal: AbortSignal): Promise<unknown>;
  /** Ends the pool: running requests finish, idle sockets close. */
  close(): Promise<void>;
}

export interface ResourceAttributes {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
}

/** Seen over a connection that is not verified and carries no credential; for messages only, never acted on. */
export interface ServerGlimpse {
  readonly certificate?: {
    readonly subject: string;
    readonly issuer: string;
    readonly notBefore: Date;
    readonly notAfter: Date;
    readonly names: string;
    /** Hex. */
    readonly serial?: string;
    /** SHA-256, as openssl prints it. */
    readonly fingerprint?: string;
    /** Of the CA, where the server sends it. */
    readonly issuerFingerprint?: string;
    /** Which of the CA's keys signed it, as openssl prints a subjectKeyIdentifier. */
    readonly issuerKeyId?: string;
  };
  readonly serverDate?: Date;
  /** URL of the one that was looked at, where others of the cluster may stand in for the one that was named. */
  readonly server?: string;
}

export interface ApiConnector {
  /** No I/O yet. Each call is a new pool, so the first request is on a fresh connection. */
  connect(cluster: ClusterAccess, credential: Credential): ApiConnection;
  glimpse(cluster: ClusterAccess, signal: AbortSignal): Promise<ServerGlimpse>;
}

/** What is remembered of the API servers over restarts. */
export interface ServersRecord {
  /** URLs that the cluster has named and that were verified. */
  readonly found: readonly string[];
  readonly move?: ServerMove | undefined;
}

/** When the node's kubeconfig was last made to name another server. */
export interface ServerMove {
  readonly at: Date;
  readonly from: string;
  readonly to: string;
  /** The server that the bootstrap kubeconfig named then: its going on to name it is no wish to go back. */
  readonly home?: string | undefined;
  /** The kubelet has not been told to restart yet. */
  readonly owed?: boolean | undefined;
}

export interface ServersFile {
  /** An unreadable or absent one counts as empty. Throws `ERR_STORE_IO` where the disk refuses. */
  read(): Promise<ServersRecord>;
  /** Durable before it resolves. */
  write(record: ServersRecord): Promise<void>;
}

/** `<runtimeDir>/restart-kubelet`, taken by certlet-kubelet-restart.path. */
export interface RestartFlag {
  /** Wants a restart for what changed: the name of a certificate, or `kubeconfig`. Throws `ERR_HOOK`. */
  raise(purpose: string): Promise<void>;
  /**
   * Resolves when the flag is gone and the restart has succeeded, as far as its service tells, or the signal has aborted. Throws `ERR_HOOK` when nobody
   * takes it in time, and with unit and result when the restart failed: to be raised again.
   */
  taken(signal: AbortSignal): Promise<void>;
}

/** The address of this host from which packets to the API server leave; undefined when there is no route. */
export interface RouteProbe {
  localAddress(server: string): Promise<string | undefined>;
}

/** Whether a server on this host could show a pair, whoever runs it. */
export interface ServingProof {
  /**
   * What keeps a TLS handshake with this pair from succeeding, in OpenSSL's words: key, chain, usages, constraints. Undefined where nothing does. Names and
   * dates are not judged. Rejects with the signal's reason and nothing else.
   */
  refusal(pair: CertificatePair, signal: AbortSignal): Promise<string | undefined>;
}

/** Tells the rest of the host about a new pair: restart flag, hooks, privileged hooks. Never throws; failures are reported through the log and status. */
export interface AfterRotation {
  rotated(event: RotationEvent, signal: AbortSignal): Promise<void>;
  /** The kubeconfig of this certificate was written anew, for another server or other CAs, while its pair stayed. Undefined where nobody is told. */
  reconfigured?(purpose: string, signal: AbortSignal): Promise<void>;
  /** On disk before it resolves, for what nobody could tell afterwards: `rotated` follows, or the next start makes up for it. */
  announce(event: RotationEvent): Promise<void>;
}

export interface RotationEvent {
  /** The name of the certificate. */
  readonly purpose: string;
  /** What its spec wants done. */
  readonly after: AfterSwap;
  /** The `-current.pem` link and the file behind it. */
  readonly currentPath: string;
  readonly pairPath: string;
  /** The kubeconfig that names the pair; of the node, where the pair has none of its own. */
  readonly kubeconfigPath: string;
  /** As Node.status.nodeInfo or the settings tell it, such as `v1.20.2`. */
  readonly kubeletVersion: string | undefined;
  /** The pair that was current before; undefined where there was none, or nobody knows any more. */
  readonly replaced?: PairInUse | undefined;
  /** What the kubelet uses is of no use any more: its restart waits for no window. */
  readonly urgent?: boolean;
  /** Its kubeconfig has changed, and the pair has not: for who reads that, which is its `reload` and nothing else. */
  readonly cause?: 'kubeconfig';
}

/** Something worth telling outside the journal: Kubernetes Events and counters are made from it. */
export interface AgentEvent {
  /** `trusted`: the CAs that the node trusts have changed; `notServed`: its server shows another certificate than the current one. */
  readonly kind: 'rotated' | 'waiting' | 'denied' | 'failed' | 'error' | 'trusted' | 'notServed' | 'restartPlanned';
  /** The certificate; of `trusted`, what it is about. */
  readonly purpose: string;
  readonly at: Date;
  /** One sentence for a person, without secrets. */
  readonly text: string;
  /** Error code of `denied`, `failed`, `error` and `notServed`. */
  readonly code?: string;
  /** `rotated`: how old the replaced certificate was, counted from NotBefore; undefined for the first one. */
  readonly replacedAgeSeconds?: number;
}

export interface Observer {
  observe(event: AgentEvent): void;
}
