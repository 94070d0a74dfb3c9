import type { CertificateFacts } from '../pki/certificate.ts';
import type { RotationContext } from './rotation-context.ts';
import type { ReserveFacts } from './rules/reserve.ts';
import type { Step } from './rules/step.ts';

const SPREAD = 'Rotation is due, the first request after a start is spread over time';

type Wait = Extract<Step, { kind: 'wait' }>;

/**
 * Tells when a certificate is due: once per certificate, at the normal level, in the words of client-go's certificate manager, which says it where
 * nobody sees it (verbosity 2).
 */
export class RotationNotice {
  readonly #context: RotationContext;
  readonly #purpose: string;
  /** Serial of the certificate that was told of last. */
  #said = '';
  #saidReserve = '';
  /** Which reasons were told to be due for the certificate of this serial. */
  #saidDue: { readonly serial: string | undefined; readonly reasons: Set<string> } | undefined;

  constructor(context: RotationContext, purpose: string) {
    this.#context = context;
    this.#purpose = purpose;
  }

  /** Nothing is done for this certificate before `deadline`, nor before `step` ends. */
  say(
    leaf: CertificateFacts | undefined,
    deadline: Date | undefined,
    { step, reserve }: { readonly step: Wait; readonly reserve?: ReserveFacts | undefined },
  ): void {
    this.#sayDeadline(leaf, deadline);
    this.#sayReserve(leaf, reserve);
    this.#sayDue(leaf, step);
  }

  /** Once per certificate: the settings promise more than the signer's lifetime allows. */
  #sayReserve(leaf: CertificateFacts | undefined, reserve: ReserveFacts | undefined): void {
    if (leaf === undefined || reserve?.ask === undefined || this.#saidReserve === leaf.serial) return;
    this.#saidReserve = leaf.serial;
    this.#context.log.log('warn', 'The lifetime of the certificate is too short for the reserve', {
      purpose: this.#purpose,
      reserve: durationText(reserve.wantedMs),
      possible: durationText(reserve.possibleMs),
      remedy: reserve.ask,
    });
  }

  #sayDeadline(leaf: CertificateFacts | undefined, deadline: Date | undefined): void {
    if (leaf === undefined || deadline === undefined || this.#said === leaf.serial) return;
    const { clock, log } = this.#context;
    const sleepMs = deadline.getTime() - clock.now().getTime();
    // One that is due already is rotated, not waited for.
    if (sleepMs <= 0) return;
    this.#said = leaf.serial;
    const purpose = this.#purpose;
    log.log('info', 'Certificate rotation deadline determined', { purpose, expiration: leaf.notAfter, deadline });
    log.log('info', 'Waiting for next certificate rotation', { purpose, sleep: durationText(sleepMs) });
  }

  /** Once per certificate and reason: who has just added a name looks here for what becomes of it. */
  #sayDue(leaf: CertificateFacts | undefined, { cause, due: reasons, until }: Wait): void {
    if (reasons === undefined) return;
    if (this.#saidDue?.serial !== leaf?.serial) this.#saidDue = undefined;
    this.#saidDue ??= { serial: leaf?.serial, reasons: new Set() };
    const key = JSON.stringify([reasons, cause]);
    if (this.#saidDue.reasons.has(key)) return;
    this.#saidDue.reasons.add(key);
    const purpose = this.#purpose;
    const what = cause === 'spread' ? SPREAD : 'Rotation is due, waiting for the spacing between requests';
    this.#context.log.log('info', what, { purpose, reasons, nextAttempt: until });
  }
}

/** As Go prints a duration, in whole seconds: `6130h4m0s`. */
export function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  const rest = `${String(seconds % 60)}s`;
  if (hours > 0) return `${String(hours)}h${String(minutes % 60)}m${rest}`;
  return minutes > 0 ? `${String(minutes)}m${rest}` : rest;
}
