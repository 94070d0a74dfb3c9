import { asCertletError, errorFields, isCertletError } from './errors.ts';
import type { AgentEvent, ApiConnection, Logger, Observer } from './ports.ts';
import { type EventCall, EventCorrelator, type NodeEvent, nodeEventOf } from './status/node-event.ts';

/** Events that wait for a connection; the eldest go when there are more. */
const MAX_QUEUE = 32;
/** As client-go: an Event that cannot be delivered so often is given up. */
const MAX_TRIES = 12;
const EVENTS = '/api/v1/namespaces/default/events';

interface Queued {
  readonly event: NodeEvent;
  call: EventCall | undefined;
  tries: number;
}

export interface NodeEventsParts {
  readonly nodeName: string;
  readonly log: Logger;
  /** The node's own connection; undefined while it has no certificate. */
  readonly connection: () => ApiConnection | undefined;
}

/**
 * Tells the agent's events as Kubernetes Events on the Node, under the node's own identity, beside the rotation: nothing here delays or fails it.
 * What cannot be sent now waits for the next `flush`; each kind of failure is logged once until one goes through.
 */
export class NodeEvents implements Observer {
  readonly #parts: NodeEventsParts;
  readonly #correlator: EventCorrelator;
  readonly #queue: Queued[] = [];
  readonly #told = new Set<string>();
  readonly #ended = new AbortController();
  #sending: Promise<void> | undefined;

  constructor(parts: NodeEventsParts) {
    this.#parts = parts;
    this.#correlator = new EventCorrelator(parts.nodeName);
  }

  observe(event: AgentEvent): void {
    const told = nodeEventOf(event);
    if (told === undefined) return;
    this.#queue.push({ event: told, call: undefined, tries: 0 });
    if (this.#queue.length > MAX_QUEUE) this.#queue.shift();
    this.flush();
  }

  /** Sends what waits, unless that is going on or there is no connection. */
  flush(): void {
    if (this.#queue.length === 0 || this.#sending !== undefined || this.#ended.signal.aborted) return;
    if (this.#parts.connection() === undefined) return;
    this.#sending = this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Resolves when nothing is being sent. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  /** Gives up what has not been sent. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#sending;
  }

  async #send(): Promise<void> {
    for (let queued = this.#queue[0]; queued !== undefined; queued = this.#queue[0]) {
      const api = this.#parts.connection();
      if (api === undefined || !(await this.#deliver(api, queued))) return;
      const at = this.#queue.indexOf(queued);
      if (at >= 0) this.#queue.splice(at, 1);
    }
  }

  /** True when the event needs no further try. */
  async #deliver(api: ApiConnection, queued: Queued): Promise<boolean> {
    queued.call ??= this.#correlator.next(queued.event);
    if (queued.call === undefined) return true;
    queued.tries += 1;
    try {
      await post(api, queued.call, this.#ended.signal);
      this.#told.clear();
      return true;
    } catch (thrown) {
      if (this.#ended.signal.aborted) return false;
      const error = asCertletError(thrown);
      if (!this.#told.has(error.code)) this.#parts.log.log('warn', 'Cannot send Events', errorFields(error));
      this.#told.add(error.code);
      return !isCertletError(thrown, ...PASSING) || queued.tries >= MAX_TRIES;
    }
  }
}

const PASSING = [
  'ERR_API_UNREACHABLE',
  'ERR_API_SERVER',
  'ERR_API_THROTTLED',
  'ERR_API_TLS',
  'ERR_API_TLS_DATES',
  'ERR_API_TLS_NO_NAMES',
  'ERR_API_UNAUTHORIZED',
  'ERR_API_DROPPED',
] as const;

async function post(api: ApiConnection, call: EventCall, signal: AbortSignal): Promise<void> {
  if (call.patch !== undefined) {
    try {
      await api.request('PATCH', `${EVENTS}/${encodeURIComponent(call.name)}`, call.patch, signal);
      return;
    } catch (error) {
      if (!isCertletError(error, 'ERR_API_NOT_FOUND')) throw error;
    }
  }
  await api.request('POST', EVENTS, call.object, signal);
}
