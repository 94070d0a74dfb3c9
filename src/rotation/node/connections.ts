import { encodePrivateKey } from '../../pki/keys.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { ClientConfig, ClusterAccess, Credential } from '../../kubeconfig/client-config.ts';
import type { CsrApiVersion } from '../../csr/wire.ts';
import type { ApiConnection, ApiConnector } from '../../ports.ts';
import { isCertletError } from '../../errors.ts';
import { DroppableConnection } from './droppable.ts';

/** The credential that a pair is. */
export function credentialOf(pair: CertificatePair): Credential {
  return { kind: 'certificate', chainPem: pair.chain.pem, keyPem: encodePrivateKey(pair.key) };
}

/**
 * The pools in use: one for the node's own identity, one for the bootstrap credential, and what the servers serve.
 * An API server checks a client certificate's expiry on every request, also on old connections: after a rotation the old pool is dropped,
 * and whoever still holds it is refused (`ERR_API_DROPPED`) and asks for the one in use.
 */
export class Connections {
  readonly #connector: ApiConnector;
  readonly #pools = new Map<'node' | 'bootstrap', { readonly key: string; readonly api: DroppableConnection }>();
  readonly #versions = new Map<string, CsrApiVersion>();

  constructor(connector: ApiConnector) {
    this.#connector = connector;
  }

  /** The node's pool; a new pair or cluster makes a new one and closes the old. */
  node(cluster: ClusterAccess, pair: CertificatePair): ApiConnection {
    return this.#pooled('node', `${clusterKey(cluster)}|${pair.chain.leaf.fingerprint}`, cluster, credentialOf(pair));
  }

  bootstrap(config: ClientConfig): ApiConnection {
    return this.#pooled(
      'bootstrap',
      `${clusterKey(config.cluster)}|${credentialKey(config.credential)}`,
      config.cluster,
      config.credential,
    );
  }

  /** A pool of its own, so that the first request goes over a fresh connection. The caller closes it. */
  fresh(cluster: ClusterAccess, pair: CertificatePair): ApiConnection {
    return this.#connector.connect(cluster, credentialOf(pair));
  }

  /** Which version of the CSR API this server serves: asked once per server. */
  async csrVersion(cluster: ClusterAccess, api: ApiConnection, signal: AbortSignal): Promise<CsrApiVersion> {
    const known = this.#versions.get(cluster.server);
    if (known !== undefined) return known;
    const version = await api.discover(signal);
    this.#versions.set(cluster.server, version);
    return version;
  }

  /** Forgets what a server serves: after a 404 on a resource that was there (an upgrade, another server behind the name). */
  forgetVersion(cluster: ClusterAccess): void {
    this.#versions.delete(cluster.server);
  }

  /** Ends every pool: running requests finish, further ones are refused. Closing cannot fail in a way that matters: the sockets are gone either way. */
  async drop(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map(({ api }) => dropQuietly(api)));
  }

  #pooled(slot: 'node' | 'bootstrap', key: string, cluster: ClusterAccess, credential: Credential): ApiConnection {
    const held = this.#pools.get(slot);
    if (held?.key === key) return held.api;
    if (held !== undefined) void dropQuietly(held.api);
    const api = new DroppableConnection(this.#connector.connect(cluster, credential));
    this.#pools.set(slot, { key, api });
    return api;
  }
}

async function dropQuietly(api: DroppableConnection): Promise<void> {
  try {
    await api.drop();
  } catch (error) {
    if (!isCertletError(error)) throw error;
  }
}

/** Tells two cluster entries apart; holds a proxy password, so it stays in memory. */
const clusterKey = (cluster: ClusterAccess): string =>
  JSON.stringify([
    cluster.server,
    cluster.caPem,
    cluster.tlsServerName,
    cluster.insecureSkipTlsVerify,
    cluster.proxyUrl?.reveal(),
  ]);

/** Tells two credentials apart; stays in memory. */
export function credentialKey(credential: Credential): string {
  switch (credential.kind) {
    case 'token':
      return credential.token.reveal();
    case 'tokenFile':
      return credential.path;
    case 'certificate':
      return `${credential.chainPem}${credential.keyPem.reveal()}`;
    case 'exec':
      return JSON.stringify(credential.plugin);
    case 'none':
      return '';
  }
}
