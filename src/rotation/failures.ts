import type { PastFailures } from '../csr/past-request.ts';
import type { CertletError, ErrorCode } from '../errors.ts';
import { isOnTheWay } from '../error-rules.ts';
import type { FailureSnapshot } from './snapshot.ts';

/** What went wrong with one certificate since it last went well, and how its attempts have ended since the process started. */
export class Failures {
  #last: FailureSnapshot | undefined;
  #failing: { readonly since: Date; readonly tries: number } | undefined;
  #past: PastFailures | undefined;
  readonly #attempts = new Map<string, number>();

  get last(): FailureSnapshot | undefined {
    return this.#last;
  }

  /** The first failure after the last success, and how many there were. */
  get failing(): { readonly since: Date; readonly tries: number } | undefined {
    return this.#failing;
  }

  /** Tries that failed since the last success, for what is remembered of a request. */
  get past(): PastFailures | undefined {
    return this.#past;
  }

  /** Attempts by result. */
  get attempts(): ReadonlyMap<string, number> {
    return this.#attempts;
  }

  record({ code, message, remedy, path, errno }: CertletError, at: Date): void {
    this.#last = { code, message, remedy, path, errno, at };
    this.#failing = { since: this.#failing?.since ?? at, tries: (this.#failing?.tries ?? 0) + 1 };
    this.#past = { since: this.#past?.since ?? at, tries: (this.#past?.tries ?? 0) + 1, code };
    this.count(code);
  }

  /** What kept the request from the cluster is over; that the cluster has yet to issue is no failure. Tells whether there was any. */
  reached(): boolean {
    if (this.#failing === undefined || this.#last === undefined || !isOnTheWay(this.#last.code)) return false;
    this.#last = undefined;
    this.#failing = undefined;
    return true;
  }

  /** What an earlier process was told. */
  recall(failure: FailureSnapshot): void {
    this.#last = failure;
  }

  /** What the last failure said is over, if it was this one. */
  dropLast(code: ErrorCode): void {
    if (this.#last?.code === code) this.#last = undefined;
  }

  /** What went wrong before is over. */
  forget(): void {
    this.#last = undefined;
    this.#failing = undefined;
    this.#past = undefined;
  }

  count(result: string): void {
    this.#attempts.set(result, (this.#attempts.get(result) ?? 0) + 1);
  }
}
