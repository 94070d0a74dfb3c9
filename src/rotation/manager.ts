import { CertletError } from '../errors.ts';
import { Attempt } from './attempt.ts';
import { type RotationContext, judgedNow } from './context.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import { type CertificateTemplate, templateDigest, templateGains } from '../csr/template.ts';
import { eventKind, gateAfter, gateOfRefusal, isRefusal } from './failure.ts';
import { managerSnapshot, ManagerState, openAt } from './manager-state.ts';
import type { PurposeRules } from './purpose-rules.ts';
import { laterOf, requestSpacingMs, rotationDeadline } from './schedule.ts';
import type { ManagerSnapshot, Phase } from './snapshot.ts';
import { nextStep, rotationReasons, type Step } from './step.ts';

/** Keeps one certificate of the node fresh: decides by `nextStep`, acts by `Attempt`, remembers by the store. */
export class CertificateManager {
  readonly rules: PurposeRules;
  readonly #context: RotationContext;
  readonly #state: ManagerState;
  #running: AbortController | undefined;
  #loaded = false;
  /** Serial of the certificate whose deadline was told last. */
  #said = '';

  constructor(context: RotationContext, rules: PurposeRules) {
    this.#context = context;
    this.rules = rules;
    this.#state = new ManagerState(context.clock.now());
  }

