import { CertletError } from '../errors.ts';
import { Attempt } from './attempt.ts';
import { type RotationContext, judgedNow } from './rotation-context.ts';
import type { RequestHistory } from '../csr/pending.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import { type CertificateTemplate, templateDigest, missingNames } from '../csr/template.ts';
import { checkWriters, keepDecision, letGo, checkName } from './disk/holds.ts';
import { eventKind, gateAfter, isRefusal, recallRefusal, sayFailure, sayRecalled } from './request/failure.ts';
import { managerSnapshot, ManagerState, openAt, type RetryGate } from './manager-state.ts';
import type { CertificateRules } from './certificate-rules.ts';
import { RotationNotice } from './rotation-notice.ts';
import { dueInRounds, doubtfulUntil, dueAt, laterOf, receivedAt, spacedFrom, spacedUntil } from './rules/schedule.ts';
import type { ManagerSnapshot } from './snapshot.ts';
import { nextStep, type RotationFacts, restPhase, rotationReasons, type Step } from './rules/step.ts';
import { noteRefused, noteWish, wishStands } from './disk/notes.ts';

/** Keeps one certificate of the node fresh: decides by `nextStep`, acts by `Attempt`, remembers by the store. */
export class CertificateManager {
  readonly rules: CertificateRules;
  readonly #context: RotationContext;
  readonly #state: ManagerState;
  #running: AbortController | undefined;
  #loaded = false;
  readonly #notice: RotationNotice;

  constructor(context: RotationContext, rules: CertificateRules) {
    this.#context = context;
    this.rules = rules;
    this.#state = new ManagerState(rules.spec, context.clock.now());
    this.#notice = new RotationNotice(context, rules.spec.name);
  }

  /** The name of the certificate. */
  get purpose(): string {
    return this.rules.spec.name;
  }

