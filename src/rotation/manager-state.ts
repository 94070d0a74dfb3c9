import { asCertletError, type CertletError } from '../errors.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { PendingRequest, RequestHistory } from '../csr/pending.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import type { CertificateStore } from '../ports.ts';
import { approveCommand } from './request/approval.ts';
import { receivedAt } from './rules/schedule.ts';
import type { FailureSnapshot, ManagerSnapshot, Phase } from './snapshot.ts';

/** When the next attempt may come. Valid only while the clock stands between both dates: a clock set back must not postpone it. */
export interface RetryGate {
  readonly setAt: Date;
  readonly at: Date;
  /** Digest of the template that was refused: another template opens the gate. */
  readonly refusedDigest?: string | undefined;
  /** Digest of the credential that was refused: another one opens the gate. Undefined where it is not known. */
  readonly refusedAsker?: string | undefined;
}

/** What one manager knows. Changed by the manager and its attempt only. */
export class ManagerState {
  readonly spec: CertificateSpec;
  current: CertificatePair | undefined;
  pending: PendingRequest | undefined;
  pendingApproved = false;
  history: RequestHistory = {};
  retry: RetryGate | undefined;
  /** When the files are looked at again after they could not be brought in order: for status. */
  filesRetry: RetryGate | undefined;
  /** Failed attempts in a row. */
  failures = 0;
  /** An administrator has asked for a new certificate: see `wish.ts`. */
  forced = false;
  /** An administrator has called the files of another program fine, and that is not on the disk yet: see `foreign-writers.ts`. */
  accepting = false;
  /** Fingerprint of the pair that the rest of the host has been told of. */
  toldFor: string | undefined;
  hold: CertletError | undefined;
  phase: Phase = 'starting';
  reason = 'starting';
  command: string | undefined;
  /** When a request is made that nothing but the spacing holds back. */
  spacedUntil: Date | undefined;
  since: Date;
  lastError: FailureSnapshot | undefined;
  /** The first failure after the last success, and how many there were. */
  failing: ManagerSnapshot['failing'];
  lastSuccess: Date | undefined;
  readonly attempts = new Map<string, number>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(spec: CertificateSpec, now: Date) {
    this.spec = spec;
    this.since = now;
  }

  /** Work on this certificate's files, one piece after the other: upkeep must not put an older pair back while a new one is swapped in. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /**
   * Replaces the history in memory and on disk. Call it in the same turn with what was made of `history`: then of two writers (an attempt and an
   * administrator's wish) none undoes the other. Throws what the store throws.
   */
  rewriteHistory(store: CertificateStore, history: RequestHistory): Promise<void> {
    this.history = history;
    return store.writeHistory(this.spec.name, history);
  }

  /** Enters a phase; the moment of entry is kept while phase and reason stay the same. In `valid` nothing is due: what went wrong before is over. */
  enter(
    phase: Phase,
    reason: string,
    at: { readonly now: Date; readonly command?: string | undefined; readonly spacedUntil?: Date | undefined },
  ): void {
    if (phase !== this.phase || reason !== this.reason) this.since = at.now;
    this.phase = phase;
    this.reason = reason;
    this.command = at.command;
    this.spacedUntil = at.spacedUntil;
    if (phase === 'valid' && this.filesRetry === undefined) this.forgetFailures();
  }

  count(result: string): void {
    this.attempts.set(result, (this.attempts.get(result) ?? 0) + 1);
  }

  recordFailure(error: unknown, now: Date): CertletError {
    const known = asCertletError(error);
    this.lastError = { code: known.code, message: known.message, remedy: known.remedy, at: now };
    this.failing = { since: this.failing?.since ?? now, tries: (this.failing?.tries ?? 0) + 1 };
    this.count(known.code);
    return known;
  }

  /** What went wrong before is over. */
  forgetFailures(): void {
    this.lastError = undefined;
    this.failing = undefined;
  }
}

/** The gate, if it holds at this moment. */
export function openAt(gate: RetryGate | undefined, now: Date): Date | undefined {
  return gate !== undefined && gate.setAt <= now && now < gate.at ? gate.at : undefined;
}

/** What there is to tell of one certificate. */
export function managerSnapshot(
  state: ManagerState,
  at: {
    readonly currentPath: string;
    readonly rotationDeadline: Date | undefined;
    readonly now: Date;
  },
): ManagerSnapshot {
  const { pending, current } = state;
  const leaf = current?.chain.leaf;
  const approving = state.phase === 'waiting for approval' && pending !== undefined;
  return {
    purpose: state.spec.name,
    isIdentity: state.spec.isIdentity,
    phase: state.phase,
    reason: state.reason,
    command: approving
      ? approveCommand(pending.name)
      : state.phase === 'waiting for issuance'
        ? 'certlet check'
        : state.command,
    since: state.since,
    certificate: leaf,
    currentPath: at.currentPath,
    placeholder: leaf?.selfSigned === true,
    receivedAt: leaf && receivedAt(leaf, state.history),
    rotationDeadline: at.rotationDeadline,
    nextAttempt: openAt(state.retry, at.now) ?? openAt(state.filesRetry, at.now) ?? state.spacedUntil,
    pending: pending && {
      name: pending.name,
      createdAt: pending.createdAt,
      posted: pending.uid !== undefined,
      approved: state.pendingApproved,
      received: pending.issuedPem !== undefined,
    },
    lastSuccess: state.lastSuccess ?? state.history.lastIssuedAt,
    lastError: state.lastError,
    failing: state.failing,
    attempts: Object.fromEntries(state.attempts),
  };
}
