import type { CsrApiVersion } from '../csr/wire.ts';
import type { HostNames } from '../pki/server-names.ts';
import type { ApiIdentity } from '../ports.ts';

/**
 * Connections of one credential to one API server, for the cluster's side. Errors are `CertletError` with the HTTP status; an aborted signal
 * rejects with its reason.
 */
export interface ClusterApi {
  readonly identity: ApiIdentity;
  /** The preferred version that serves certificatesigningrequests. `ERR_API_UNSUPPORTED` when none. */
  discover(signal: AbortSignal): Promise<CsrApiVersion>;
  /** The answer as parsed; PATCH sends a JSON merge patch. */
  request(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body: unknown,
    signal: AbortSignal,
  ): Promise<unknown>;
  /** One watch with this query, to which a resourceVersion belongs. Ends when the server ends it. */
  watch(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncIterable<unknown>;
  /** What the server is called: by its URL, and by the certificates that it has shown so far where they were verified. A name may have a star. */
  serverNames(): HostNames;
  close(): Promise<void>;
}
