import { JsonFields } from '../csr/json-fields.ts';
import type { CsrApiVersion } from '../csr/wire.ts';
import { CertletError, isCertletError } from '../errors.ts';
import type { ClusterApi } from './ports.ts';
import { decodeSigningRequest, type SigningRequest } from './request.ts';
import type { AccessReview } from './view.ts';

/** One page of a list: items as the server told them, and from where to watch. */
export interface Page {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
}

/** Which items of a collection, and how many at once. */
interface Paging {
  readonly query: Readonly<Record<string, string>>;
  readonly limit: number;
}

/** A condition to add. */
export interface NewCondition {
  readonly type: 'Approved' | 'Denied';
  readonly reason: string;
  readonly message: string;
  readonly at: Date;
}

/** Requests are some kilobytes, Nodes with their images some ten: a page is two megabytes, unless somebody wants it to be more. */
const REQUESTS_A_PAGE = 200;
const NODES_A_PAGE = 50;
/** From 200 to one in four steps. */
const SMALLER = 4;
const REVIEWS = '/apis/authorization.k8s.io/v1/subjectaccessreviews';

/** What an approver asks of an API server, in the API's own terms. */
export class Cluster {
  readonly api: ClusterApi;
  readonly version: CsrApiVersion;
  /** Servers before 1.18 know no selector by signer. */
  #selects = true;

  constructor(api: ClusterApi, version: CsrApiVersion) {
    this.api = api;
    this.version = version;
  }

  /** Collection of the requests, and its query for one signer. */
  requestsOf(signerName: string): { readonly path: string; readonly query: Readonly<Record<string, string>> } {
    const query: Record<string, string> = this.#selects ? { fieldSelector: `spec.signerName=${signerName}` } : {};
    return { path: this.#requests, query };
  }

  get selectsBySigner(): boolean {
    return this.#selects;
  }

  get #requests(): string {
    return `/apis/certificates.k8s.io/${this.version}/certificatesigningrequests`;
  }

  /** Every request of a signer, page by page; all requests where the server cannot select. */
  async *requestPages(signerName: string, signal: AbortSignal): AsyncGenerator<Page> {
    const { path, query } = this.requestsOf(signerName);
    try {
      yield* this.pages(path, { query, limit: REQUESTS_A_PAGE }, signal);
    } catch (error) {
      if (!this.#selects || !isCertletError(error, 'ERR_API_REJECTED') || error.status !== 400) throw error;
      this.#selects = false;
      yield* this.requestPages(signerName, signal);
    }
  }

  nodePages(signal: AbortSignal): AsyncGenerator<Page> {
    return this.pages(NODES, { query: {}, limit: NODES_A_PAGE }, signal);
  }

  /**
   * A list in pieces of at most so many items, fewer where an answer is too large: whoever may make a request may make some of a megabyte. A 410
   * in the middle means starting again.
   */
  async *pages(path: string, { query, limit: most }: Paging, signal: AbortSignal): AsyncGenerator<Page> {
    let more = '';
    let limit = most;
    for (;;) {
      const asked = new URLSearchParams({ ...query, limit: String(limit), ...(more === '' ? {} : { continue: more }) });
      const answer = await this.#page(`${path}?${asked.toString()}`, signal);
      if (answer instanceof CertletError) {
        if (limit === 1) throw answer;
        limit = Math.ceil(limit / SMALLER);
        continue;
      }
      const list = new JsonFields(answer, 'list', 'ERR_API_PROTOCOL');
      const metadata = list.object('metadata');
      const items = list.plain('items') ?? [];
      if (!Array.isArray(items)) throw list.failure('items', 'expected a list');
      yield { items: items as readonly unknown[], resourceVersion: metadata.optionalText('resourceVersion') ?? '' };
      more = metadata.optionalText('continue') ?? '';
      if (more === '') return;
    }
  }

  /** An answer that is too large is a value. */
  async #page(url: string, signal: AbortSignal): Promise<unknown> {
    try {
      return await this.api.request('GET', url, undefined, signal);
    } catch (error) {
      if (isCertletError(error) && error.reason === 'too large') return error;
      throw error;
    }
  }

  /** The object as it is now, as the server tells it; undefined where there is none. */
  async requestObject(name: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>> | undefined> {
    try {
      const path = `${this.#requests}/${encodeURIComponent(name)}`;
      return (await this.api.request('GET', path, undefined, signal)) as Readonly<Record<string, unknown>>;
    } catch (error) {
      if (isCertletError(error, 'ERR_API_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /**
   * Adds the condition by a PUT of the whole object, as read: its resourceVersion makes the server refuse what somebody else has changed since
   * (409), and labels that were left out would be lost. Throws by status.
   */
  async decide(
    object: Readonly<Record<string, unknown>>,
    condition: NewCondition,
    signal: AbortSignal,
  ): Promise<SigningRequest> {
    const { name } = decodeSigningRequest(object);
    const status = (object['status'] ?? {}) as Readonly<Record<string, unknown>>;
    const before = Array.isArray(status['conditions']) ? (status['conditions'] as readonly unknown[]) : [];
    const { type, reason, message, at } = condition;
    const time = `${at.toISOString().slice(0, 19)}Z`;
    const added = { type, status: 'True', reason, message, lastUpdateTime: time };
    const body = {
      ...object,
      apiVersion: `certificates.k8s.io/${this.version}`,
      kind: 'CertificateSigningRequest',
      status: { ...status, conditions: [...before, added] },
    };
    const path = `${this.#requests}/${encodeURIComponent(name)}/approval`;
    return decodeSigningRequest(await this.api.request('PUT', path, body, signal));
  }

  /** Whether the requester may create this subresource of certificatesigningrequests, as kube-controller-manager's approver asks. */
  async mayCreate(request: SigningRequest, subresource: string, signal: AbortSignal): Promise<AccessReview> {
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user: request.username,
        groups: request.groups,
        ...request.identity,
        resourceAttributes: {
          verb: 'create',
          group: 'certificates.k8s.io',
          version: '*',
          resource: 'certificatesigningrequests',
          subresource,
        },
      },
    };
    const answer = new JsonFields(
      await this.api.request('POST', REVIEWS, review, signal),
      'SubjectAccessReview',
      'ERR_API_PROTOCOL',
    ).object('status');
    return { allowed: answer.has('allowed') && answer.truth('allowed'), reason: answer.optionalText('reason') ?? '' };
  }
}

/** The collection of all Nodes. */
export const NODES = '/api/v1/nodes';
