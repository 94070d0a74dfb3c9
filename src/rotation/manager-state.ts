import type { Remedy } from '../remedy.ts';
import { asCertletError, type CertletError, errorFields, problemOf } from '../errors.ts';
import { issuedRequest, withPast } from '../csr/past-request.ts';
import { type Answers, type PendingRequest, type RequestHistory, sameAnswers } from '../csr/pending.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import type { CertificateTemplate } from '../csr/template.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import { SerialQueue } from '../serial-queue.ts';
import { isRefusal, pauseOfRefusal, refusalError } from './request/failure.ts';
import { issuedFingerprint } from './request/received.ts';
import type { RotationContext } from './rotation-context.ts';
import type { JudgedTime } from './rules/clock-judge.ts';
import { withGone, withRequest } from './rules/gains.ts';
import { Backoff } from './rules/retry.ts';
import { leftMs } from './rules/schedule.ts';
import { Failures } from './failures.ts';
import type { Phase } from './snapshot.ts';

/**
 * What is known of one certificate, in memory and in its records. Nothing but its own methods changes it: others hold it as `CertificateState`.
 * The disk's refusal of a mere note is told and keeps nobody from a certificate.
 */
export class ManagerState {
  readonly spec: CertificateSpec;
  readonly #context: Pick<RotationContext, 'clock' | 'log' | 'store'>;
  current: CertificatePair | undefined;
  pending: PendingRequest | undefined;
  pendingApproved = false;
  history: RequestHistory = {};
  /** Pending record and history have been read: before that nothing may be decided. */
  loaded = false;
  /** What the pause is for, where the cluster has said no: another template or credential ends it. */
  refusal: RequestHistory['refusal'];
  /** When the files are looked at again after they could not be brought in order: for status. */
  filesBackoff: Pick<Backoff, 'until'> | undefined;
  /** An administrator has asked for a new certificate. */
  forced = false;
  /** An administrator has called the files of another program fine, and that is not on the disk yet. */
  accepting = false;
  /** Fingerprint of the pair that the rest of the host has been told of. */
  toldFor: string | undefined;
  /** Why it is left alone until that is over or an administrator decides. */
  hold: CertletError | undefined;
  /** Why nothing new is asked for with the names that the node has; a pending request goes on. */
  nameLimit: CertletError | undefined;
  phase: Phase = 'starting';
  reason = 'starting';
  command: Remedy | undefined;
  /** When a request is made that nothing but the spacing holds back. */
  spacedUntil: Date | undefined;
  since: Date;
  lastSuccess: Date | undefined;
  readonly #failures = new Failures();
  readonly #backoff = new Backoff();
  readonly #turns = new SerialQueue();

  constructor(spec: CertificateSpec, context: Pick<RotationContext, 'clock' | 'log' | 'store'>) {
    this.spec = spec;
    this.#context = context;
    this.since = context.clock.now();
  }

  /** Attempts that failed, and the pause before the next. */
  get backoff(): Pick<Backoff, 'failures' | 'until'> {
    return this.#backoff;
  }

  /** What went wrong, and attempts by result. */
  get failures(): Pick<Failures, 'last' | 'failing' | 'attempts' | 'past'> {
    return this.#failures;
  }

  /** Work on this certificate's files, one piece after the other: upkeep must not put an older pair back while a new one is swapped in. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.run(work);
  }

  /** This is behind the link; what was wrong with the files is over. */
  found(pair: CertificatePair | undefined): void {
    this.current = pair;
    if (this.filesBackoff !== undefined) this.#failures.forget();
    this.filesBackoff = undefined;
  }

  /** The files could not be brought in order, which is tried again after `backoff`. */
  filesFailed(error: CertletError, backoff: Pick<Backoff, 'until'>): void {
    this.filesBackoff = backoff;
    this.#recordFailure(error);
  }

  /** Reads the records. True where an earlier process was refused, so that nothing is asked for a while. */
  async load(refusedBackoffMs: number): Promise<boolean> {
    const { store, clock } = this.#context;
    this.pending = await store.readPending(this.spec.name);
    const history = await store.readHistory(this.spec.name);
    this.history = this.pending === undefined ? history : withRequest(history, this.pending);
    if (this.loaded) return false;
    this.loaded = true;
    if (this.#wishStands()) {
      this.forced = true;
      return false;
    }
    if (this.pending !== undefined) return false;
    // A denial or failure before the last restart still holds back; a wish that still stands came after it.
    const { refusal } = this.history;
    this.refusal = refusal;
    this.#backoff.recall(refusal && pauseOfRefusal(refusal, this.current, refusedBackoffMs));
    if (refusal === undefined || this.#backoff.until(clock.now()) === undefined) return false;
    this.#failures.recall({ ...refusalError(refusal, this.spec), at: refusal.at });
    return true;
  }

  /**
   * An administrator asked for a new certificate before the last restart and has none yet. A request that was made after the wish and whose pair
   * is current has answered it, though the note of that did not come to disk.
   */
  #wishStands(): boolean {
    const { pending, current } = this;
    const { renewWantedAt } = this.history;
    if (renewWantedAt === undefined) return false;
    if (pending?.issuedPem === undefined || current === undefined || pending.createdAt < renewWantedAt) return true;
    return issuedFingerprint(pending) !== current.chain.leaf.fingerprint;
  }

