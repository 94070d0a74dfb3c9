import { bundleId } from '../../kubeconfig/trusted-ca.ts';
import type { Logger } from '../../ports.ts';
import { SaidOnce } from '../../said-once.ts';
import { type Refused, refusalsOf } from '../rules/cluster-ca.ts';

/** What is published and not trusted: each reason is told once, as long as it is for the same CAs and in every round. */
export class Refusals {
  readonly #log: Logger;
  readonly #said = new SaidOnce();
  #reasons: ReadonlySet<string> = new Set();
  #lines: readonly string[] = [];

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Those of the last round, a line for each reason. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** What one whole round has refused. */
  note(refused: readonly Refused[]): void {
    const groups = refusalsOf(refused);
    this.#lines = groups.map(({ text }) => text);
    const reasons = new Set(groups.map(({ why }) => why));
    for (const why of this.#reasons) if (!reasons.has(why)) this.#said.over(why);
    this.#reasons = reasons;
    for (const { why, cas } of groups) {
      if (!this.#said.isNews(why, bundleId(cas))) continue;
      const [{ fingerprint, subject, notAfter: ends }, ...others] = cas;
      const more = others.length === 0 ? undefined : others.length;
      const event = { fingerprint, subject, ends, more, why };
      this.#log.log('warn', 'The cluster publishes a CA that is not trusted', event);
    }
  }
}
