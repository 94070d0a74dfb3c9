import type { CertletError } from '../errors.ts';
import { complaintFields } from './complaint.ts';
import type { Chance, LogFields, Logger } from '../ports.ts';
import { again } from './again.ts';
import { act, type Outcome } from './act.ts';
import { NODES } from './cluster.ts';
import { reasonsText } from './decide.ts';
import type { ApproverFigures } from './figures.ts';
import type { Judgement, JudgeParts } from './judge.ts';
import { decodeNodeEntry } from './node-object.ts';
import { lookForReserved } from './reserved-watch.ts';
import { type Pending, PendingRequests } from './pending.ts';
import { nodeOf, policyOf } from './policy.ts';
import type { SigningRequest } from './request.ts';
import { signersOf } from './settings.ts';
import { countApproval, loadNodes, readItem } from './survey.ts';
import type { Troubles } from '../trouble.ts';
import type { Times } from './time.ts';
import { TokenCleaner } from './token-cleaner.ts';
import { follow, type WatchParts } from './watching.ts';

export interface ApproverParts extends JudgeParts {
  readonly times: Times;
  readonly chance: Chance;
  readonly log: Logger;
  readonly troubles: Troubles;
  readonly figures: ApproverFigures;
  /** Asked right before each decision is written. */
  readonly mayAct: () => boolean;
  /** Tells a person at the Node why a request is not approved. Never throws. */
  readonly tellNode: (judgement: Judgement, text: string) => void;
  /** Called whenever something has happened, for the watchdog. */
  readonly alive: () => void;
}

/** How often the loop shows that it is alive while nothing happens. */
const IDLE_MS = 30_000;
const STOPPED_MS = 500;
/** What is listed besides the requests of each signer: Nodes, and what is the cluster's own. */
const OTHER_LISTS = 2;
const RESERVED = 'reserved';
/** What the API server refuses for one request alone; the others go on, and this one again after the next list. */
const OF_ONE_REQUEST = [
  'ERR_API_FORBIDDEN',
  'ERR_API_REJECTED',
  'ERR_API_PROTOCOL',
  'ERR_API_NOT_FOUND',
  'ERR_API_CONFLICT',
];

/** A request that fills etcd's limit for an object, or that of a message to etcd, has no room for a decision; servers tell it as a 500. */
const HAS_NO_ROOM = /request is too large|larger than max/;

function isOfOneRequest({ code, status, message }: CertletError): boolean {
  return OF_ONE_REQUEST.includes(code) || (status === 500 && HAS_NO_ROOM.test(message));
}

/** Decides requests one after another, in order of arrival, for as long as it may. */
export class Approver {
  readonly #parts: ApproverParts;
  readonly #pending = new PendingRequests();
  readonly #tokens: TokenCleaner;
  #wake = new AbortController();
  /** What was listed whole: nothing is judged before the Nodes and what is the cluster's own are known, nor before it is known which request came first. */
  readonly #listed = new Set<string>();

  constructor(parts: ApproverParts) {
    this.#parts = parts;
    parts.figures.pending = this.#pending;
    parts.figures.nodes = parts.nodes;
    this.#tokens = new TokenCleaner(parts.cluster.api, parts.settings, parts.log);
  }

  /** Resolves when `signal` aborts; throws `ERR_INTERNAL` alone. */
  async run(signal: AbortSignal): Promise<void> {
    const { cluster, settings, times, chance, log, troubles, figures, reserved } = this.#parts;
    const over = new AbortController();
    const ended = AbortSignal.any([signal, over.signal]);
    const failed = (code: string): void => figures.failed(code);
    const parts: WatchParts = { api: cluster.api, times, chance, log, troubles, failed };
    const tasks = [
      follow(this.#nodes(), parts, ended),
      lookForReserved({ ...parts, settings, reserved, found: () => this.#wasListed(RESERVED) }, ended),
      ...signersOf(settings).map((signerName) => follow(this.#requests(signerName), parts, ended)),
      this.#decideAll(ended),
    ];
    try {
      await Promise.all(tasks);
    } finally {
      over.abort();
      this.#wake.abort();
      await Promise.allSettled(tasks);
    }
  }

  #nodes(): Parameters<typeof follow>[0] {
    const { cluster, nodes, settings } = this.#parts;
    const changed = (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: unknown): void => {
      const entry = decodeNodeEntry(object, settings.withholdLabel);
      const isNews = type === 'DELETED' ? nodes.remove(entry.name) : nodes.put(entry);
      if (isNews) this.#nodeChanged(entry.name);
    };
    const list = async (signal: AbortSignal): Promise<string> => {
      const from = await loadNodes(cluster, nodes, settings, signal);
      this.#wasListed(NODES);
      return from;
    };
    return { what: 'Nodes', path: NODES, query: () => ({}), list, changed };
  }

  #wasListed(what: string): void {
    this.#listed.add(what);
    this.#wakeUp();
  }

  get #isComplete(): boolean {
    return this.#listed.size === OTHER_LISTS + signersOf(this.#parts.settings).length;
  }

  #nodeChanged(nodeName: string): void {
    this.#pending.nodeChanged(nodeName);
    this.#wakeUp();
  }

  #requests(signerName: string): Parameters<typeof follow>[0] {
    const { cluster, log, times, troubles } = this.#parts;
    const complain = ({ message }: Error): void => {
      const failure = { code: 'unreadable', message };
      const level = troubles.levelOf('unreadable requests', failure, { at: times.now(), loud: 'warn' });
      log.log(level, 'A signing request cannot be read', { error: message });
    };
    const changed = (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: unknown): void => {
      const request = readItem(object, complain);
      if (request === undefined || request.signerName !== signerName) return;
      if (type === 'DELETED') this.#pending.remove(request.uid);
      else this.#seen(request, 'once');
      this.#wakeUp();
    };
    const list = async (signal: AbortSignal): Promise<string> => {
      let from = '';
      const uids = new Set<string>();
      for await (const { items, resourceVersion } of cluster.requestPages(signerName, signal)) {
        from = resourceVersion;
        for (const item of items) {
          const request = readItem(item, complain);
          if (request?.signerName !== signerName) continue;
          if (request.decided === undefined) uids.add(request.uid);
          this.#seen(request, 'again');
        }
      }
      this.#pending.keepOnly(signerName, uids);
      this.#wasListed(signerName);
      return from;
    };
    const { path } = cluster.requestsOf(signerName);
    const query = (): Readonly<Record<string, string>> => cluster.requestsOf(signerName).query;
    return { what: `requests for ${signerName}`, path, query, list, changed };
  }

