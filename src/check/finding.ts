import { type Remedy, shellWord } from '../remedy.ts';

/** What a finding means for the certificates of this node. `skipped`: could not be looked at, and why. */
export type Verdict = 'ok' | 'note' | 'warning' | 'problem' | 'skipped';

/** How sure a statement is: seen as such, the best explanation of what was seen, or one among others. */
export type Certainty = 'certain' | 'likely' | 'possible';

/** One explanation among several, most likely first in its list. */
export interface Cause {
  readonly what: string;
  readonly sure: Certainty;
  /** The exact command or change that mends it. */
  readonly remedy?: Remedy;
}

/** What was seen, for programs and for bug reports. Never a secret. */
export type Evidence = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** One thing that was found out. */
export interface Finding {
  /** Stable: programs may go by it. `<step>.<what>`. */
  readonly id: string;
  readonly verdict: Verdict;
  /** One sentence for a person. */
  readonly what: string;
  readonly sure: Certainty;
  /** The exact command or change that mends it. */
  readonly remedy?: Remedy;
  /** Where what was seen has several explanations. */
  readonly causes?: readonly Cause[];
  readonly evidence?: Evidence;
  /** Skipped for want of permission: root would see it. */
  readonly denied?: true;
}

/** The parts of a finding that most leave out. */
export interface FindingDetails {
  readonly sure?: Certainty;
  readonly remedy?: Remedy | undefined;
  readonly causes?: readonly Cause[];
  readonly evidence?: Evidence;
  readonly denied?: true;
}

/** A finding; `certain` unless told. */
export function finding(verdict: Verdict, id: string, what: string, details: FindingDetails = {}): Finding {
  const { sure = 'certain', remedy, causes, evidence, denied } = details;
  return {
    id,
    verdict,
    what,
    sure,
    ...(remedy === undefined ? {} : { remedy }),
    ...(causes === undefined || causes.length === 0 ? {} : { causes }),
    ...(evidence === undefined ? {} : { evidence }),
    ...(denied === undefined ? {} : { denied }),
  };
}

/** Nothing wrong here. */
export const good = (id: string, what: string, evidence?: Evidence): Finding =>
  finding('ok', id, what, evidence === undefined ? {} : { evidence });

/** One step's findings under its heading. */
export interface StepReport {
  readonly step: string;
  readonly title: string;
  readonly findings: readonly Finding[];
}

/** The kubelet's unit, as it stands in a command. */
export function unitWord(unit: string): string {
  return shellWord(unit.replace(/\.service$/u, ''));
}
