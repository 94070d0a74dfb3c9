const HOUR_MS = 3_600_000;

/** Approvals of the last hour by node, counted from the request objects themselves: an approver that takes over knows what others approved. */
export class ApprovalCounts {
  readonly #nodes = new Map<string, Map<string, number>>();
  /** More than this of one node are not told apart. */
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes note of an approved request, once by its UID. */
  note(nodeName: string, uid: string, approvedAt: Date): void {
    const approvals = this.#nodes.get(nodeName) ?? new Map<string, number>();
    approvals.set(uid, approvedAt.getTime());
    const [oldest] = [...approvals].toSorted(([, one], [, other]) => one - other);
    if (approvals.size > this.#most && oldest !== undefined) approvals.delete(oldest[0]);
    this.#nodes.set(nodeName, approvals);
  }

  /** How many were approved in the hour before `now`; a time in the future, by another host's clock, counts. */
  of(nodeName: string, now: Date): number {
    const approvals = this.#nodes.get(nodeName);
    return [...(approvals?.values() ?? [])].filter((at) => now.getTime() - at < HOUR_MS).length;
  }

  /** Forgets what is older than an hour. */
  sweep(now: Date): void {
    for (const [nodeName, approvals] of this.#nodes) {
      for (const [uid, at] of approvals) if (now.getTime() - at >= HOUR_MS) approvals.delete(uid);
      if (approvals.size === 0) this.#nodes.delete(nodeName);
    }
  }
}
