import { inOneLine } from '../adapters/log/printable.ts';
import { redact } from '../adapters/log/redact.ts';
import type { AgentEvent } from '../ports.ts';

/** What is told of a node through the Events API, before it is an object. */
export interface NodeEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  readonly at: Date;
}

/** The limit of events.k8s.io; the core API, which is used here, takes longer messages, and nobody reads them. */
const MAX_MESSAGE = 1024;

const REASONS = {
  rotated: { type: 'Normal', reason: 'CertificateRotated' },
  waiting: { type: 'Warning', reason: 'CertificateRequestWaiting' },
  denied: { type: 'Warning', reason: 'CertificateRequestDenied' },
  failed: { type: 'Warning', reason: 'CertificateRequestFailed' },
  trusted: { type: 'Normal', reason: 'ClusterCAChanged' },
  restartPlanned: { type: 'Normal', reason: 'KubeletRestartPlanned' },
  notServed: { type: 'Warning', reason: 'CertificateNotServed' },
} as const;

/** The event that an administrator should see on the Node; undefined for errors that certlet tries to get over by itself. */
export function nodeEventOf({ kind, purpose, text, at }: AgentEvent): NodeEvent | undefined {
  if (kind === 'error') return undefined;
  const named = text.includes(purpose) ? text : `${purpose} certificate: ${text}`;
  return { ...REASONS[kind], message: eventText(redact(named)), at };
}

/** The message of an Event: on one line, as `kubectl describe` shows it, and cut where nobody would read on. */
export function eventText(text: string): string {
  const line = inOneLine(text);
  return line.length <= MAX_MESSAGE ? line : `${line.slice(0, MAX_MESSAGE - 1)}…`;
}

/** What to send: a new object, or a new count for one that exists. */
export interface EventCall {
  readonly name: string;
  /** 1 for a new object. */
  readonly count: number;
  /** The whole object, also for a patch: it is created anew where the server has forgotten it (its Events live an hour). */
  readonly object: Readonly<Record<string, unknown>>;
  readonly patch: Readonly<Record<string, unknown>> | undefined;
}

/** The figures of client-go's event correlator (tools/record/events_cache.go). */
const BURST = 25;
const REFILL_MS = 300_000;
const SIMILAR_WINDOW_MS = 600_000;
const MAX_SIMILAR = 10;
/** Of client-go's 4096: one node's certificates have few stories to tell. */
const MAX_REMEMBERED = 256;

interface Observation {
  readonly name: string;
  readonly count: number;
  readonly firstAt: Date;
}

interface Similar {
  readonly messages: Set<string>;
  lastAt: Date;
}

/**
 * Keeps Events few, as client-go does: the same reason and message becomes a count on one object, more than ten different messages of one reason
 * within ten minutes become one combined object, and a bucket of 25 that refills by one in five minutes limits the rest.
 */
export class EventCorrelator {
  readonly #nodeName: string;
  readonly #observed = new Map<string, Observation>();
  readonly #similar = new Map<string, Similar>();
  #tokens = BURST;
  #refilledAt: Date | undefined;
  #made = 0;

  constructor(nodeName: string) {
    this.#nodeName = nodeName;
  }

  /** What to send for this event; undefined when the limit swallows it. */
  next(event: NodeEvent): EventCall | undefined {
    const { key, message } = this.#aggregated(event);
    const before = this.#observed.get(key);
    if (!this.#take(event.at)) return undefined;
    const seen: Observation = {
      name: before?.name ?? this.#newName(event.at),
      count: (before?.count ?? 0) + 1,
      firstAt: before?.firstAt ?? event.at,
    };
    // Deleting first makes it the youngest: the eldest goes when there are too many.
    this.#observed.delete(key);
    this.#observed.set(key, seen);
    const [eldest] = this.#observed.keys();
    if (this.#observed.size > MAX_REMEMBERED && eldest !== undefined) this.#observed.delete(eldest);
    const { name, count } = seen;
    const patch = count === 1 ? undefined : { count, message, lastTimestamp: event.at.toISOString() };
    return { name, count, object: this.#object(event, message, seen), patch };
  }

  #aggregated({ type, reason, message, at }: NodeEvent): { readonly key: string; readonly message: string } {
    const group = `${type} ${reason}`;
    const known = this.#similar.get(group);
    const fresh = known !== undefined && Math.abs(at.getTime() - known.lastAt.getTime()) <= SIMILAR_WINDOW_MS;
    const similar: Similar = fresh ? known : { messages: new Set(), lastAt: at };
    similar.lastAt = at;
    if (similar.messages.size < MAX_SIMILAR) similar.messages.add(message);
    this.#similar.set(group, similar);
    if (similar.messages.has(message)) return { key: `${group} ${message}`, message };
    return { key: group, message: `(combined from similar events): ${message}`.slice(0, MAX_MESSAGE) };
  }

  /** A token bucket; a clock set back refills nothing and takes nothing. */
  #take(now: Date): boolean {
    const sinceMs = this.#refilledAt === undefined ? 0 : Math.max(0, now.getTime() - this.#refilledAt.getTime());
    this.#tokens = Math.min(BURST, this.#tokens + sinceMs / REFILL_MS);
    this.#refilledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** As client-go: the object's name and the time in nanoseconds, in hex. A name has at most 253 characters. */
  #newName(at: Date): string {
    this.#made += 1;
    const stamp = (BigInt(at.getTime()) * 1_000_000n + BigInt(this.#made)).toString(16);
    const room = 253 - stamp.length - 1;
    return `${this.#nodeName.slice(0, room).replace(/[-.]+$/, '')}.${stamp}`;
  }

  #object({ type, reason, at }: NodeEvent, message: string, seen: Observation): EventCall['object'] {
    const node = this.#nodeName;
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: seen.name, namespace: 'default' },
      // As the kubelet refers to its node: `kubectl describe node` looks for Events by this uid, which is the name.
      involvedObject: { kind: 'Node', name: node, uid: node },
      type,
      reason,
      message,
      source: { component: 'certlet', host: node },
      firstTimestamp: seen.firstAt.toISOString(),
      lastTimestamp: at.toISOString(),
      count: seen.count,
      reportingComponent: 'certlet',
      reportingInstance: node,
    };
  }
}
