import { isCertletError } from '../errors.ts';
import { CLUSTER_RULES } from './rules/cluster-rules.ts';
import { REQUEST_RULES } from './rules/request-rules.ts';
import type { Rule } from './rules/rule.ts';
import type { View } from './view.ts';

/** All rules, in the order in which they are asked. */
export const RULES: readonly Rule[] = [...REQUEST_RULES, ...CLUSTER_RULES];

/** One rule that does not let the request pass. */
export interface Failure {
  readonly rule: string;
  readonly reason: string;
  /** May be over by itself. */
  readonly later: boolean;
}

/** What comes of judging a request: approved by these rules, or why not. `wait` while every failure may be over by itself. */
export interface Decision {
  readonly verdict: 'approve' | 'refuse' | 'wait';
  readonly passed: readonly string[];
  readonly failures: readonly Failure[];
}

/** Judges by all rules of the request's kind; without cluster facts by those alone that need none. */
export function decide(view: View): Decision {
  const { content } = view.request;
  if (isCertletError(content)) {
    return { verdict: 'refuse', passed: [], failures: [{ rule: 'form', reason: content.message, later: false }] };
  }
  const rules = (view.facts === undefined ? REQUEST_RULES : RULES).filter(({ kinds }) =>
    kinds.includes(view.policy.kind),
  );
  const passed: string[] = [];
  const failures: Failure[] = [];
  for (const { name, objection } of rules) {
    const found = objection({ ...view, content });
    if (found === undefined) passed.push(name);
    else failures.push({ rule: name, ...found, reason: shortened(found.reason) });
  }
  const verdict = failures.length === 0 ? 'approve' : failures.every(({ later }) => later) ? 'wait' : 'refuse';
  return { verdict, passed, failures };
}

/** People read reasons in a terminal, and each is kept while its request is pending: what a stranger wrote may be a megabyte. */
const MAX_REASON = 2000;

/** A text as it may stand in logs and conditions: cut where nobody would read on. */
export function shortened(text: string): string {
  return text.length <= MAX_REASON ? text : `${text.slice(0, MAX_REASON - 1)}…`;
}

/** The reasons as one text: `own-names: …; never: …`. */
export function reasonsText({ failures }: Pick<Decision, 'failures'>): string {
  return failures.map(({ rule, reason }) => `${rule}: ${reason}`).join('; ');
}
