import { JsonFields } from '../csr/json-fields.ts';
import { isCertletError } from '../errors.ts';
import type { ClusterApi } from './ports.ts';
import { APPROVER } from './rbac.ts';

/** How long a Lease holds after its last renewal, as each one sees it by its own monotonic clock. */
export const LEASE_MS = 10_000;
/** How often it is renewed, or looked at. A holder that has not renewed for `ACTS_MS` decides nothing more. */
export const RENEW_MS = 2_000;
/** Less than `LEASE_MS` by the longest time that one decision may take on its way. */
export const ACTS_MS = 7_000;

/** An int32, and an API server refuses a Lease with more. */
const MOST_TRANSITIONS = 2 ** 31 - 1;

/** A Lease as it was seen. */
export interface LeaseRecord {
  readonly resourceVersion: string;
  /** Empty when it was given up. */
  readonly holder: string;
  readonly transitions: number;
  /** As the holder wrote it. */
  readonly acquireTime: string | undefined;
}

/** What is known of the Lease between two looks; times of the monotonic clock. */
export interface LeaseView {
  readonly record: LeaseRecord | undefined;
  /** When this record was first seen: from then on its time runs, whatever clocks say in it. */
  readonly seenAtMs: number;
}

/** The view after another look. The same record goes on ageing; a renewed one begins anew. */
export function lookedAt(before: LeaseView | undefined, record: LeaseRecord | undefined, nowMs: number): LeaseView {
  const same = before !== undefined && before.record?.resourceVersion === record?.resourceVersion;
  return same ? before : { record, seenAtMs: nowMs };
}

/** What to do about a Lease: `create` it, `take` it by an update, or leave it until this moment. */
export type LeaseStep =
  | { readonly kind: 'create' }
  | { readonly kind: 'take' }
  | { readonly kind: 'wait'; readonly untilMs: number };

/** Nobody's and one's own are taken at once, that of another when it was seen unchanged for as long as it holds. */
export function leaseStep({ record, seenAtMs }: LeaseView, identity: string, nowMs: number): LeaseStep {
  if (record === undefined) return { kind: 'create' };
  if (record.holder === '' || record.holder === identity) return { kind: 'take' };
  const endMs = seenAtMs + LEASE_MS;
  return nowMs >= endMs ? { kind: 'take' } : { kind: 'wait', untilMs: Math.min(endMs, nowMs + RENEW_MS) };
}

/** Reads and writes the Lease `certlet-approver` of one namespace. */
export class LeaseObject {
  readonly #api: ClusterApi;
  readonly #collection: string;
  readonly #namespace: string;

  constructor(api: ClusterApi, namespace: string) {
    this.#api = api;
    this.#namespace = namespace;
    this.#collection = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
  }

  /** Undefined where there is none; `unsupported` where the server has no Leases (before 1.14). */
  async read(signal: AbortSignal): Promise<LeaseRecord | undefined | 'unsupported'> {
    try {
      return decodeLease(await this.#api.request('GET', `${this.#collection}/${APPROVER}`, undefined, signal));
    } catch (error) {
      if (!isCertletError(error, 'ERR_API_NOT_FOUND')) throw error;
      // The server's own words for a resource that it does not have at all.
      return error.message.includes('could not find the requested resource') ? 'unsupported' : undefined;
    }
  }

  /** Creates it, or takes or renews it at the version seen. Undefined where somebody else was first. */
  async hold(
    record: LeaseRecord | undefined,
    identity: string,
    at: Date,
    signal: AbortSignal,
  ): Promise<LeaseRecord | undefined> {
    const isNew = record?.holder !== identity;
    const transitions = Math.min((record?.transitions ?? -1) + (isNew ? 1 : 0), MOST_TRANSITIONS);
    const acquireTime = isNew ? microTime(at) : record?.acquireTime;
    return this.#write(record, { holder: identity, transitions, acquireTime, at }, signal);
  }

  /** Gives it up, so that the next one need not wait. */
  async release(record: LeaseRecord, at: Date, signal: AbortSignal): Promise<void> {
    await this.#write(record, { ...record, holder: '', at }, signal);
  }

  async #write(
    record: LeaseRecord | undefined,
    { holder, transitions, acquireTime, at }: Omit<LeaseRecord, 'resourceVersion'> & { readonly at: Date },
    signal: AbortSignal,
  ): Promise<LeaseRecord | undefined> {
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: APPROVER,
        namespace: this.#namespace,
        ...(record === undefined ? {} : { resourceVersion: record.resourceVersion }),
      },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: LEASE_MS / 1000,
        renewTime: microTime(at),
        leaseTransitions: transitions,
        acquireTime,
      },
    };
    const isNew = record === undefined;
    try {
      const path = isNew ? this.#collection : `${this.#collection}/${APPROVER}`;
      return decodeLease(await this.#api.request(isNew ? 'POST' : 'PUT', path, body, signal));
    } catch (error) {
      // Where there is no Lease to be missed a 404 means the namespace.
      const wasFirst = isCertletError(error) && (error.status === 409 || (error.status === 404 && !isNew));
      if (!wasFirst) throw error;
      return undefined;
    }
  }
}

/** MicroTime of the API: six digits behind the second. */
const microTime = (at: Date): string => `${at.toISOString().slice(0, -1)}000Z`;

function decodeLease(json: unknown): LeaseRecord {
  const lease = new JsonFields(json, 'Lease', 'ERR_API_PROTOCOL');
  const spec = lease.has('spec') ? lease.object('spec') : undefined;
  return {
    resourceVersion: lease.object('metadata').filledText('resourceVersion'),
    holder: spec?.optionalText('holderIdentity') ?? '',
    transitions: spec?.has('leaseTransitions') === true ? spec.integer('leaseTransitions') : 0,
    acquireTime: spec?.optionalText('acquireTime'),
  };
}
