import { isCertletError } from '../../errors.ts';
import type { KubeletSeen } from '../../kubelet/served.ts';
import type { NodeFacts } from '../../ports.ts';
import type { RotationContext } from '../rotation-context.ts';
import type { NodeKubeconfigs } from './kubeconfigs.ts';
import type { NodeIdentity } from './node-identity.ts';
import { awaitedCloud, CLOUD_LOOK_MS } from '../rules/cloud-wait.ts';
import { endOf, type Pause } from '../rules/retry.ts';
import {
  allIgnored,
  givenNames,
  type NameSources,
  servingNamesOf,
  settleNames,
  type SettledNames,
} from '../rules/names.ts';

/** A Node that cannot be read in this time is done without: the request must not wait for it. */
const READ_LIMIT_MS = 5_000;

/** What the cluster and this host say about the node: addresses (debounced) and the kubelet's version. */
export class NodeReader {
  readonly #context: RotationContext;
  readonly #identity: NodeIdentity;
  readonly #kubeconfigs: NodeKubeconfigs;
  #node: NodeFacts | undefined;
  #route: string | undefined;
  #settled: SettledNames | undefined;
  #readAt: Date | undefined;
  /** How long after the last reading the next one comes. */
  #paceMs: number;
  #informed = false;
  /** The cluster has said whether there is a Node. */
  #looked = false;
  /** Somebody waits for the Node's addresses until then. */
  #awaited: Pause | undefined;

  constructor(context: RotationContext, identity: NodeIdentity, kubeconfigs: NodeKubeconfigs) {
    this.#context = context;
    this.#identity = identity;
    this.#kubeconfigs = kubeconfigs;
    this.#paceMs = context.options.nodeRefreshMs;
  }

  /** Names and addresses for certificates that take the node's, host name first. */
  names(): readonly string[] {
    return this.#settled?.names ?? this.#seen();
  }

  /** Those of them that the settings give. */
  given(): readonly string[] {
    return givenNames(this.#context.options);
  }

  /** Every address that the node has, when the settings ignore them all. */
  allIgnored(): readonly string[] {
    return allIgnored(this.#sources());
  }

  /** Why a first request should wait for the cloud provider; undefined when it need not. */
  awaitedCloud(): string | undefined {
    return awaitedCloud({
      external: this.#context.options.externalCloud,
      looked: this.#looked,
      node: this.#node,
    });
  }

  /** Somebody waits for the Node's addresses until then: they are looked for often. */
  awaitUntil(until: Date): void {
    if (this.#awaited?.at.getTime() !== until.getTime())
      this.#awaited = { setAt: this.#context.clock.now(), at: until };
  }

  /** The cluster has said what it knows of the Node, if only that there is none or that we may not see it. */
  get isInformed(): boolean {
    return this.#informed;
  }

  /** As the settings or the Node tell it, such as `v1.20.2`; undefined while nobody has. */
  get kubeletVersion(): string | undefined {
    return this.#context.options.kubeletVersion ?? this.#node?.kubeletVersion;
  }

  /** Where the kubelet is met, as far as the cluster tells. */
  get kubelet(): KubeletSeen {
    const node = this.#node;
    return {
      informed: this.#informed,
      version: this.kubeletVersion,
      port: node?.kubeletPort,
      addresses: (node?.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address),
    };
  }

  /** When the Node wants to be read again: soon while a change is settling, else at the slow pace of the settings. */
  nextRefresh(): Date {
    const { options, clock } = this.#context;
    const now = clock.now();
    // A clock that was set back must not postpone the next reading.
    if (this.#readAt === undefined || this.#readAt > now) return now;
    const settling = this.#settled?.candidate === undefined ? this.#paceMs : options.addressDebounceMs;
    const waited = endOf(this.#awaited, now) !== undefined && this.awaitedCloud() !== undefined;
    return new Date(this.#readAt.getTime() + (waited ? Math.min(settling, CLOUD_LOOK_MS) : settling));
  }

  /** Nothing can be read yet (no client certificate): the next reading is one pace away, or comes with the first serving request. */
  postpone(): void {
    this.#noteReading();
  }

  /** A request is made anyway: it takes the newest names, without the wait for a change to settle. */
  takeNewest(): void {
    this.#settled = undefined;
  }

  /** Looks for the address that routes to the API server; local, no packet leaves. */
  async probeRoute(): Promise<void> {
    const { active, offered } = this.#kubeconfigs.cluster;
    const server = (active ?? offered)?.server;
    if (server !== undefined) this.#route = (await this.#context.route.localAddress(server)) ?? this.#route;
  }

  /** Reads Node and route again. What cannot be read keeps its last value. Resolves with the fingerprint of the pair that was refused (401), if one was. */
  async refresh(signal: AbortSignal): Promise<string | undefined> {
    const { clock, log, options } = this.#context;
    this.#noteReading();
    await this.probeRoute();
    const refused = this.#identity.canAsk ? await this.#readNode(signal) : undefined;
    const before = this.#settled;
    this.#settled = settleNames(before, this.#seen(), clock.now(), options.addressDebounceMs);
    const gained = this.#settled.names.filter((name) => before !== undefined && !before.names.includes(name));
    for (const { name: purpose, names } of options.specs) {
      if (names.ofNode && gained.length > 0) log.log('info', 'Certificate template changed', { purpose, gained });
    }
    return refused;
  }

  /**
   * A reading out of turn (a start, a request) is followed by one at a moment drawn by lot: nodes that came up in one second must not read in one
   * second every few minutes from then on. After that the pace is even, so that no wake-up is added.
   */
  #noteReading(): void {
    const { clock, chance, options } = this.#context;
    const now = clock.now();
    const inTurn = this.#readAt !== undefined && this.nextRefresh() <= now;
    this.#paceMs = inTurn ? options.nodeRefreshMs : options.nodeRefreshMs * (0.5 + chance.roll());
    this.#readAt = now;
  }

  async #readNode(signal: AbortSignal): Promise<string | undefined> {
    const { api, fingerprint } = this.#identity.nodeAsker();
    const limit = new AbortController();
    const stop = (): void => limit.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    const { clock, log, options } = this.#context;
    const timer = clock
      .sleepUntil(new Date(clock.now().getTime() + READ_LIMIT_MS), limit.signal)
      .then(() => limit.abort());
    try {
      this.#node = (await api.getNode(options.nodeName, limit.signal)) ?? this.#node;
      this.#informed = true;
      this.#looked = true;
      return undefined;
    } catch (error) {
      if (isCertletError(error, 'ERR_API_UNAUTHORIZED')) return fingerprint;
      signal.throwIfAborted();
      if (!isCertletError(error) && !limit.signal.aborted) throw error;
      this.#informed ||= isCertletError(error, 'ERR_API_FORBIDDEN');
      log.log('debug', 'Could not read the Node', {
        node: options.nodeName,
        error: isCertletError(error) ? error.message : 'no answer in time',
      });
      return undefined;
    } finally {
      signal.removeEventListener('abort', stop);
      limit.abort();
      await timer;
    }
  }

  #seen(): readonly string[] {
    return servingNamesOf(this.#sources());
  }

  #sources(): NameSources {
    return { ...this.#context.options, node: this.#node, routeAddress: this.#route };
  }
}
