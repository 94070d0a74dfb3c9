import { encodePrivateKey } from '../../pki/keys.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { ClientConfig, ClusterAccess, Credential } from '../../kubeconfig/client-config.ts';
import type { CsrApiVersion, CertificateSigningRequest, CsrToCreate, CsrWatchEvent } from '../../csr/wire.ts';
import type { ApiConnection, ApiConnector, ApiIdentity, NodeFacts, ResourceAttributes } from '../../ports.ts';
import { isCertletError, CertletError } from '../../errors.ts';
import { credentialKey } from '../rules/asker.ts';

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
  /** Asks the server that it is told and no other, where others of the cluster may take its place else. */
  readonly direct: ApiConnector;
  readonly #connector: ApiConnector;
  readonly #pools = new Map<'node' | 'bootstrap', { readonly key: string; readonly api: DroppableConnection }>();
  readonly #versions = new Map<string, CsrApiVersion>();
  /** A question that was asked ahead; its answer or failure is for the next who asks over the same connection. */
  #ahead: { readonly api: ApiConnection; readonly answer: Promise<CsrApiVersion> } | undefined;

  constructor(connector: ApiConnector, direct: ApiConnector = connector) {
    this.#connector = connector;
    this.direct = direct;
  }

  /** The node's pool; a new pair or cluster makes a new one and closes the old. */
  node(cluster: ClusterAccess, pair: CertificatePair): ApiConnection {
    const key = `${clusterKey(cluster)}|${pair.chain.leaf.fingerprint}`;
    // Asked for at every round: the key is written out as text for a new pool alone.
    return this.#pooled('node', key, cluster, () => credentialOf(pair));
  }

  bootstrap(config: ClientConfig): ApiConnection {
    return this.#pooled(
      'bootstrap',
      `${clusterKey(config.cluster)}|${credentialKey(config.credential)}`,
      config.cluster,
      () => config.credential,
    );
  }

  /** A pool of its own, so that the first request goes over a fresh connection. The caller closes it. */
  fresh(cluster: ClusterAccess, pair: CertificatePair): ApiConnection {
    return this.#connector.connect(cluster, credentialOf(pair));
  }

  /** The same to this very server. */
  exact(cluster: ClusterAccess, pair: CertificatePair): ApiConnection {
    return this.direct.connect(cluster, credentialOf(pair));
  }

  /** Which version of the CSR API this server serves: asked once per server. */
  async csrVersion(cluster: ClusterAccess, api: ApiConnection, signal: AbortSignal): Promise<CsrApiVersion> {
    const known = this.#versions.get(cluster.server);
    if (known !== undefined) return known;
    const ahead = this.#ahead?.api === api ? this.#ahead.answer : undefined;
    this.#ahead = undefined;
    const version = await (ahead ?? api.discover(signal));
    this.#versions.set(cluster.server, version);
    return version;
  }

  /**
   * Connects and asks for the version while something else is done, for a `csrVersion` that follows at once. Throws nothing: a failure is that
   * call's, as if it had asked itself.
   */
  meet(api: ApiConnection, signal: AbortSignal): void {
    const answer = api.discover(signal);
    this.#ahead = { api, answer };
    // Heard of by whoever asks; nobody does where the agent is stopped before.
    void answer.catch(() => undefined);
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

  #pooled(
    slot: 'node' | 'bootstrap',
    key: string,
    cluster: ClusterAccess,
    credential: () => Credential,
  ): ApiConnection {
    const held = this.#pools.get(slot);
    if (held?.key === key) return held.api;
    if (held !== undefined) void dropQuietly(held.api);
    const api = new DroppableConnection(this.#connector.connect(cluster, credential()));
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

/**
 * A connection that may be given up while others still hold it: after `drop` it makes no further request (`ERR_API_DROPPED`), so that nobody goes
 * on under a pair that has been replaced. What is running finishes, a watch included.
 */
export class DroppableConnection implements ApiConnection {
  readonly #api: ApiConnection;
  #dropped = false;

  constructor(api: ApiConnection) {
    this.#api = api;
  }

  get identity(): ApiIdentity {
    return this.#api.identity;
  }

  /** Refuses requests from now on and closes the pool. Rejects with what closing rejects with. */
  async drop(): Promise<void> {
    this.#dropped = true;
    await this.#api.close();
  }

  async discover(signal: AbortSignal): Promise<CsrApiVersion> {
    return this.#alive().discover(signal);
  }

  async createCsr(version: CsrApiVersion, csr: CsrToCreate, signal: AbortSignal): Promise<CertificateSigningRequest> {
    return this.#alive().createCsr(version, csr, signal);
  }

  async getCsr(version: CsrApiVersion, name: string, signal: AbortSignal): Promise<CertificateSigningRequest> {
    return this.#alive().getCsr(version, name, signal);
  }

  async *watchCsr(
    version: CsrApiVersion,
    name: string,
    resourceVersion: string,
    signal: AbortSignal,
  ): AsyncIterable<CsrWatchEvent> {
    yield* this.#alive().watchCsr(version, name, resourceVersion, signal);
  }

  async mayI(attributes: ResourceAttributes, signal: AbortSignal): Promise<boolean> {
    return this.#alive().mayI(attributes, signal);
  }

  async getNode(name: string, signal: AbortSignal): Promise<NodeFacts | undefined> {
    return this.#alive().getNode(name, signal);
  }

  async request(method: 'GET' | 'POST' | 'PATCH', path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#alive().request(method, path, body, signal);
  }

  close(): Promise<void> {
    return this.drop();
  }

  #alive(): ApiConnection {
    if (!this.#dropped) return this.#api;
    const message = `the connection of ${this.#api.identity.label} was given up: another credential has taken its place`;
    throw new CertletError('ERR_API_DROPPED', message);
  }
}
