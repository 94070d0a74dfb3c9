import { type CertletError, errorFields, isCertletError, problemOf } from '../errors.ts';
import { choosePair, kubeconfigCandidate } from './disk/pair-in-use.ts';
import { judgedNow, type RotationContext } from './rotation-context.ts';
import type { NodeParts } from './certificate-rules.ts';
import type { CertificateManager } from './manager.ts';
import type { Prover } from './proof/prover.ts';
import { Backoff, capWait, endOf, type Pause, SHARE_OF_LEFT } from './rules/retry.ts';
import { leftMs } from './rules/schedule.ts';

export interface Kept {
  readonly node: NodeParts;
  readonly prover: Prover;
  /** The manager of the node's identity, and all of them, that one first. */
  readonly identity: CertificateManager;
  readonly managers: readonly CertificateManager[];
}

/** What is wrong with the files of one certificate. */
interface FilesProblem {
  readonly manager: CertificateManager;
  readonly error: CertletError;
}

/** What has been looked at so lately is as it was, unless a watched file has changed: `once` reads the Node right after its first look at the disk. */
const FRESH_MS = 1_000;

/** The rounds over the disk and the Node: once at the start, then at the slow pace of the settings and whenever a watched file changes. */
export class Upkeep {
  readonly #context: RotationContext;
  readonly #kept: Kept;
  #started = false;
  readonly #backoff = new Backoff();
  /** What was found at the start is noted as certlet's to manage; what could not be is tried again. */
  readonly #unaccepted = new Set<string>();
  #expired = false;
  /** Certificates whose link was seen to change: by certlet itself, perhaps. */
  #suspects: ReadonlySet<string> = new Set();
  #quiet: Pause | undefined;
  /** When the last look at the disk began; undefined where it found trouble. */
  #lookedAt: Date | undefined;

  constructor(context: RotationContext, kept: Kept) {
    this.#context = context;
    this.#kept = kept;
  }

  /** The first round is done: every manager knows what it has. */
  get started(): boolean {
    return this.#started;
  }

