import type { ClusterApi } from '../../approve/ports.ts';
import type { ClusterAccess, Credential } from '../../kubeconfig/client-config.ts';
import type { ApiConnector } from '../../ports.ts';
import { HttpApiConnection } from './connection.ts';
import { glimpseServer } from './glimpse.ts';
import type { Environment } from './proxy-choice.ts';
import type { ApiOptions, ApiTimeouts } from './transport.ts';

export interface ApiConnectorOptions {
  /** Program version for the User-Agent. */
  readonly version: string;
  /** For the proxy variables, and for exec plugins. */
  readonly environment: Environment;
  readonly now: () => Date;
  /** A `Warning` of an API server, each text once in a process' life. */
  readonly onWarning?: (text: string) => void;
  /** What a failed exec plugin wrote to its error output: for the journal alone. */
  readonly onPluginOutput?: (plugin: string, text: string) => void;
  /** The `Date` header of each answer and when its head was read, for clock skew. */
  readonly onServerDate?: (serverDate: Date, receivedAt: Date) => void;
  readonly timeouts?: Partial<ApiTimeouts>;
}

const TIMEOUTS: ApiTimeouts = {
  connectMs: 10_000,
  // The API server itself gives up on a request after a minute.
  headersMs: 30_000,
  bodyMs: 30_000,
  totalMs: 60_000,
  watchSilenceMs: 180_000,
  execMs: 60_000,
};

/** How many different warnings are remembered; a server that puts a number into each must not fill the memory. */
const MAX_WARNINGS = 100;

/** Connections to API servers. Nothing is opened before the first request of a connection. */
export function createApiConnector(options: ApiConnectorOptions): ApiConnector {
  const api = apiOptions(options);
  return {
    connect: (cluster, credential) => new HttpApiConnection(cluster, credential, api),
    glimpse: (cluster, signal) => glimpseServer(cluster, api, signal),
  };
}

/** The same connections for commands of the cluster's side, which ask for more than a node does. */
export function createClusterConnector(
  options: ApiConnectorOptions,
): (cluster: ClusterAccess, credential: Credential) => ClusterApi {
  const api = apiOptions(options);
  return (cluster, credential) => new HttpApiConnection(cluster, credential, api);
}

function apiOptions(options: ApiConnectorOptions): ApiOptions {
  const said = new Set<string>();
  return {
    version: options.version,
    environment: options.environment,
    now: options.now,
    timeouts: { ...TIMEOUTS, ...options.timeouts },
    onServerDate: options.onServerDate ?? (() => undefined),
    onPluginOutput: options.onPluginOutput ?? (() => undefined),
    onWarning(text) {
      if (said.has(text) || said.size >= MAX_WARNINGS) return;
      said.add(text);
      options.onWarning?.(text);
    },
  };
}
