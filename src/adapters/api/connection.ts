import {
  decodeCsr,
  encodeCsr,
  type CertificateSigningRequest,
  type CsrApiVersion,
  type CsrToCreate,
  type CsrWatchEvent,
} from '../../csr/wire.ts';
import { isCertletError } from '../../errors.ts';
import type { ClusterAccess, Credential } from '../../kubeconfig/client-config.ts';
import type { ClusterApi } from '../../approve/ports.ts';
import type { HostNames } from '../../pki/server-names.ts';
import type { ApiConnection, ApiIdentity, NodeFacts, ResourceAttributes } from '../../ports.ts';
import { checkJsonType, decoded, parseJson, readText } from './body.ts';
import { decodeNode, decodeReview, servesCsrs, unsupported } from './objects.ts';
import { Transport, type ApiMethod, type ApiOptions, type Call } from './transport.ts';
import { watchEvents, watchLines } from './watch.ts';

const GROUP = '/apis/certificates.k8s.io';
const REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

/** The preferred one first. */
const VERSIONS: readonly CsrApiVersion[] = ['v1', 'v1beta1'];

/** `ApiConnection` over undici. An aborted signal rejects with the signal's reason; all else is a `CertletError`. */
export class HttpApiConnection implements ApiConnection, ClusterApi {
  readonly identity: ApiIdentity;
  readonly #cluster: ClusterAccess;
  readonly #transport: Transport;

  constructor(cluster: ClusterAccess, credential: Credential, options: ApiOptions) {
    this.#cluster = cluster;
    this.#transport = new Transport(cluster, credential, options);
    this.identity = this.#transport.identity;
  }

  /**
   * Looks for the resource, not for the group version: recent servers serve v1beta1 again for other resources. Where RBAC hides what
   * is served, the resource itself is asked for.
   */
  async discover(signal: AbortSignal): Promise<CsrApiVersion> {
    for (const version of VERSIONS) {
      const path = `${GROUP}/${version}`;
      try {
        if (await this.#read({ method: 'GET', path, signal }, servesCsrs)) return version;
      } catch (error) {
        if (isCertletError(error, 'ERR_API_FORBIDDEN')) return this.#served(signal);
        if (!isCertletError(error, 'ERR_API_NOT_FOUND')) throw error;
      }
    }
    throw unsupported(this.#cluster.server);
  }

  /** RBAC knows no API versions and answers before a path is looked up: 404 for a list is a version that is not served. */
  async #served(signal: AbortSignal): Promise<CsrApiVersion> {
    for (const version of VERSIONS) {
      try {
        await this.#read({ method: 'GET', path: `${csrPath(version)}?limit=1`, signal }, asItIs);
        return version;
      } catch (error) {
        // Nothing may be looked at: every server since 1.19 has v1.
        if (isCertletError(error, 'ERR_API_FORBIDDEN')) return 'v1';
        if (!isCertletError(error, 'ERR_API_NOT_FOUND')) throw error;
      }
    }
    throw unsupported(this.#cluster.server);
  }

  async createCsr(version: CsrApiVersion, csr: CsrToCreate, signal: AbortSignal): Promise<CertificateSigningRequest> {
    const body = encodeCsr(version, csr);
    return this.#read({ method: 'POST', path: csrPath(version), body, signal }, decodeCsr);
  }

  async getCsr(version: CsrApiVersion, name: string, signal: AbortSignal): Promise<CertificateSigningRequest> {
    return this.#read({ method: 'GET', path: `${csrPath(version)}/${encodeURIComponent(name)}`, signal }, decodeCsr);
  }

  watchCsr(
    version: CsrApiVersion,
    name: string,
    resourceVersion: string,
    signal: AbortSignal,
  ): AsyncIterable<CsrWatchEvent> {
    return watchEvents(this.#transport, { path: csrPath(version), name, resourceVersion, signal });
  }

  async mayI(attributes: ResourceAttributes, signal: AbortSignal): Promise<boolean> {
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: attributes },
    };
    return this.#read({ method: 'POST', path: REVIEWS, body: JSON.stringify(review), signal }, decodeReview);
  }

  async getNode(name: string, signal: AbortSignal): Promise<NodeFacts | undefined> {
    try {
      return await this.#read({ method: 'GET', path: `/api/v1/nodes/${encodeURIComponent(name)}`, signal }, decodeNode);
    } catch (error) {
      if (isCertletError(error, 'ERR_API_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async request(method: ApiMethod, path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const type = method === 'PATCH' ? { contentType: 'application/merge-patch+json' } : {};
    return this.#read({ method, path, ...text, ...type, signal }, asItIs);
  }

  watch(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncIterable<unknown> {
    return watchLines(this.#transport, { path, query, signal }, asItIs);
  }

  serverNames(): HostNames {
    return this.#transport.serverNames();
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #read<T>(call: Call, decode: (json: unknown) => T): Promise<T> {
    const answer = await this.#transport.send(call);
    let json: unknown;
    try {
      checkJsonType(answer.response, answer.what);
      json = parseJson(await readText(answer.response, answer.what), answer.what);
    } catch (error) {
      answer.response.discard();
      throw answer.describe(error);
    }
    return decoded(json, answer.what, decode);
  }
}

const asItIs = (json: unknown): unknown => json;

function csrPath(version: CsrApiVersion): string {
  return `${GROUP}/${version}/certificatesigningrequests`;
}
