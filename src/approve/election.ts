import { asCertletError } from '../errors.ts';
import type { Logger } from '../ports.ts';
import { ACTS_MS, type LeaseObject, type LeaseRecord, leaseStep, type LeaseView, lookedAt, RENEW_MS } from './lease.ts';
import type { Times } from './time.ts';

export interface ElectionParts {
  readonly lease: LeaseObject;
  /** Unlike that of any other process, also on the same host. */
  readonly identity: string;
  readonly times: Times;
  readonly log: Logger;
}

/** Which of several approvers acts: whoever holds the Lease. */
export class Election {
  readonly #parts: ElectionParts;
  #held: LeaseRecord | undefined;
  /** When the last renewal that succeeded was sent, by the monotonic clock. */
  #renewedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ElectionParts) {
    this.#parts = parts;
  }

  /** Whether decisions may be written now: asked right before each, since a process may have been stopped for a while. */
  mayAct(): boolean {
    return this.#held !== undefined && this.#parts.times.ticks() - this.#renewedMs < ACTS_MS;
  }

  /** Waits until the Lease is ours. `unsupported` where the server has none. Throws what the API server answers. */
  async acquire(signal: AbortSignal): Promise<'held' | 'unsupported'> {
    const { lease, identity, times, log } = this.#parts;
    let view: LeaseView | undefined;
    let said = '';
    while (!signal.aborted) {
      const record = await lease.read(signal);
      if (record === 'unsupported') return 'unsupported';
      view = lookedAt(view, record, times.ticks());
      const step = leaseStep(view, identity, times.ticks());
      if (step.kind === 'wait') {
        const holder = record?.holder ?? '';
        if (holder !== said) log.log('info', 'Another approver holds the Lease', { holder });
        said = holder;
        await times.pause(Math.max(1, step.untilMs - times.ticks()), signal);
      } else if (await this.#hold(view.record, signal)) return 'held';
      // Somebody else was faster: the next look shows whom.
      else await times.pause(RENEW_MS / 4, signal);
    }
    signal.throwIfAborted();
    return 'held';
  }

  /** Renews until `signal` aborts; resolves when the Lease is lost, so that what is done under it must end. */
  async keep(signal: AbortSignal): Promise<void> {
    const { times, log } = this.#parts;
    while (!signal.aborted) {
      await times.pause(RENEW_MS, signal);
      if (signal.aborted) return;
      try {
        if (!(await this.#hold(this.#held, signal))) break;
      } catch (thrown) {
        if (signal.aborted) return;
        const { code, message } = asCertletError(thrown);
        log.log('debug', 'The Lease was not renewed', { code, error: message });
        if (!this.mayAct()) break;
      }
    }
    this.#held = undefined;
    log.log('warn', 'The Lease is lost', {});
  }

  /** Gives the Lease up, so that another approver need not wait. Never throws: it runs out by itself. */
  async release(signal: AbortSignal): Promise<void> {
    const { lease, times, log } = this.#parts;
    const held = this.#held;
    this.#held = undefined;
    if (held === undefined) return;
    try {
      await lease.release(held, times.now(), signal);
    } catch (thrown) {
      log.log('debug', 'The Lease was not given up', { error: asCertletError(thrown).message });
    }
  }

  /** A renewal that takes longer than it could matter is given up. */
  async #hold(record: LeaseRecord | undefined, signal: AbortSignal): Promise<boolean> {
    const { lease, identity, times } = this.#parts;
    const sentMs = times.ticks();
    const late = new AbortController();
    const hold = lease.hold(record, identity, times.now(), AbortSignal.any([signal, late.signal]));
    const done = new AbortController();
    void times.pause(ACTS_MS, done.signal).then(() => late.abort());
    try {
      const held = await hold;
      if (held === undefined) return false;
      this.#held = held;
      this.#renewedMs = sentMs;
      return true;
    } finally {
      done.abort();
    }
  }
}
