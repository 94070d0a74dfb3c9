import type { SigningRequest } from './request.ts';
import { byArrival } from './survey.ts';

/** What is kept of a request that nobody has decided; of decided ones nothing is kept. */
export interface Pending extends Pick<SigningRequest, 'name' | 'uid' | 'createdAt' | 'signerName'> {
  /** Where it is known. */
  readonly nodeName: string | undefined;
  /** What was told about it last. */
  readonly told?: string;
}

const wasJudged = ({ told }: Pending): boolean => told !== undefined;

/** The pending requests, and which of them are to be judged next, in order of arrival. */
export class PendingRequests {
  readonly #known = new Map<string, Pending>();
  readonly #due = new Set<string>();
  /** UIDs that are due, latest first; undefined after a change. */
  #order: string[] | undefined;

  get size(): number {
    return this.#known.size;
  }

  /** When the one was made that has waited longest; undefined when there is none. */
  get oldest(): Date | undefined {
    let oldest: Date | undefined;
    for (const { createdAt } of this.#known.values())
      if (oldest === undefined || createdAt < oldest) oldest = createdAt;
    return oldest;
  }

  /** A request that was seen pending is judged: a new one, or any with `again`. */
  add(request: Pending, again: 'again' | 'once' = 'once'): void {
    const before = this.#known.get(request.uid);
    if (before === undefined) this.#known.set(request.uid, request);
    if (before === undefined || again === 'again') this.#enqueue(request.uid);
  }

  /** Decided or deleted. */
  remove(uid: string): void {
    this.#known.delete(uid);
    this.#due.delete(uid);
  }

  /** What waits for this node is judged anew. */
  nodeChanged(nodeName: string): void {
    for (const { uid, nodeName: waitsFor } of this.#known.values()) if (waitsFor === nodeName) this.#enqueue(uid);
  }

  /** Forgets what is not among these: after a list of the requests of this signer. */
  keepOnly(signerName: string, uids: ReadonlySet<string>): void {
    for (const pending of this.#known.values())
      if (pending.signerName === signerName && !uids.has(pending.uid)) this.remove(pending.uid);
  }

  /**
   * The oldest that is due, which it is no more then; undefined when none is. What was judged and left comes after all that nobody has looked at:
   * thousands of bad requests of one node, judged anew after each list, would else hold up everybody's good ones.
   */
  next(): Pending | undefined {
    this.#order ??= [...this.#due]
      .map((uid) => this.#known.get(uid))
      .filter((pending) => pending !== undefined)
      .toSorted((one, other) => Number(wasJudged(one)) - Number(wasJudged(other)) || byArrival(one, other))
      .toReversed()
      .map(({ uid }) => uid);
    for (let uid = this.#order.pop(); uid !== undefined; uid = this.#order.pop()) {
      const pending = this.#due.delete(uid) ? this.#known.get(uid) : undefined;
      if (pending !== undefined) return pending;
    }
    return undefined;
  }

  /** Whether this is news about it. */
  isNews(uid: string, text: string): boolean {
    const pending = this.#known.get(uid);
    if (pending === undefined || pending.told === text) return false;
    this.#known.set(uid, { ...pending, told: text });
    return true;
  }

  /** Notes the node that a request is about, once it was read. */
  isAbout(uid: string, nodeName: string | undefined): void {
    const pending = this.#known.get(uid);
    if (pending !== undefined) this.#known.set(uid, { ...pending, nodeName });
  }

  #enqueue(uid: string): void {
    if (this.#due.has(uid)) return;
    this.#due.add(uid);
    this.#order = undefined;
  }
}