  get current(): CertificatePair | undefined {
    return this.#state.current;
  }

  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** An issued, unexpired certificate is current and nothing stands against it. */
  get isValid(): boolean {
    const leaf = this.#state.current?.chain.leaf;
    const now = judgedNow(this.#context).earliest;
    return this.#state.hold === undefined && leaf !== undefined && !leaf.selfSigned && now <= leaf.notAfter;
  }

  /** Pending record and history have been read: before that nothing may be decided. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** Something outside an attempt failed (the disk) and comes again at `gate`: for status. */
  fault(error: CertletError, gate: RetryGate): void {
    const now = this.#context.clock.now();
    this.#state.filesRetry = gate;
    this.#state.recordFailure(error, now);
    if (!this.busy) this.#state.enter('waiting to retry', error.message, { now, command: error.remedy });
  }

  /** Brings the files in order by `adopt`, which gives what is behind the link then, and reads what else the disk has. */
  refresh(adopt: () => Promise<CertificatePair | undefined>): Promise<void> {
    return this.#state.inTurn(async () => {
      this.#state.current = await adopt();
      // What was wrong with the files is over.
      if (this.#state.filesRetry !== undefined) this.#state.forgetFailures();
      this.#state.filesRetry = undefined;
      // A running attempt knows its request better than the disk does.
      if (!this.busy) await this.#load();
      await keepDecision(this.#context, this.#state);
      await checkWriters(this.#context, this.#state);
      if (this.rules.spec.isIdentity) await checkName(this.#context, this.#state);
    });
  }

  async #load(): Promise<void> {
    const { store, clock, options } = this.#context;
    this.#state.pending = await store.readPending(this.purpose);
    this.#state.history = await store.readHistory(this.purpose);
    if (this.#loaded) return;
    this.#loaded = true;
    if (wishStands(this.#state)) this.#state.forced = true;
    // A denial or failure before the last restart still holds back; a wish that still stands came after it.
    else if (this.#state.pending === undefined && recallRefusal(this.#state, clock.now(), options.refusedBackoffMs))
      sayRecalled(this.#context.log, this.#state, this.purpose);
  }

  /**
   * An administrator wants a new certificate now; also the decision that files of another program are fine. A disk that cannot take the note of
   * either is told; both stand as long as this process lives.
   */
  async force(): Promise<void> {
    this.#state.forced = true;
    this.#state.accepting = true;
    letGo(this.#state);
    this.release();
    await noteWish(this.#context, this.#state, this.#loaded);
    await keepDecision(this.#context, this.#state);
  }

  /** What earlier processes saw of the API server's refusals of the pair in use. */
  get refusedBefore(): RequestHistory['refused'] {
    return this.#state.history.refused;
  }

  /** For `refusedBefore` after a restart. A disk that cannot take the note keeps nobody from a certificate. */
  async noteRefused(refused: RequestHistory['refused']): Promise<void> {
    if (this.#loaded) await noteRefused(this.#context, this.#state, refused);
  }

  /** What may mend the last failure has changed: try at once. */
  release(): void {
    this.#state.retry = undefined;
    this.#state.failures = 0;
  }

  /** What to do now; a pause that what was refused has been changed for ends here. */
  decide(quietUntil: Date | undefined): Step {
    this.#releaseChanged();
    return this.step(quietUntil);
  }

  /** What is to be done as things stand. Pure decision over this manager's facts. */
  step(quietUntil: Date | undefined): Step {
    const facts = this.#facts();
    return nextStep({
      ...facts,
      pending: this.#state.pending !== undefined,
      retryAt: openAt(this.#state.retry, this.#context.clock.now()),
      quietUntil,
      spacedUntil: this.#spacedUntil(),
      hold: this.#held(),
      doubt: this.rules.doubt(),
    });
  }

  #facts(): RotationFacts {
    return {
      now: judgedNow(this.#context),
      current: this.#state.current?.chain.leaf,
      refused: this.rules.isRefused(),
      wanted: this.wanted(),
      deadline: this.#dueAt(),
      doubtfulUntil: doubtfulUntil(this.#state.current?.chain.leaf, this.#state.history, this.#context.clock.now()),
      forced: this.#state.forced,
    };
  }

  #held(): string | undefined {
    if (!this.#loaded) return this.#state.lastError?.message ?? 'reading the files';
    return this.#state.hold?.message ?? this.rules.blocked();
  }

  wanted(): CertificateTemplate {
    return this.rules.template(this.#state.history.keyEncipherment);
  }

  /** When the current certificate is due; undefined without one. */
  deadline(): Date | undefined {
    const { clock, options } = this.#context;
    const of = { nodeName: options.nodeName, window: this.rules.spec.window };
    return dueAt(this.#state.current?.chain.leaf, of, this.#state.history, clock.now());
  }

  #dueAt(): Date | undefined {
    const { everyMs } = this.#context.options;
    const deadline = this.deadline();
    const leaf = this.#state.current?.chain.leaf;
    if (everyMs === undefined || deadline === undefined || leaf === undefined) return deadline;
    return dueInRounds(deadline, leaf, { everyMs, receivedAt: receivedAt(leaf, this.#state.history) });
  }

  /** Runs one attempt to its end; never throws. The agent runs one at a time. */
  async attempt(signal: AbortSignal): Promise<void> {
    const running = new AbortController();
    const stop = (): void => running.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    this.#running = running;
    try {
      await new Attempt(this.#context, this.rules, this.#state).run(
        () => rotationReasons(this.#facts()),
        running.signal,
      );
      this.release();
    } catch (error) {
      if (!signal.aborted) this.#failed(running.signal.aborted ? running.signal.reason : error);
    } finally {
      signal.removeEventListener('abort', stop);
      this.#running = undefined;
    }
  }

  /** Ends the wait for a pending request that lacks what the template has gained (spacing applies). */
  supersede(): void {
    const { pending } = this.#state;
    if (this.#running === undefined || pending === undefined || pending.issuedPem !== undefined) return;
    // An approved one is about to be issued; names that only this host knows may turn out to be none.
    if (this.#state.pendingApproved || !this.rules.isTemplateFirm()) return;
    const gains = missingNames(pending.template, this.wanted());
    const spaced = this.#spacedUntil(true);
    if (gains.length === 0 || (spaced !== undefined && this.#context.clock.now() < spaced)) return;
    const message = `certificate signing request ${pending.name} is ${gains.join(' and ')}; it is left to the cleaner`;
    this.#running.abort(new CertletError('ERR_CSR_SUPERSEDED', message));
  }

  /** The phase between attempts, for status. */
  rest(step: Extract<Step, { kind: 'wait' }>): void {
    const state = this.#state;
    const phase = restPhase(step, { held: state.hold !== undefined, blocked: this.rules.blocked() !== undefined });
    const retrying = step.reason === 'waiting to try again';
    const failing = retrying || !this.#loaded;
    const command = phase === 'held' ? state.hold?.remedy : failing ? state.lastError?.remedy : step.command;
    const reason = retrying ? (state.lastError?.message ?? step.reason) : step.reason;
    const spacedUntil = step.due && step.until;
    state.enter(phase, reason, { now: this.#context.clock.now(), command, spacedUntil });
    this.#notice.say(state.current?.chain.leaf, this.deadline(), step);
  }

  snapshot(): ManagerSnapshot {
    return managerSnapshot(this.#state, {
      currentPath: this.#context.store.currentPath(this.purpose),
      rotationDeadline: this.deadline(),
      now: this.#context.clock.now(),
    });
  }

  /** Of two requests that are both made while one certificate is in use, and of one that supersedes another (`always`). */
  #spacedUntil(always = false): Date | undefined {
    const { clock, options } = this.#context;
    const { history, current } = this.#state;
    const leaf = current?.chain.leaf;
    const last = always
      ? laterOf(history.lastIssuedAt, history.lastRequestAt)
      : spacedFrom(history, leaf, {
          wantedCommonName: this.wanted().commonName,
          earliest: judgedNow(this.#context).earliest,
          refused: this.rules.isRefused(),
        });
    return spacedUntil(last, leaf, { now: clock.now(), minimumSpacingMs: options.minimumSpacingMs });
  }

  #failed(thrown: unknown): void {
    const { clock, log, observer, chance, options } = this.#context;
    const { purpose } = this;
    const now = clock.now();
    const state = this.#state;
    const error = state.recordFailure(thrown, now);
    if (isRefusal(error)) state.forced = false;
    // With the record still there the disk refused to let it go: that is a failure, and paced like one.
    if (error.code === 'ERR_CSR_SUPERSEDED' && state.pending === undefined) {
      log.log('warn', 'Superseding the pending certificate signing request', { purpose, reason: error.message });
      return;
    }
    state.failures += 1;
    state.retry = gateAfter(state, error, {
      now: judgedNow(this.#context),
      roll: chance.roll(),
      refusedBackoffMs: options.refusedBackoffMs,
    });
    state.enter('waiting to retry', error.message, { now, command: error.remedy });
    sayFailure(log, error, { purpose, failures: state.failures, retry: state.retry.at });
    observer.observe({ kind: eventKind(error), purpose, at: now, text: error.message, code: error.code });
  }

  /** Another template, or another credential than the one that was refused: the cluster may say yes to that. */
  #releaseChanged(): void {
    const { refusedDigest, refusedAsker } = this.#state.retry ?? {};
    if (refusedAsker !== undefined && (this.rules.askerDigest() ?? refusedAsker) !== refusedAsker) {
      this.#context.log.log('info', 'Another credential than the refused one: asking again', { purpose: this.purpose });
      this.release();
      return;
    }
    if (refusedDigest === undefined || !this.rules.isTemplateFirm()) return;
    if (refusedDigest !== templateDigest(this.wanted())) this.release();
  }
}