  /** An administrator wants a new certificate now, and calls the files of other programs fine. Both stand as long as this process lives. */
  async wish(): Promise<void> {
    const { clock, log, store } = this.#context;
    this.forced = true;
    this.accepting = true;
    this.#letGo();
    this.release();
    const renewWantedAt = clock.now();
    const noted = this.inTurn(async () => {
      // Fulfilled while this waited for its turn.
      if (!this.forced) return;
      if (!this.loaded) this.history = await store.readHistory(this.spec.name);
      await this.#rewrite({ ...this.history, renewWantedAt });
    });
    const problem = await problemOf(() => noted);
    const unwritten = 'Could not write down that a new certificate is wanted';
    if (problem !== undefined) log.log('warn', unwritten, { purpose: this.spec.name, ...errorFields(problem) });
    await this.keepDecision();
  }

  /** Writes down that the files of another program are fine; where the disk cannot take that, it is tried again at each look at the files. */
  async keepDecision(): Promise<void> {
    if (!this.accepting) return;
    const problem = await problemOf(() => this.#context.store.acceptAll(this.spec.name));
    this.accepting = problem !== undefined;
    this.#tell('Could not write down that the files of another program are fine', problem);
  }

  /** Writes down what the API server has said of the pair in use; nothing is written when that is known already. */
  async noteAnswers({ refused, proved }: Answers): Promise<void> {
    const noted = this.inTurn(async () => {
      if (sameAnswers(this.history, { refused, proved })) return;
      const { refused: _refused, proved: _proved, ...history } = this.history;
      await this.#rewrite({ ...history, ...(refused && { refused }), ...(proved && { proved }) });
    });
    this.#tell('Could not write down what the API server says of the certificate', await problemOf(() => noted));
  }

  /** Writes down the machine that the pair is used on. Call it in turn. */
  async noteMachine(machine: string): Promise<void> {
    if (this.history.machine === machine) return;
    const problem = await problemOf(() => this.#rewrite({ ...this.history, machine }));
    this.#tell('Could not write down the machine', problem);
  }

  /** Since when the API server refuses what has been issued and is not current yet; undefined: it does not. */
  async noteProofRefused(refusedAt: Date | undefined): Promise<void> {
    if (this.pending === undefined || this.pending.refusedAt === refusedAt) return;
    const { refusedAt: _before, ...record } = this.pending;
    const next: PendingRequest = refusedAt === undefined ? record : { ...record, refusedAt };
    this.pending = next;
    const problem = await problemOf(() => this.#context.store.writePending(this.spec.name, next));
    this.#tell('Could not write down since when the issued certificate is refused', problem);
  }

  /** Leaves the certificate alone for this reason, or lets go of it, and of what it told. True where that is another reason than before. */
  holdFor(reason: CertletError | undefined): boolean {
    const { hold } = this;
    const same = reason?.code === hold?.code && (hold?.code !== 'ERR_NODE_NAME' || reason?.message === hold.message);
    if (same) return false;
    this.#letGo();
    if (reason === undefined) return false;
    this.hold = reason;
    this.#recordFailure(reason);
    return true;
  }

  /** Nothing new is asked for, for this reason, or no reason is left. True where that is another reason than before. */
  limitNames(reason: CertletError | undefined): boolean {
    if (reason?.message === this.nameLimit?.message) return false;
    this.nameLimit = reason;
    if (this.#failures.last?.code === 'ERR_NAMES') this.#failures.forget();
    if (reason !== undefined) this.#recordFailure(reason);
    return reason !== undefined;
  }

  /** Writes down what the node has no more of the names that were asked for. Call it in turn. */
  async noteGone(has: Pick<CertificateTemplate, 'dnsNames' | 'ipAddresses'>): Promise<void> {
    const next = withGone(this.history, has);
    if (next === this.history) return;
    this.#tell('Could not write down which names have gone', await problemOf(() => this.#rewrite(next)));
  }

  /** Writes down since when the first request waits for the cloud provider, so that a restart does not wait anew. */
  async noteCloudAwaited(cloudAwaitedSince: Date): Promise<void> {
    const noted = this.inTurn(() => this.#rewrite({ ...this.history, cloudAwaitedSince }));
    this.#tell('Could not write down since when the cloud provider is waited for', await problemOf(() => noted));
  }

  #letGo(): void {
    if (this.hold !== undefined) this.#failures.dropLast(this.hold.code);
    this.hold = undefined;
  }

  /** What may mend the last failure has changed: try at once. */
  release(): void {
    this.#backoff.reset();
    this.refusal = undefined;
  }

  /** A new request is on disk and is about to be made. When is in its record: the history has it with what comes of the request. */
  requested(record: PendingRequest): void {
    this.history = withRequest(this.history, record);
    this.pending = record;
    this.pendingApproved = false;
  }

  /** The record on disk is this one now. */
  recorded(record: PendingRequest): void {
    this.pending = record;
  }

  /** The request was seen pending. Tells whether that ends what kept it from the cluster. */
  seen(approved: boolean): boolean {
    this.pendingApproved = approved;
    return this.#failures.reached();
  }

  async dropPending(): Promise<void> {
    await this.#context.store.removePending(this.spec.name);
    this.pending = undefined;
  }

  /** The request has ended without a certificate, and this is what is to be remembered of it. Throws what the store throws, with the record still there. */
  async endRequest(history: RequestHistory): Promise<void> {
    await this.#rewrite(history);
    await this.dropPending();
  }

  /** The link names this pair. The wish is answered, whether or not the disk takes the note of it. */
  swapped(pair: CertificatePair): void {
    this.current = pair;
    this.forced = false;
  }

  /** Writes down what came and when. Gives what keeps the disk from taking the note. */
  received(
    pair: CertificatePair,
    record: PendingRequest & { readonly receivedAt: Date },
    at: Date,
  ): Promise<CertletError | undefined> {
    const { receivedAt: lastIssuedAt, receivedByServer } = record;
    const { leaf } = pair.chain;
    const { refusal: _over, refused: _replaced, proved: _old, renewWantedAt: _fulfilled, ...before } = this.history;
    const { lastIssuedByServer: _older, ...past } = before;
    const byServer = receivedByServer === undefined ? {} : { lastIssuedByServer: receivedByServer };
    const known = withPast(past.past, issuedRequest(record, leaf, { at, failed: this.#failures.past }));
    const next = { ...past, lastIssuedAt, ...byServer, lastSerial: leaf.serial, past: known };
    return problemOf(() => this.#rewrite(next));
  }

  /** The rest of the host has been told of the pair with this fingerprint. */
  hostTold(fingerprint: string): void {
    this.toldFor = fingerprint;
  }

  /** An attempt has ended with a pair in use. */
  succeeded(at: Date): void {
    this.lastSuccess = at;
    this.#failures.forget();
    this.#failures.count('issued');
  }

  /** Notes what went wrong; a refusal ends what an administrator asked for. */
  failed(thrown: unknown): CertletError {
    const error = this.#recordFailure(thrown);
    if (isRefusal(error)) this.forced = false;
    return error;
  }

  /** The pause after a failed attempt. A refusal is paced by how often the cluster has said no, not by this process's failures. */
  pauseAfter(
    error: CertletError,
    at: { readonly now: JudgedTime; readonly roll: number; readonly refusedBackoffMs: number },
  ): Date {
    this.refusal = isRefusal(error) ? this.history.refusal : undefined;
    const counted = this.refusal?.count;
    return this.#backoff.failed(at.now.local, {
      error,
      counted,
      refusedPairs: error.code === 'ERR_ISSUED_REFUSED' ? counted : undefined,
      roll: at.roll,
      msToExpiry: leftMs(this.current?.chain.leaf, at.now),
      refusedBackoffMs: at.refusedBackoffMs,
    });
  }

  /** Enters a phase; the moment of entry is kept while phase and reason stay the same. In `valid` nothing is due: what went wrong before is over. */
  enter(
    phase: Phase,
    reason: string,
    more: { readonly command?: Remedy | undefined; readonly spacedUntil?: Date | undefined } = {},
  ): void {
    if (phase !== this.phase || reason !== this.reason) this.since = this.#context.clock.now();
    this.phase = phase;
    this.reason = reason;
    this.command = more.command;
    this.spacedUntil = more.spacedUntil;
    if (phase === 'valid' && this.filesBackoff === undefined) this.#failures.forget();
  }

  #recordFailure(thrown: unknown): CertletError {
    const error = asCertletError(thrown);
    this.#failures.record(error, this.#context.clock.now());
    return error;
  }

  /**
   * Replaces the history in memory and on disk. Called in the same turn with what was made of `history`: then of two writers (an attempt and an
   * administrator's wish) none undoes the other.
   */
  #rewrite(history: RequestHistory): Promise<void> {
    this.history = history;
    return this.#context.store.writeHistory(this.spec.name, history);
  }

  #tell(event: string, problem: CertletError | undefined): void {
    if (problem !== undefined)
      this.#context.log.log('debug', event, { purpose: this.spec.name, ...errorFields(problem) });
  }
}

/** A state as everybody but its owner holds it. */
export type CertificateState = Readonly<ManagerState>;
