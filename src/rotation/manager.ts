import type { Remedy } from '../remedy.ts';
import { CertletError, errorFields } from '../errors.ts';
import { Attempt } from './attempt.ts';
import { type RotationContext, judgedNow } from './rotation-context.ts';
import type { Answers } from '../csr/pending.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import { type CertificateTemplate, templateDigest } from '../csr/template.ts';
import type { CertificateRules } from './certificate-rules.ts';
import { type CertificateState, ManagerState } from './manager-state.ts';
import { NameGuard } from './name-guard.ts';
import { approveCommand } from './request/approval.ts';
import { HoldGuard } from './hold-guard.ts';
import { eventKind, sayFailure, sayRequestWorks } from './request/failure.ts';
import { RotationNotice } from './rotation-notice.ts';
import { isNewTemplate } from './rules/gains.ts';
import type { Backoff } from './rules/retry.ts';
import { type ReserveFacts, reserveFacts } from './rules/reserve.ts';
import {
  doubtfulUntil,
  dueAt,
  dueInRounds,
  dueWhenExpiring,
  laterOf,
  receivedAt,
  spacedFrom,
  spacedUntil,
} from './rules/schedule.ts';
import { nextStep, REST_PHASES, type RotationFacts, rotationReasons, type Step, type StepInput } from './rules/step.ts';
import type { ManagerSnapshot } from './snapshot.ts';

/** Keeps one certificate of the node fresh: decides by `nextStep`, acts by `Attempt`, remembers by the store. */
export class CertificateManager {
  readonly rules: CertificateRules;
  readonly #context: RotationContext;
  readonly #state: CertificateState;
  #running: AbortController | undefined;
  readonly #notice: RotationNotice;
  readonly #names: NameGuard;
  readonly #holds: HoldGuard;

  constructor(context: RotationContext, rules: CertificateRules) {
    this.#context = context;
    this.rules = rules;
    this.#state = new ManagerState(rules.spec, context);
    this.#notice = new RotationNotice(context, rules.spec.name);
    this.#names = new NameGuard(context, rules, this.#state);
    this.#holds = new HoldGuard(context, rules.spec, this.#state);
  }

  /** The name of the certificate. */
  get purpose(): string {
    return this.rules.spec.name;
  }

  /** Where the link to the pair in use lies. */
  get currentPath(): string {
    return this.#context.store.currentPath(this.purpose);
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
    return this.#state.loaded;
  }

  /** Something outside an attempt failed (the disk) and comes again after `backoff`: for status. */
  fault(error: CertletError, backoff: Pick<Backoff, 'until'>): void {
    this.#state.filesFailed(error, backoff);
    if (!this.busy) this.#state.enter('waiting to retry', error.message, { command: error.remedy });
  }

  /** Brings the files in order by `settle`, which gives what is behind the link then, and reads what else the disk has. */
  refresh(settle: () => Promise<CertificatePair | undefined>): Promise<void> {
    return this.#state.inTurn(async () => {
      this.#state.found(await settle());
      // A running attempt knows its request better than the disk does.
      if (!this.busy && (await this.#state.load(this.#context.options.refusedBackoffMs))) this.#sayRecalled();
      await this.#state.keepDecision();
      await this.#holds.check();
      await this.#names.noteGone();
    });
  }

