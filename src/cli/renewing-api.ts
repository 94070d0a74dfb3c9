import { isDeepStrictEqual } from 'node:util';
import type { ClusterApi } from '../approve/ports.ts';
import { isCertletError } from '../errors.ts';
import type { ClientConfig } from '../kubeconfig/client-config.ts';

export interface RenewingParts {
  /** Reads the kubeconfig and the files that it names. */
  readonly read: () => Promise<ClientConfig>;
  readonly open: (config: ClientConfig) => ClusterApi;
  readonly ticks: () => number;
}

/** As client-go: a renewed certificate is used within a minute. */
const LOOK_MS = 60_000;

/** Everything of a configuration that a connection is made of; secrets as text, to be compared and nothing else. */
function fingerprint({ cluster, credential }: ClientConfig): unknown {
  const key = credential.kind === 'certificate' ? credential.keyPem.reveal() : undefined;
  const token = credential.kind === 'token' ? credential.token.reveal() : undefined;
  return [
    { ...cluster, proxyUrl: cluster.proxyUrl?.reveal() },
    { ...credential, keyPem: key, token },
  ];
}

/**
 * The API of a kubeconfig that others renew: it is read again every minute, and at once after a 401; another credential gets connections of its
 * own. What cannot be read leaves the connection that there is.
 */
export class RenewingApi implements ClusterApi {
  readonly #parts: RenewingParts;
  #config: ClientConfig;
  #api: ClusterApi;
  #readMs: number;

  constructor(parts: RenewingParts, config: ClientConfig) {
    this.#parts = parts;
    this.#config = config;
    this.#api = parts.open(config);
    this.#readMs = parts.ticks();
  }

  get identity(): ClusterApi['identity'] {
    return this.#api.identity;
  }

  async discover(signal: AbortSignal): ReturnType<ClusterApi['discover']> {
    return this.#with((api) => api.discover(signal));
  }

  async request(...args: Parameters<ClusterApi['request']>): Promise<unknown> {
    return this.#with((api) => api.request(...args));
  }

  async *watch(...args: Parameters<ClusterApi['watch']>): AsyncGenerator {
    await this.#look();
    try {
      yield* this.#api.watch(...args);
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  serverNames(): ReturnType<ClusterApi['serverNames']> {
    return this.#api.serverNames();
  }

  async close(): Promise<void> {
    await this.#api.close();
  }

  async #with<T>(work: (api: ClusterApi) => Promise<T>): Promise<T> {
    await this.#look();
    try {
      return await work(this.#api);
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  /** After a 401 the next call reads the kubeconfig, whatever the time. */
  #note(error: unknown): void {
    if (isCertletError(error, 'ERR_API_UNAUTHORIZED')) this.#readMs = Number.NEGATIVE_INFINITY;
  }

  async #look(): Promise<void> {
    const { read, open, ticks } = this.#parts;
    if (ticks() - this.#readMs < LOOK_MS) return;
    this.#readMs = ticks();
    let config: ClientConfig;
    try {
      config = await read();
    } catch (error) {
      // A pair that is just being swapped, or a file that somebody mends: the API server has the last word on the old one.
      if (isCertletError(error)) return;
      throw error;
    }
    if (isDeepStrictEqual(fingerprint(config), fingerprint(this.#config))) return;
    const before = this.#api;
    this.#config = config;
    this.#api = open(config);
    before.close().catch(() => undefined);
  }
}
