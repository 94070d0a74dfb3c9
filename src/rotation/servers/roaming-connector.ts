import type { CertificateSigningRequest, CsrApiVersion, CsrToCreate, CsrWatchEvent } from '../../csr/wire.ts';
import { type CertletError, isCertletError } from '../../errors.ts';
import type { ClusterAccess, Credential } from '../../kubeconfig/client-config.ts';
import type { ApiConnection, ApiConnector, ApiIdentity, NodeFacts, ResourceAttributes } from '../../ports.ts';
import { faultOf, isAnswer } from '../rules/servers.ts';
import type { ServerRoster } from './roster.ts';

/** Connections that go to the next API server where the one in use does not answer. The CA and the rules for names are the kubeconfig's for all of them. */
export const roamingConnector = (connector: ApiConnector, roster: ServerRoster): ApiConnector => ({
  connect: (cluster, credential) => new RoamingConnection(connector, roster, { cluster, credential }),
  glimpse: async (cluster, signal) => {
    const server = roster.inUse(cluster.server);
    return { ...(await connector.glimpse({ ...cluster, server }, signal)), server };
  },
});

/**
 * One credential's connections to all API servers of a cluster. A request that one does not take, or answers with 5xx, goes to the next: it may have
 * been carried out all the same, and whoever posts knows the object again by its name (409). An error of TLS of the one in use is given back as it
 * is; of another one it is told, and that one is passed over.
 */
class RoamingConnection implements ApiConnection {
  readonly identity: ApiIdentity;
  readonly #connector: ApiConnector;
  readonly #roster: ServerRoster;
  readonly #at: { readonly cluster: ClusterAccess; readonly credential: Credential };
  readonly #open = new Map<string, ApiConnection>();

  constructor(
    connector: ApiConnector,
    roster: ServerRoster,
    at: { readonly cluster: ClusterAccess; readonly credential: Credential },
  ) {
    this.#connector = connector;
    this.#roster = roster;
    this.#at = at;
    this.identity = this.#of(at.cluster.server).identity;
  }

  discover(signal: AbortSignal): Promise<CsrApiVersion> {
    return this.#ask((api) => api.discover(signal), signal);
  }

  createCsr(version: CsrApiVersion, csr: CsrToCreate, signal: AbortSignal): Promise<CertificateSigningRequest> {
    return this.#ask((api) => api.createCsr(version, csr, signal), signal);
  }

  getCsr(version: CsrApiVersion, name: string, signal: AbortSignal): Promise<CertificateSigningRequest> {
    return this.#ask((api) => api.getCsr(version, name, signal), signal);
  }

  /** Of the one in use: where it ends, the object is read again, and that goes to the next. */
  async *watchCsr(
    version: CsrApiVersion,
    name: string,
    resourceVersion: string,
    signal: AbortSignal,
  ): AsyncIterable<CsrWatchEvent> {
    const server = this.#roster.inUse(this.#at.cluster.server);
    try {
      yield* this.#of(server).watchCsr(version, name, resourceVersion, signal);
    } catch (error) {
      if (!signal.aborted && isCertletError(error)) this.#blame(server, error);
      throw error;
    }
  }

  mayI(attributes: ResourceAttributes, signal: AbortSignal): Promise<boolean> {
    return this.#ask((api) => api.mayI(attributes, signal), signal);
  }

  getNode(name: string, signal: AbortSignal): Promise<NodeFacts | undefined> {
    return this.#ask((api) => api.getNode(name, signal), signal);
  }

  request(method: 'GET' | 'POST' | 'PATCH', path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    return this.#ask((api) => api.request(method, path, body, signal), signal);
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map((api) => api.close()));
  }

  #of(server: string): ApiConnection {
    const { cluster, credential } = this.#at;
    const api = this.#open.get(server) ?? this.#connector.connect({ ...cluster, server }, credential);
    this.#open.set(server, api);
    return api;
  }

  /** Throws what the first one said where none answers: that is the one that is to be mended. */
  async #ask<T>(work: (api: ApiConnection) => Promise<T>, signal: AbortSignal): Promise<T> {
    const [inUse, ...others] = this.#roster.toTry(this.#at.cluster.server);
    const first = await this.#tried(inUse, work, signal);
    if (!(first instanceof Unanswered)) return first;
    if (first.fault === 'untrusted') throw first.error;
    for (const server of others) {
      const next = await this.#tried(server, work, signal, first);
      if (!(next instanceof Unanswered)) return next;
    }
    throw first.error;
  }

  /** What came, or that nothing did; `before` was asked first. Throws what a server answered. */
  async #tried<T>(
    server: string,
    work: (api: ApiConnection) => Promise<T>,
    signal: AbortSignal,
    before?: Unanswered,
  ): Promise<T | Unanswered> {
    try {
      const answer = await work(this.#of(server));
      this.#roster.answered(server, before);
      return answer;
    } catch (error) {
      if (signal.aborted || !isCertletError(error)) throw error;
      if (isAnswer(error)) this.#roster.answered(server, before);
      const fault = this.#blame(server, error);
      if (fault === 'none') throw error;
      return new Unanswered(server, fault, error);
    }
  }

  #blame(server: string, error: CertletError): ReturnType<typeof faultOf> {
    const fault = faultOf(error);
    if (fault === 'down') this.#roster.down(server, error);
    if (fault === 'untrusted') this.#roster.untrusted(server, error);
    return fault;
  }
}

/** A server that has not answered, and why. */
class Unanswered {
  readonly server: string;
  readonly fault: 'down' | 'untrusted';
  readonly error: CertletError;

  constructor(server: string, fault: 'down' | 'untrusted', error: CertletError) {
    this.server = server;
    this.fault = fault;
    this.error = error;
  }
}