  /** Why nothing is asked after a start: the line of the refusal itself may be in a journal that is gone. */
  #sayRecalled(): void {
    const { backoff } = this.#state;
    const lastError = this.#state.failures.last;
    const { clock, log } = this.#context;
    if (lastError === undefined) return;
    log.log('warn', 'An earlier request was refused; waiting before the next one', {
      purpose: this.purpose,
      ...errorFields(lastError),
      at: lastError.at,
      retry: backoff.until(clock.now()),
    });
  }

  /** An administrator wants a new certificate now; also the decision that files of another program are fine. */
  force(): Promise<void> {
    return this.#state.wish();
  }

  /** What earlier processes heard from API servers about the pair in use. */
  get answersBefore(): Answers {
    return this.#state.history;
  }

  /** For `answersBefore` after a restart. */
  async noteAnswers(answers: Answers): Promise<void> {
    if (this.loaded) await this.#state.noteAnswers(answers);
  }

  /** What may mend the last failure has changed: try at once. */
  release(): void {
    this.#state.release();
  }

  /** What to do now; a pause that what was refused has been changed for ends here. */
  decide(quietUntil: Date | undefined): Step {
    if (this.loaded) this.#names.look();
    this.#releaseChanged();
    return this.step(quietUntil);
  }

  /** What is to be done as things stand. Pure decision over this manager's facts. */
  step(quietUntil: Date | undefined): Step {
    const facts = this.#facts();
    return nextStep({
      ...facts,
      pending: this.#state.pending !== undefined,
      retryAt: this.#state.backoff.until(this.#context.clock.now()),
      quietUntil,
      spacedUntil: this.#spacedUntil(),
      hold: this.#held(),
      unasked: this.#names.unasked(),
      heldBack: this.#names.heldBack(),
      doubt: this.rules.doubt(),
    });
  }

  #facts(): RotationFacts {
    return {
      now: judgedNow(this.#context),
      current: this.#state.current?.chain.leaf,
      refused: this.rules.isRefused(),
      wanted: this.#names.askable(this.wanted()),
      deadline: this.#dueAt(),
      doubtfulUntil: doubtfulUntil(this.#state.current?.chain.leaf, this.#state.history, this.#context.clock.now()),
      forced: this.#state.forced,
    };
  }

  #held(): StepInput['hold'] {
    const { loaded, failures, hold } = this.#state;
    if (!loaded) return { cause: 'loading', reason: failures.last?.message ?? 'reading the files' };
    if (hold !== undefined) return { cause: 'held', reason: hold.message };
    const blocked = this.rules.blocked();
    return blocked === undefined ? undefined : { cause: 'blocked', reason: blocked };
  }

  wanted(): CertificateTemplate {
    return this.rules.template(this.#state.history.keyEncipherment);
  }

  /** When the current certificate is due; undefined without one. */
  deadline(): Date | undefined {
    const { clock, options } = this.#context;
    const by = { ...this.rules.spec, nodeName: options.nodeName };
    return dueAt(this.#state.current?.chain.leaf, by, this.#state.history, clock.now());
  }

  #dueAt(): Date | undefined {
    const { everyMs, expiringWithinMs: withinMs } = this.#context.options;
    const deadline = this.deadline();
    const leaf = this.#state.current?.chain.leaf;
    if (deadline === undefined || leaf === undefined) return deadline;
    const came = receivedAt(leaf, this.#state.history);
    if (withinMs !== undefined) return dueWhenExpiring(leaf, { withinMs, receivedAt: came });
    return everyMs === undefined ? deadline : dueInRounds(deadline, leaf, { everyMs, receivedAt: came });
  }

  /** Runs one attempt to its end; never throws. The agent runs one at a time. */
  async attempt(signal: AbortSignal): Promise<void> {
    const running = new AbortController();
    const stop = (): void => running.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    this.#running = running;
    try {
      await new Attempt(this.#context, this.rules, { state: this.#state, names: this.#names }).run(
        () => rotationReasons(this.#facts()),
        running.signal,
      );
      this.release();
      sayRequestWorks(this.#context, this.purpose);
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
    const gains = this.#names.supersedes(pending.template, this.wanted());
    const spaced = this.#spacedUntil(true);
    if (gains.length === 0 || (spaced !== undefined && this.#context.clock.now() < spaced)) return;
    const message = `certificate signing request ${pending.name} is ${gains.join(' and ')}; it is left to the cleaner`;
    this.#running.abort(new CertletError('ERR_CSR_SUPERSEDED', message));
  }

  /** The phase between attempts, for status. */
  rest(step: Extract<Step, { kind: 'wait' }>): void {
    const state = this.#state;
    const { cause } = step;
    if (cause === 'cloud' && step.until !== undefined) this.rules.awaitCloud(step.until);
    const command = this.#commandOf(step);
    const reason = cause === 'retry' ? (state.failures.last?.message ?? step.reason) : step.reason;
    state.enter(REST_PHASES[cause], reason, { command, spacedUntil: step.due && step.until });
    this.#notice.say(state.current?.chain.leaf, this.deadline(), { step, reserve: this.#reserve() });
  }

  #commandOf({ cause, command }: Extract<Step, { kind: 'wait' }>): Remedy | undefined {
    const { hold, failures } = this.#state;
    if (cause === 'held') return hold?.remedy ?? command;
    return cause === 'retry' || cause === 'loading' ? failures.last?.remedy : command;
  }

  /** What there is to tell of it. */
  snapshot(): ManagerSnapshot {
    const { clock } = this.#context;
    const state = this.#state;
    const { pending, phase } = state;
    const leaf = state.current?.chain.leaf;
    const now = clock.now();
    const approving = phase === 'waiting for approval' && pending !== undefined;
    return {
      purpose: this.purpose,
      isIdentity: state.spec.isIdentity,
      phase,
      reason: state.reason,
      command: approving
        ? approveCommand(pending.name)
        : phase === 'waiting for issuance'
          ? 'certlet check'
          : state.command,
      since: state.since,
      certificate: leaf,
      currentPath: this.currentPath,
      placeholder: leaf?.selfSigned === true,
      receivedAt: leaf && receivedAt(leaf, state.history),
      rotationDeadline: this.deadline(),
      reserve: this.#reserve(),
      nextAttempt: state.backoff.until(now) ?? state.filesBackoff?.until(now) ?? state.spacedUntil,
      pending: pending && {
        name: pending.name,
        createdAt: pending.createdAt,
        posted: pending.uid !== undefined,
        approved: state.pendingApproved,
        received: pending.issuedPem !== undefined,
      },
      lastSuccess: state.lastSuccess ?? state.history.lastIssuedAt,
      lastError: state.failures.last,
      failing: state.failures.failing,
      attempts: Object.fromEntries(state.failures.attempts),
    };
  }

  #reserve(): ReserveFacts | undefined {
    const { spec, history, current } = this.#state;
    return reserveFacts(current?.chain.leaf, spec, history, this.#context.clock.now());
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
    const state = this.#state;
    const error = state.failed(thrown);
    // With the record still there the disk refused to let it go: that is a failure, and paced like one.
    if (error.code === 'ERR_CSR_SUPERSEDED' && state.pending === undefined) {
      log.log('warn', 'Superseding the pending certificate signing request', { purpose, reason: error.message });
      return;
    }
    const { refusedBackoffMs } = options;
    const retry = state.pauseAfter(error, { now: judgedNow(this.#context), roll: chance.roll(), refusedBackoffMs });
    state.enter('waiting to retry', error.message, { command: error.remedy });
    sayFailure(this.#context, error, { purpose, failures: state.backoff.failures, retry });
    observer.observe({ kind: eventKind(error), purpose, at: clock.now(), text: error.message, code: error.code });
  }

  /** Another template, or another credential than the one that was refused: the cluster may say yes to that. */
  #releaseChanged(): void {
    const { refusal } = this.#state;
    const askerDigest = refusal?.askerDigest;
    if (askerDigest !== undefined && (this.rules.askerDigest() ?? askerDigest) !== askerDigest) {
      this.#context.log.log('info', 'Another credential than the refused one: asking again', { purpose: this.purpose });
      this.release();
      return;
    }
    if (refusal === undefined || !this.rules.isTemplateFirm()) return;
    if (isNewTemplate(refusal, templateDigest(this.wanted()), this.#context.clock.now())) this.release();
  }
}
