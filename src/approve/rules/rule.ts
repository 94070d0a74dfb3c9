import type { PolicyKind } from '../policy.ts';
import type { Objection, ReadView } from '../view.ts';

/** One rule: a row of the table in docs/approve.md, and a word in the condition of what it let pass. */
export interface Rule {
  readonly name: string;
  /** What it demands, one sentence for the table. */
  readonly demands: string;
  /** What it stops, for the table. */
  readonly stops: string;
  /** Names of the settings that change it. */
  readonly settings: readonly string[];
  readonly kinds: readonly PolicyKind[];
  /** Undefined where the request passes. */
  readonly objection: (view: ReadView) => Objection | undefined;
}

/** An objection that lasts. */
export function against(reason: string): Objection {
  return { reason, later: false };
}

/** An objection that may be over by itself. */
export function notYet(reason: string): Objection {
  return { reason, later: true };
}

/** The objection with these reasons; undefined where there are none. */
export function againstAll(reasons: readonly string[]): Objection | undefined {
  return reasons.length === 0 ? undefined : against(reasons.join('; '));
}

/** Text of a stranger as it may stand in a reason: quoted, short, on one line. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
