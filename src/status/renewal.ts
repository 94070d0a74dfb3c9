import { adviceLines } from './rows.ts';
import { ERROR_RULES, type ErrorCode } from '../error-rules.ts';
import { CertletError } from '../errors.ts';
import type { CertificateStatus, StatusDocument } from './document.ts';

/** Follows certificates that were asked for anew, from one status document to the next. */
export class RenewalWatch {
  readonly #before: ReadonlyMap<string, Known>;
  readonly #said = new Map<string, string>();
  #last: readonly CertificateStatus[] = [];

  /** `before` is the state when they were asked for; a purpose that it lacks counts as without certificate. */
  constructor(purposes: readonly string[], before: readonly CertificateStatus[]) {
    this.#before = new Map(
      purposes.map((purpose) => [purpose, knownOf(before.find((status) => status.purpose === purpose))]),
    );
  }

  /** What is new, as lines for a person. */
  see(document: Pick<StatusDocument, 'certificates'>): readonly string[] {
    this.#last = document.certificates.filter(({ purpose }) => this.#before.has(purpose));
    return this.#last.flatMap((status) => {
      if (this.#isOldNews(status)) return [];
      const lines = this.#isNew(status) ? doneLines(status) : phaseLines(status);
      const text = lines.join('\n');
      if (text === '' || this.#said.get(status.purpose) === text) return [];
      this.#said.set(status.purpose, text);
      return lines;
    });
  }

  /** Every one of them has a new certificate in place. */
  get done(): boolean {
    return [...this.#before.keys()].every((purpose) => {
      const status = this.#last.find((each) => each.purpose === purpose);
      return status !== undefined && this.#isNew(status);
    });
  }

  /** A failure since then that waiting does not mend. */
  get hopeless(): CertletError | undefined {
    for (const { purpose, lastError } of this.#last) {
      const before = this.#before.get(purpose);
      if (lastError === undefined || lastError.at === before?.errorAt) continue;
      if (!isErrorCode(lastError.code)) continue;
      const { action } = ERROR_RULES[lastError.code];
      if (action !== 'waitForHours' && action !== 'waitForPerson' && action !== 'stop') continue;
      const { message, remedy } = lastError;
      return new CertletError(lastError.code, `${purpose}: ${message}`, remedy === undefined ? {} : { remedy });
    }
    return undefined;
  }

  /** Nothing is left to wait for. */
  get settled(): boolean {
    return this.done || this.hopeless !== undefined;
  }

  /** As they were seen last, those that were asked for. */
  get certificates(): readonly CertificateStatus[] {
    return this.#last;
  }

  /** For when the time is over: what is still waited for, with the command that ends the wait. */
  timeout(timeoutMs: number): CertletError {
    const waiting = this.#last.filter((status) => !this.#isNew(status));
    const why = waiting.map(({ purpose, phase, reason }) => `${purpose}: ${phase} (${reason})`).join('; ');
    const remedy = waiting.find(({ command }) => command !== undefined)?.command;
    return new CertletError(
      'ERR_TIMEOUT',
      `not issued after ${String(Math.round(timeoutMs / 1000))} s: ${why || 'nothing is known yet'}`,
      remedy === undefined ? {} : { remedy },
    );
  }

  /** The pause after a failure from before this was asked for: it is about to end. */
  #isOldNews({ purpose, phase, lastError }: CertificateStatus): boolean {
    return phase === 'waiting to retry' && lastError?.at === this.#before.get(purpose)?.errorAt;
  }

  #isNew({ purpose, certificate, placeholder }: CertificateStatus): boolean {
    const before = this.#before.get(purpose);
    return (
      before !== undefined &&
      certificate !== undefined &&
      !placeholder &&
      certificate.fingerprint !== before.fingerprint
    );
  }
}

interface Known {
  readonly fingerprint: string | undefined;
  readonly errorAt: string | undefined;
}

const knownOf = (status: CertificateStatus | undefined): Known => ({
  fingerprint: status?.certificate?.fingerprint,
  errorAt: status?.lastError?.at,
});

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_RULES, code);

function doneLines({ purpose, certificate }: CertificateStatus): readonly string[] {
  return [`${purpose}: new certificate ${certificate?.serial ?? ''} until ${certificate?.notAfter ?? ''}`];
}

/** `valid` is the old certificate on its way to be replaced, a pause without a failure ends at once: nothing to tell. */
function phaseLines({ purpose, phase, reason, command, pending, lastError }: CertificateStatus): readonly string[] {
  if (phase === 'valid' || phase === 'starting' || phase === 'waiting to request') return [];
  if (phase === 'waiting to retry' && lastError === undefined) return [];
  const request = pending === undefined ? '' : ` [${pending.name}]`;
  return [`${purpose}: ${phase}: ${reason}${request}`, ...adviceLines(command).map((line) => `  ${line}`)];
}
