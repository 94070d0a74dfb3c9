/** What a worker is told; each is answered by one `WorkerReport`. */
export type WorkerCommand =
  | { readonly kind: 'start'; readonly spreadSeconds: number }
  | { readonly kind: 'stop' }
  /** `collect`: memory is to be told without garbage. */
  | { readonly kind: 'report'; readonly collect?: boolean };

/** What a worker needs to be told once, as its argument. */
export interface WorkerPlan {
  readonly first: number;
  readonly count: number;
  readonly folder: string;
  readonly bootstrapKubeconfig: string;
  readonly serving: boolean;
}

export interface WorkerReport {
  readonly nodes: number;
  /** Nodes that have all their certificates and nothing to do. */
  readonly upToDate: number;
  /** When the last of them came so far, since the epoch; undefined while there is none. */
  readonly lastAtMs: number | undefined;
  /** When the last agent had read its disk after a start. */
  readonly begunAtMs: number | undefined;
  readonly rssBytes: number;
  /** Before the first agent was made. */
  readonly emptyRssBytes: number;
  readonly openFiles: number;
  /** The longest that the event loop was away, in milliseconds, since the last report: far above a second means that this machine is the bottleneck. */
  readonly stallMs: number;
  /** Log lines of level warn and error since the start of the worker, by code or event. */
  readonly problems: Readonly<Record<string, number>>;
}

/** What the fake cluster is told; each is answered by one `ClusterReport`. */
export interface ClusterCommand {
  readonly lifetimeMs?: number;
  readonly up?: boolean;
  /** Starts a new list of moments. */
  readonly forget?: true;
}

export interface ClusterReport {
  readonly bootstrapKubeconfig: string;
  /** When requests came, since the epoch. */
  readonly momentsMs: readonly number[];
  /** Those of them that made a signing request. */
  readonly createdMs: readonly number[];
  /** `create certificatesigningrequests` and so on, with how often. */
  readonly kinds: Readonly<Record<string, number>>;
  readonly connections: number;
  readonly openConnections: number;
}