  /** No request of its own accord before this: a start with a pair in hand is spread over time. */
  quietUntil(now: Date): Date | undefined {
    return endOf(this.#quiet, now);
  }

  /** Somebody waits: no spreading. */
  hurry(): void {
    this.#quiet = undefined;
  }

  /** The last round failed. */
  get failing(): boolean {
    return this.#backoff.failures > 0;
  }

  /** The next round is due now. */
  expire(): void {
    this.#expired = true;
  }

  /** The links of these certificates changed: a round is due now unless that was certlet's own doing. */
  suspect(certificates: readonly string[]): void {
    this.#suspects = new Set([...this.#suspects, ...certificates]);
  }

  due(now: Date): Date {
    return this.#suspects.size > 0 ? now : this.#roundDue(now);
  }

  #roundDue(now: Date): Date {
    if (this.#expired) return now;
    if (!this.#started || this.failing) return this.#backoff.until(now) ?? now;
    const refresh = this.#kept.node.reader.nextRefresh();
    const quiet = this.quietUntil(now);
    return quiet !== undefined && quiet > refresh ? quiet : refresh;
  }

  /** One round. Store errors are told and tried again; only defects are thrown. */
  async run(signal: AbortSignal): Promise<void> {
    const suspects = this.#suspects;
    this.#suspects = new Set();
    const now = this.#context.clock.now();
    if (this.#roundDue(now) > now && (await this.#areAsLeft(suspects))) return;
    const first = !this.#started;
    try {
      const problems = await this.#look(suspects, signal);
      const bootstrapChanges = this.#kept.node.kubeconfigs.takeBootstrapChanges();
      if (!first) await this.#afterFirst(bootstrapChanges, signal);
      else if (this.#kept.managers.some((manager) => manager.loaded)) this.#begin();
      if (problems.length === 0) this.#succeeded();
      else if (!signal.aborted) this.#failed(problems);
    } catch (thrown) {
      if (signal.aborted) return;
      if (!isCertletError(thrown)) throw thrown;
      this.#failed(this.#kept.managers.map((manager) => ({ manager, error: thrown })));
    }
  }

  /** A swap of our own has been followed by all that follows one. What cannot be looked at is told by the round. */
  async #areAsLeft(certificates: ReadonlySet<string>): Promise<boolean> {
    const { store } = this.#context;
    for (const name of certificates) {
      let asLeft = false;
      const problem = await problemOf(async () => {
        asLeft = await store.isLinkAsLeft(name);
      });
      if (problem !== undefined || !asLeft) return false;
    }
    return true;
  }

  async #look(suspects: ReadonlySet<string>, signal: AbortSignal): Promise<readonly FilesProblem[]> {
    const now = this.#context.clock.now();
    const fresh = suspects.size === 0 && this.#isFresh(now);
    this.#expired = false;
    if (fresh) return [];
    this.#lookedAt = now;
    return this.#disk(!this.#started, signal);
  }

  /** Link, pairs and kubeconfig as they should be; also what somebody deleted in the meantime. What fails for one does not keep the others. */
  async #disk(first: boolean, signal: AbortSignal): Promise<readonly FilesProblem[]> {
    const { managers, node, identity } = this.#kept;
    const { clock, kubeconfigs, log, options } = this.#context;
    if (first) await kubeconfigs.sweep(clock.now());
    const problems: FilesProblem[] = [];
    const attempted = async (manager: CertificateManager, work: () => Promise<void>): Promise<void> => {
      const error = await problemOf(work);
      if (error !== undefined) problems.push({ manager, error });
    };
    await attempted(identity, async () => {
      if (options.manageKubeconfig && (await kubeconfigs.finishWrite()))
        log.log('warn', 'Finished a write of the kubeconfig that was cut short', { file: options.kubeconfigPath });
    });
    await node.kubeconfigs.reload();
    if (!this.#started && managers.some(({ rules }) => rules.spec.names.ofNode)) await node.reader.probeRoute();
    for (const manager of managers) {
      await attempted(manager, () => this.#files(manager, first, signal));
      if (first && manager === identity) await this.#meetServer(signal);
    }
    // Last: a disk that has no room for the note must not keep a kubelet from what it starts by.
    for (const manager of managers) await attempted(manager, () => this.#accept(manager));
    return problems;
  }

  /**
   * A node without a certificate asks as soon as the disk has been read: connecting meanwhile spares it that time. Starts with a pair are spread.
   * What keeps it from asking is told by the attempt, which finds the same.
   */
  async #meetServer(signal: AbortSignal): Promise<void> {
    const { identity, node } = this.#kept;
    // One that has come already is installed without a server's help.
    const received = identity.snapshot().pending?.received === true;
    if (identity.current !== undefined || received || identity.step(undefined).kind !== 'request') return;
    await problemOf(async () => this.#context.connections.meet(node.identity.asker().api, signal));
  }

  /** The files of one certificate, and the kubeconfig that names it where there is a pair that a kubeconfig may name. */
  async #files(manager: CertificateManager, first: boolean, signal: AbortSignal): Promise<void> {
    const { node, identity } = this.#kept;
    const { kubeconfigs } = node;
    const { spec } = manager.rules;
    const elsewhere = spec.isIdentity ? kubeconfigCandidate(this.#context, spec, kubeconfigs) : [];
    let fit = false;
    await manager.refresh(async () => {
      const chosen = await choosePair(this.#context, { spec, wanted: manager.wanted(), first, elsewhere });
      fit = chosen.fit;
      if (first && !chosen.foreign) this.#unaccepted.add(spec.name);
      return chosen.pair;
    });
    if (first && spec.isIdentity) node.identity.recall(identity.answersBefore);
    if (!fit || spec.kubeconfig === undefined) return;
    // At the first look too: an earlier process may have ended before it wrote this one, and its program reads the file only when it is told.
    if (await kubeconfigs.repair(spec)) await this.#context.after.reconfigured?.(spec.name, signal);
  }

  #isFresh(now: Date): boolean {
    if (this.#expired) return false;
    const sinceMs = this.#lookedAt === undefined ? Number.NaN : now.getTime() - this.#lookedAt.getTime();
    return sinceMs >= 0 && sinceMs < FRESH_MS;
  }

  async #accept({ purpose }: CertificateManager): Promise<void> {
    if (!this.#unaccepted.has(purpose)) return;
    await this.#context.store.acceptAll(purpose);
    this.#unaccepted.delete(purpose);
  }

  #begin(): void {
    const { node, prover, identity } = this.#kept;
    const { clock, chance, options } = this.#context;
    this.#started = true;
    if (identity.current === undefined) {
      node.reader.postpone();
      return;
    }
    // A thousand agents come back in the second after a power cut: those that have a pair wait for their turn.
    const now = clock.now();
    const spreadMs = capWait(options.startSpreadMs, this.#leastLeftMs(), SHARE_OF_LEFT.failure);
    this.#quiet = { setAt: now, at: new Date(now.getTime() + Math.round(chance.roll() * spreadMs)) };
    if (!node.identity.provedLately) prover.want();
  }

  async #afterFirst(bootstrapChanges: readonly string[], signal: AbortSignal): Promise<void> {
    const { identity, managers, node, prover } = this.#kept;
    const { log, store, clock } = this.#context;
    if (bootstrapChanges.length > 0) {
      const { path: file } = node.kubeconfigs.bootstrap;
      log.log('info', 'The bootstrap kubeconfig or a file that it names changed', { file, changes: bootstrapChanges });
      identity.release();
      if (node.kubeconfigs.cluster.offered !== undefined) prover.want();
    }
    const quiet = this.quietUntil(clock.now()) !== undefined;
    if (!quiet && this.#kept.node.reader.nextRefresh() <= clock.now()) await this.#readNode(signal);
    for (const manager of managers) {
      if (manager.busy) continue;
      const pruned = await store.prune(manager.purpose, clock.now());
      if (pruned.length > 0) log.log('info', 'Deleted old pairs', { purpose: manager.purpose, files: pruned });
    }
  }

  async #readNode(signal: AbortSignal): Promise<void> {
    const { identity, reader } = this.#kept.node;
    const refused = await reader.refresh(signal);
    if (refused !== undefined) identity.refused(refused);
  }

  /** Of the pairs in hand that are not over yet, the one that ends first; undefined without any. */
  #leastLeftMs(): number | undefined {
    const now = judgedNow(this.#context);
    const left = this.#kept.managers.map((manager) => leftMs(manager.current?.chain.leaf, now) ?? 0);
    const running = left.filter((ms) => ms > 0);
    return running.length === 0 ? undefined : Math.min(...running);
  }

  #succeeded(): void {
    this.#backoff.reset();
    const { clock, log, troubles } = this.#context;
    const ended = troubles.over('files', clock.now());
    if (ended !== undefined) log.log('info', 'The files are in order again', { ...ended });
  }

  /** The journal has the first problem, in one line; every certificate keeps its own first one for status, and none that is another's. */
  #failed(problems: readonly FilesProblem[]): void {
    const [first] = problems;
    if (first === undefined) return;
    const { clock, chance, log, options, troubles } = this.#context;
    this.#lookedAt = undefined;
    const { refusedBackoffMs } = options;
    const { error } = first;
    const msToExpiry = this.#leastLeftMs();
    const retry = this.#backoff.failed(clock.now(), { error, roll: chance.roll(), msToExpiry, refusedBackoffMs });
    const told = { at: clock.now(), loud: 'error', failures: this.#backoff.failures } as const;
    const level = troubles.levelOf('files', error, told);
    log.log(level, 'Could not bring the files in order', { ...errorFields(error), retry });
    for (const each of this.#kept.managers) {
      const own = problems.find(({ manager }) => manager === each);
      if (own !== undefined) each.fault(own.error, this.#backoff);
    }
  }
}
