import type { RequestHistory } from '../csr/pending.ts';
import type { HostKubelet } from '../adapters/host-kubelet.ts';
import type { HostReload } from '../adapters/host-reloads.ts';
import type { OwnUnits } from '../adapters/own-units.ts';
import type { UnitStates } from '../adapters/systemd/unit-states.ts';
import type { FileSystem } from '../adapters/file-system.ts';
import type { PairView, StoreView } from '../adapters/probe/store-view.ts';
import type { LookedUp } from '../adapters/probe/name-lookup.ts';
import type { LookServed } from '../adapters/probe/served-certificate.ts';
import type { Connected } from '../adapters/probe/tcp-connect.ts';
import type { Settings } from '../config.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import type { CsrApiVersion } from '../csr/wire.ts';
import type { Served } from '../kubelet/served.ts';
import type { ClusterAccess, Credential } from '../kubeconfig/client-config.ts';
import type { CertletError } from '../errors.ts';
import type { TrustedCa } from '../kubeconfig/trusted-ca.ts';
import type { CaSource } from '../rotation/rotation-context.ts';
import type { ApiConnector, KubeconfigReading, NodeFacts, RouteProbe } from '../ports.ts';
import type { StatusDocument } from '../status/document.ts';
import type { Carried } from '../remedy.ts';
import type { Finding } from './finding.ts';

/** Which of the node's two credentials. */
export type Role = 'node' | 'bootstrap';

/** A way to the API server: where, and as whom. */
export interface Target {
  readonly role: Role;
  readonly cluster: ClusterAccess;
  readonly credential: Exclude<Credential, { readonly kind: 'none' }>;
  /** Whom a person should think of: `the client certificate`, `the bootstrap credential`. */
  readonly label: string;
  /** File that names it. */
  readonly source: string;
  /** Certlet would ask with this one now. */
  readonly inUse: boolean;
}

/** One certificate with what lies behind its link. */
export interface ViewedPair {
  readonly spec: CertificateSpec;
  readonly view: PairView;
  /** Empty where the record cannot be read. */
  readonly history: RequestHistory;
  /** The link names a file of another program, so that certlet leaves the certificate alone. */
  readonly foreign?: boolean;
}

/** What the steps have found out so far. Each stage of the way narrows the targets down to those that got through. */
export interface Facts {
  readonly settings?: Settings;
  readonly bootstrap?: KubeconfigReading;
  readonly node?: KubeconfigReading;
  /** What lies behind the links, the node's identity first. */
  readonly pairs?: readonly ViewedPair[];
  readonly targets?: readonly Target[];
  readonly reachable?: readonly Target[];
  readonly trusted?: readonly Target[];
  readonly accepted?: readonly Target[];
  /** How far this host's clock is ahead of the server's. */
  readonly skewMs?: number;
  readonly apiVersion?: CsrApiVersion;
  /** Minor release of the API server, where it says so. */
  readonly serverMinor?: number;
  /** Client requests are approved by the stock approver. */
  readonly automatic?: boolean;
  readonly nodeObject?: NodeFacts;
  readonly kubelet?: HostKubelet;
  /** What the kubelet shows on its port, against the current serving pair; undefined where nobody looked. */
  readonly servedByKubelet?: Served | undefined;
  readonly publishedCas?: PublishedCas;
  /** What the kubelet verifies its callers by: a text says why nobody can tell; undefined where it names no file. */
  readonly clientCa?: CaFile | string | undefined;
}

/** What the cluster publishes of its CAs, from where; `unasked`: there was no connection that a CA in hand verifies. */
export type PublishedCas =
  | { readonly kind: 'read'; readonly source: CaSource; readonly cas: readonly TrustedCa[] }
  | { readonly kind: 'failed'; readonly source: CaSource; readonly error: CertletError }
  | { readonly kind: 'unasked' };

/** A file of CAs. */
export interface CaFile {
  readonly path: string;
  readonly cas: readonly TrustedCa[];
}

/** Everything that check may touch. Nothing in it can write: the file system refuses, and the connector is asked for reviews and reads alone. */
export interface CheckPorts {
  readonly fs: FileSystem;
  readonly uid: number;
  readonly searchPath: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly settingsPath: string;
  /** What commands that are printed need of this command line. */
  readonly carried: readonly Carried[];
  readonly now: () => Date;
  readonly loadSettings: () => Promise<Settings>;
  readonly connector: ApiConnector;
  readonly route: RouteProbe;
  readonly lookUp: (host: string) => Promise<LookedUp>;
  readonly connectTcp: (address: string, port: number) => Promise<Connected>;
  readonly lookServed: LookServed;
  readonly openStore: (settings: Settings) => StoreView;
  readonly isReadOnlyMount: (path: string) => Promise<boolean>;
  /** No room is left there for this user. */
  readonly isFull: (path: string, uid: number) => Promise<boolean>;
  readonly readKubelet: (settings: Settings) => Promise<HostKubelet>;
  /** Whether a daemon holds the cert-dir now: a text that names it, undefined when none does or nobody can tell. */
  readonly daemon: (settings: Settings) => Promise<DaemonState>;
  /** What the daemon says of itself; undefined where it may not be asked or has just started. Throws `ERR_CONTROL` where it has another cert-dir. */
  readonly daemonStatus: (settings: Settings) => Promise<StatusDocument | undefined>;
  /** What the last run that ended by itself left; undefined where there is none, or a daemon wrote last. */
  readonly lastRun: (settings: Settings) => Promise<StatusDocument | undefined>;
  /** How certlet is started on this host. */
  readonly ownUnits: () => Promise<OwnUnits>;
  /** What systemd says of units; it changes nothing there. */
  readonly unitStates: (units: readonly string[], signal: AbortSignal) => Promise<UnitStates>;
  /** The last errors of this start of a unit (`UnitState.invocation`) in the journal, as far as they may be read. */
  readonly lastErrors: (invocation: string, signal: AbortSignal) => Promise<readonly string[]>;
  /** Root's side of the settings' `reload`. */
  readonly reloads: () => Promise<RootReloads>;
}

/** What root has said of units to reload, and what systemd has of them. */
export interface RootReloads {
  readonly files: readonly HostReload[];
  /** Units that are started at boot. */
  readonly wanted: ReadonlySet<string>;
  /** The unit that a rotation restarts, with its `.service`; undefined where the file that names it may not be read. */
  readonly restarted: string | undefined;
  /** Whether there is a unit of that name. */
  readonly hasUnit: (name: string) => Promise<boolean>;
}

/** Whether certlet runs. */
export type DaemonState = 'running' | 'down' | 'unknown';

/** What a step is given. */
export interface CheckContext {
  readonly ports: CheckPorts;
  readonly facts: Facts;
  readonly signal: AbortSignal;
}

/** What a step hands back: its findings, and what later steps may build on. */
export interface StepOutcome {
  readonly findings: readonly Finding[];
  readonly facts?: Facts;
}

/** One small step of the way. */
export interface Step {
  readonly id: string;
  readonly title: string;
  /** A text says why it cannot be taken with what was found so far. */
  readonly run: (context: CheckContext) => Promise<StepOutcome | string>;
}