  #seen(request: SigningRequest, mode: 'again' | 'once'): void {
    this.#tokens.seen(request);
    if (request.decided !== undefined) {
      this.#pending.remove(request.uid);
      countApproval(request, this.#parts);
    } else if (policyOf(request, this.#parts.settings) !== undefined) {
      const { name, uid, createdAt, signerName } = request;
      this.#pending.add({ name, uid, createdAt, signerName, nodeName: nodeOf(request.username) }, mode);
    }
  }

  #wakeUp(): void {
    this.#wake.abort();
  }

  async #decideAll(signal: AbortSignal): Promise<void> {
    const { times, alive, counts, now } = this.#parts;
    while (!signal.aborted) {
      alive();
      const pending = this.#isComplete ? this.#pending.next() : undefined;
      if (pending !== undefined) await this.#decide(pending, signal);
      else {
        counts.sweep(now());
        await times.pause(IDLE_MS, AbortSignal.any([signal, this.#wake.signal]));
        if (this.#wake.signal.aborted) this.#wake = new AbortController();
      }
    }
  }

  /** Tries until it is done, or until it is plain that trying does not help. */
  async #decide(pending: Pending, signal: AbortSignal): Promise<void> {
    const { times, chance, mayAct, alive } = this.#parts;
    const failed = (error: CertletError): boolean => {
      this.#tellFailure(pending, error);
      return !isOfOneRequest(error);
    };
    const decide = async (): Promise<'done'> => {
      alive();
      const outcome = await act(pending, this.#parts, { force: false, mayAct }, signal);
      this.#became(pending, outcome);
      // The Lease is renewed in a moment, or the end of this term is near.
      if (outcome.kind === 'stopped') await times.pause(STOPPED_MS, signal);
      return 'done';
    };
    await again({ times, chance, failed }, decide, signal);
  }

  #tellFailure(pending: Pending, error: CertletError): void {
    const { log, figures } = this.#parts;
    figures.failed(error.code);
    if (this.#pending.isNews(pending.uid, error.code))
      log.log('warn', 'A request could not be decided', { request: pending.name, ...complaintFields(error) });
  }

  #became(pending: Pending, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'decided':
        this.#pending.remove(pending.uid);
        this.#tellDecision(outcome);
        break;
      case 'pending':
        this.#pending.isAbout(pending.uid, outcome.judgement.policy.nodeName);
        this.#tellObjections(outcome.judgement);
        break;
      case 'others':
      case 'gone':
      case 'foreign':
        this.#pending.remove(pending.uid);
        break;
      case 'stopped':
        this.#pending.add(pending, 'again');
        break;
    }
  }

  #tellDecision({ condition, judgement }: Outcome & { readonly kind: 'decided' }): void {
    const { log, figures, tellNode } = this.#parts;
    const isApproved = condition.type === 'Approved';
    figures.decided(judgement.request.signerName, isApproved ? 'approved' : 'denied');
    log.log(isApproved ? 'info' : 'warn', isApproved ? 'Approved' : 'Denied', fieldsOf(judgement, condition.message));
    if (!isApproved && this.#isNodeThere(judgement)) tellNode(judgement, condition.message);
  }

  /** Once for the same reasons. */
  #tellObjections(judgement: Judgement): void {
    const { log, figures, tellNode } = this.#parts;
    const text = reasonsText(judgement.decision);
    if (!this.#pending.isNews(judgement.request.uid, text)) return;
    for (const { rule } of judgement.decision.failures) figures.objected(rule);
    const waits = judgement.decision.verdict === 'wait';
    log.log(waits ? 'info' : 'warn', waits ? 'Waiting before approval' : 'Not approved', fieldsOf(judgement, text));
    if (!waits && this.#isNodeThere(judgement)) tellNode(judgement, text);
  }

  /** Whoever makes requests invents as many names of nodes as he likes. */
  #isNodeThere({ policy }: Judgement): boolean {
    return policy.nodeName !== undefined && this.#parts.nodes.get(policy.nodeName) !== undefined;
  }
}

function fieldsOf({ request, policy }: Judgement, reason: string): LogFields {
  const { name, username, signerName } = request;
  return { request: name, node: policy.nodeName, requester: username, signerName, reason };
}
