/** What the approver counts of itself, for metrics; a number for each label. */
export class ApproverFigures {
  readonly decisions = new Map<string, number>();
  readonly objections = new Map<string, number>();
  readonly errors = new Map<string, number>();
  isLeader = false;
  pending = 0;
  nodes = 0;

  /** `outcome` is one of a few fixed words, so that no stranger makes new series. */
  decided(signerName: string, outcome: 'approved' | 'denied' | 'others' | 'gone'): void {
    bump(this.decisions, `${signerName} ${outcome}`);
  }

  objected(rule: string): void {
    bump(this.objections, rule);
  }

  failed(code: string): void {
    bump(this.errors, code);
  }
}

function bump(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
