import { JsonFields } from '../csr/json-fields.ts';
import type { CsrApiVersion } from '../csr/wire.ts';
import { isCertletError } from '../errors.ts';
import type { ClusterApi } from './ports.ts';
import { decodeSigningRequest, type SigningRequest } from './request.ts';
import type { AccessReview } from './view.ts';

/** One page of a list: items as the server told them, and from where to watch. */
export interface Page {
  readonly items: readonly unknown[];
  readonly resourceVersion: string;
}

/** A condition to add. */
export interface NewCondition {
  readonly type: 'Approved' | 'Denied';
  readonly reason: string;
  readonly message: string;
  readonly at: Date;
}

/** Requests are some kilobytes, Nodes with their images some ten: no page is more than two megabytes. */
const REQUESTS_A_PAGE = 200;
const NODES_A_PAGE = 50;
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
      yield* this.pages(path, { ...query, limit: String(REQUESTS_A_PAGE) }, signal);
    } catch (error) {
      if (!this.#selects || !isCertletError(error, 'ERR_API_REJECTED') || error.status !== 400) throw error;
      this.#selects = false;
      yield* this.requestPages(signerName, signal);
    }
  }

  nodePages(signal: AbortSignal): AsyncGenerator<Page> {
    return this.pages(NODES, { limit: String(NODES_A_PAGE) }, signal);
  }

  /** A list in pieces. A 410 in the middle means starting again. */
  async *pages(path: string, query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncGenerator<Page> {
    let more = '';
    do {
      const asked = new URLSearchParams({ ...query, ...(more === '' ? {} : { continue: more }) });
      const answer = await this.api.request('GET', `${path}?${asked.toString()}`, undefined, signal);
      const list = new JsonFields(answer, 'list', 'ERR_API_PROTOCOL');
      const metadata = list.object('metadata');
      const items = list.plain('items') ?? [];
      if (!Array.isArray(items)) throw list.failure('items', 'expected a list');
      yield { items: items as readonly unknown[], resourceVersion: metadata.optionalText('resourceVersion') ?? '' };
      more = metadata.optionalText('continue') ?? '';
    } while (more !== '');
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