  get purpose(): PurposeRules['purpose'] {
    return this.rules.purpose;
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

  /** Something outside an attempt failed (the disk): for status. */
  fault(error: CertletError): void {
    const now = this.#context.clock.now();
    this.#state.recordFailure(error, now);
    if (!this.busy) this.#state.enter('waiting to retry', error.message, { now, command: error.remedy });
  }

  /** Brings the files in order by `adopt`, which gives what is behind the link then, and reads what else the disk has. */
  refresh(adopt: () => Promise<CertificatePair | undefined>): Promise<void> {
    return this.#state.inTurn(async () => {
      this.#state.current = await adopt();
      // A running attempt knows its request better than the disk does.
      if (!this.busy) await this.#load();
      await this.#checkWriters();
    });
  }

  async #load(): Promise<void> {
    const { store } = this.#context;
    this.#state.pending = await store.readPending(this.purpose);
    this.#state.history = await store.readHistory(this.purpose);
    if (!this.#loaded) this.#restoreRefusal();
    this.#loaded = true;
  }

  /** Whether another program writes under our prefix; says so and holds this certificate, or lets go when the files are gone. */
  async #checkWriters(): Promise<void> {
    const files = await this.#context.store.foreign(this.purpose);
    if (files.length === 0) {
      this.#state.hold = undefined;
      return;
    }
    if (this.#state.hold !== undefined) return;
    const setting = this.purpose === 'client' ? 'rotateCertificates' : 'serverTLSBootstrap';
    const error = new CertletError('ERR_STORE_FOREIGN', `another program writes here too: ${files.join(', ')}`, {
      remedy: `set ${setting}: false in the kubelet's configuration and restart it, then: certlet renew ${this.purpose}`,
    });
    this.#state.hold = error;
    this.#state.recordFailure(error, this.#context.clock.now());
    this.#log('warn', 'The kubelet rotates here too; leaving this certificate alone', { files, remedy: error.remedy });
  }

  /** An administrator wants a new certificate now; also the decision that files of another program are fine. */
  async force(): Promise<void> {
    this.#state.forced = true;
    this.#state.hold = undefined;
    this.release();
    await this.#context.store.acceptAll(this.purpose);
  }

  /** Something changed that may mend the last failure: try at once. */
  release(): void {
    this.#state.retry = undefined;
    this.#state.failures = 0;
  }

  /** What to do now. Pure decision over this manager's facts. */
  step(quietUntil: Date | undefined): Step {
    const { clock } = this.#context;
    const { current, pending } = this.#state;
    const now = judgedNow(this.#context);
    const wanted = this.wanted();
    this.#releaseChangedTemplate(wanted);
    return nextStep({
      now,
      current: current?.chain.leaf,
      refused: this.rules.isRefused(),
      wanted,
      deadline: this.deadline(),
      pending: pending !== undefined,
      retryAt: openAt(this.#state.retry, clock.now()) ?? quietUntil,
      spacedUntil: this.#spacedUntil(),
      forced: this.#state.forced,
      hold: this.#held(),
    });
  }

  #held(): string | undefined {
    if (!this.#loaded) return this.#state.lastError?.message ?? 'reading the files';
    return this.#state.hold?.message ?? this.rules.blocked();
  }

  wanted(): CertificateTemplate {
    return this.rules.template(this.#state.history.keyEncipherment ?? this.#context.options.keyEncipherment);
  }

  /** When the current certificate is due; undefined without one. */
  deadline(): Date | undefined {
    const leaf = this.#state.current?.chain.leaf;
    if (leaf === undefined || leaf.selfSigned) return undefined;
    const { lastIssuedAt, lastSerial } = this.#state.history;
    return rotationDeadline(
      leaf,
      this.#context.options.nodeName,
      lastSerial === leaf.serial ? lastIssuedAt : undefined,
    );
  }

  #reasons(): readonly string[] {
    return rotationReasons({
      now: judgedNow(this.#context),
      current: this.#state.current?.chain.leaf,
      refused: this.rules.isRefused(),
      wanted: this.wanted(),
      deadline: this.deadline(),
      forced: this.#state.forced,
    });
  }

  /** Runs one attempt to its end; never throws. The agent runs one at a time. */
  async attempt(signal: AbortSignal): Promise<void> {
    const running = new AbortController();
    const stop = (): void => running.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    this.#running = running;
    try {
      await new Attempt(this.#context, this.rules, this.#state).run(() => this.#reasons(), running.signal);
      this.release();
      this.#state.forced = false;
    } catch (error) {
      if (!signal.aborted) this.#failed(running.signal.aborted ? running.signal.reason : error);
    } finally {
      signal.removeEventListener('abort', stop);
      this.#running = undefined;
    }
  }

  /** Ends the wait for a pending request that lacks what the template has gained (serving only, spacing applies). */
  supersede(): void {
    const { pending } = this.#state;
    if (this.#running === undefined || pending === undefined || pending.issuedPem !== undefined) return;
    // An approved one is about to be issued; names that only this host knows may turn out to be none.
    if (this.#state.pendingApproved || !this.rules.isTemplateFirm()) return;
    const gains = templateGains(pending.template, this.wanted());
    const spaced = this.#spacedUntil();
    if (gains.length === 0 || (spaced !== undefined && this.#context.clock.now() < spaced)) return;
    const message = `certificate signing request ${pending.name} lacks ${gains.join(', ')}; it is left to the cleaner`;
    this.#running.abort(new CertletError('ERR_CSR_SUPERSEDED', message));
  }

  /** The phase between attempts, for status. */
  rest(step: Extract<Step, { kind: 'wait' }>): void {
    const state = this.#state;
    const phase = this.#restPhase(step);
    const retrying = step.reason === 'waiting to try again';
    const command = phase === 'held' ? state.hold?.remedy : retrying ? state.lastError?.remedy : undefined;
    const spreading = 'spreading the first request after a start';
    const reason = retrying ? (state.lastError?.message ?? spreading) : step.reason;
    state.enter(phase, reason, { now: this.#context.clock.now(), command });
    this.#sayDeadline();
  }

  snapshot(): ManagerSnapshot {
    return managerSnapshot(this.#state, {
      purpose: this.purpose,
      currentPath: this.#context.store.currentPath(this.purpose),
      rotationDeadline: this.deadline(),
      now: this.#context.clock.now(),
    });
  }

  /** Once per certificate, at the normal level: with the kubelet nobody can see the next rotation. */
  #sayDeadline(): void {
    const leaf = this.#state.current?.chain.leaf;
    const deadline = this.deadline();
    if (leaf === undefined || deadline === undefined || this.#said === leaf.serial) return;
    // One that is due already is rotated, not waited for.
    if (deadline <= this.#context.clock.now()) return;
    this.#said = leaf.serial;
    this.#context.log.log('info', 'Certificate rotation deadline determined', {
      purpose: this.purpose,
      expiration: leaf.notAfter,
      deadline,
    });
  }

  /** A new request not before this; a date in the future (clock set back) does not count. */
  #spacedUntil(): Date | undefined {
    const { history, current } = this.#state;
    const last = laterOf(history.lastIssuedAt, history.lastRequestAt);
    if (last === undefined || last > this.#context.clock.now()) return undefined;
    const leaf = current?.chain.leaf;
    const issued = leaf?.selfSigned === true ? undefined : leaf;
    return new Date(last.getTime() + requestSpacingMs(issued, this.#context.options.minimumSpacingMs));
  }

  #failed(thrown: unknown): void {
    const { clock, observer } = this.#context;
    const now = clock.now();
    const state = this.#state;
    const error = state.recordFailure(thrown, now);
    // What an administrator asked for stays asked for, unless the cluster has said no.
    if (isRefusal(error)) state.forced = false;
    if (error.code === 'ERR_CSR_SUPERSEDED') {
      this.#log('warn', 'Superseding the pending certificate signing request', { reason: error.message });
      return;
    }
    state.failures += 1;
    const { chance, options } = this.#context;
    state.retry = gateAfter(state, error, { now, roll: chance.roll(), refusedBackoffMs: options.refusedBackoffMs });
    state.enter('waiting to retry', error.message, { now, command: error.remedy });
    this.#log(state.failures > 3 ? 'error' : 'warn', 'Failed while requesting a signed certificate', {
      code: error.code,
      error: error.message,
      remedy: error.remedy,
      retry: state.retry.at,
    });
    observer.observe({ kind: eventKind(error), purpose: this.purpose, at: now, text: error.message, code: error.code });
  }

  /** A denial or failure before the last restart still holds back. */
  #restoreRefusal(): void {
    if (this.#state.pending !== undefined) return;
    this.#state.retry = gateOfRefusal(this.#state.history, this.#context.options.refusedBackoffMs);
  }

  #releaseChangedTemplate(wanted: CertificateTemplate): void {
    const refused = this.#state.retry?.refusedDigest;
    if (refused === undefined || !this.rules.isTemplateFirm()) return;
    if (refused !== templateDigest(wanted)) this.release();
  }

  #restPhase(step: Extract<Step, { kind: 'wait' }>): Phase {
    if (this.#state.hold !== undefined) return 'held';
    if (this.rules.blocked() !== undefined) return 'waiting for the client certificate';
    if (step.reason.startsWith('clock:')) return 'waiting for the clock';
    if (step.reason === 'valid') return 'valid';
    return 'waiting to retry';
  }

  #log(level: 'warn' | 'error', event: string, fields: Parameters<RotationContext['log']['log']>[2]): void {
    this.#context.log.log(level, event, { purpose: this.purpose, ...fields });
  }
}
