import { CertletError } from '../../errors.ts';
import type { CertificateSigningRequest, CsrApiVersion, CsrToCreate, CsrWatchEvent } from '../../csr/wire.ts';
import type { ApiConnection, ApiIdentity, NodeFacts, ResourceAttributes } from '../../ports.ts';

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
