/** A Lease as an API server keeps it, and approvers with clocks of their own around it. */
import { Election } from '../../src/approve/election.ts';
import { LeaseObject } from '../../src/approve/lease.ts';
import type { ClusterApi } from '../../src/approve/ports.ts';
import type { Times } from '../../src/approve/time.ts';
import { CertletError } from '../../src/errors.ts';
import type { FakeClock } from '../fixtures/fakes/clock.ts';
import { FakeLogger } from '../fixtures/fakes/logger.ts';

interface Body {
  readonly metadata: { readonly resourceVersion?: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** One namespace's Lease `certlet-approver`: refuses a write to another version (409) and a second creation. */
export class LeaseServer implements ClusterApi {
  readonly identity = { label: 'an approver' };
  spec: Readonly<Record<string, unknown>> | undefined;
  /** Runs before an answer: what it throws is the answer. */
  before: (method: string, signal: AbortSignal) => Promise<void> | void = () => undefined;
  #version = 0;

  async request(method: string, _path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    await this.before(method, signal);
    if (method !== 'GET') this.#write(method, body as Body);
    if (this.spec === undefined) throw new CertletError('ERR_API_NOT_FOUND', 'leases "x" not found', { status: 404 });
    return { metadata: { resourceVersion: String(this.#version) }, spec: this.spec };
  }

  #write(method: string, { metadata, spec }: Body): void {
    const seen = method === 'POST' ? this.spec === undefined : metadata.resourceVersion === String(this.#version);
    if (!seen) throw new CertletError('ERR_API_REJECTED', 'somebody was faster', { status: 409 });
    this.#version += 1;
    this.spec = spec;
  }

  get holder(): unknown {
    return this.spec?.['holderIdentity'];
  }

  async discover(): Promise<never> {
    throw new RangeError('not asked for');
  }

  serverNames(): never {
    throw new RangeError('not asked for');
  }

  watch(): never {
    throw new RangeError('not asked for');
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

/** One approver: `stopMs` is for how long its process was stopped, which its monotonic clock shows and its timers do not. */
export class Candidate {
  readonly log = new FakeLogger();
  readonly election: Election;
  readonly times: Times;
  stopMs = 0;

  constructor(server: LeaseServer, identity: string, clock: FakeClock) {
    this.times = {
      now: () => clock.now(),
      ticks: () => clock.now().getTime() + this.stopMs,
      pause: (ms, signal) => clock.sleepUntil(new Date(clock.now().getTime() + ms), signal),
    };
    this.election = new Election({ lease: new LeaseObject(server, 'ns'), identity, times: this.times, log: this.log });
  }
}

export const unreachable = (details: { readonly retryAfterMs?: number } = {}): CertletError =>
  new CertletError('ERR_API_UNREACHABLE', 'no answer', details);
