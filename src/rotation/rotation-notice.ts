import type { Purpose } from '../csr/template.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import type { RotationContext } from './context.ts';

/**
 * Tells when a certificate is due: once per certificate, at the normal level, in the words of client-go's certificate manager, which says it where
 * nobody sees it (verbosity 2).
 */
export class RotationNotice {
  readonly #context: RotationContext;
  readonly #purpose: Purpose;
  /** Serial of the certificate that was told of last. */
  #said = '';

  constructor(context: RotationContext, purpose: Purpose) {
    this.#context = context;
    this.#purpose = purpose;
  }

  /** Nothing is done for this certificate before `deadline`. */
  say(leaf: CertificateFacts | undefined, deadline: Date | undefined): void {
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
}

/** As Go prints a duration, in whole seconds: `6130h4m0s`. */
export function durationText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60)];
  const rest = `${String(seconds % 60)}s`;
  if (hours > 0) return `${String(hours)}h${String(minutes % 60)}m${rest}`;
  return minutes > 0 ? `${String(minutes)}m${rest}` : rest;
}
