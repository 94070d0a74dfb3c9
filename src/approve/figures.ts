/** What is read when somebody asks, from whoever keeps it. */
export interface PendingFigures {
  readonly size: number;
  /** When the one was made that has waited longest. */
  readonly oldest: Date | undefined;
}

const NO_PENDING: PendingFigures = { size: 0, oldest: undefined };
const NO_NODES = { size: 0 };

/** What the approver counts of itself, for metrics; a number for each label. */
export class ApproverFigures {
  readonly decisions = new Map<string, number>();
  /** Every rule from the start: a series that begins with one shows no increase to Prometheus. */
  readonly objections: Map<string, number>;
  readonly errors = new Map<string, number>();
  isLeader = false;
  /** Of the one that acts; what another knew when it acted last is old. */
  pending: PendingFigures = NO_PENDING;
  nodes: { readonly size: number } = NO_NODES;

  constructor(rules: readonly string[]) {
    this.objections = new Map(rules.map((rule) => [rule, 0]));
  }

  /** `outcome` is one of a few fixed words, so that no stranger makes new series. */
  decided(signerName: string, outcome: 'approved' | 'denied'): void {
    bump(this.decisions, `${signerName} ${outcome}`);
  }

  objected(rule: string): void {
    bump(this.objections, rule);
  }

  failed(code: string): void {
    bump(this.errors, code);
  }

  /** Another acts from now on, or nobody. */
  actsNoMore(): void {
    this.isLeader = false;
    this.pending = NO_PENDING;
    this.nodes = NO_NODES;
  }
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
