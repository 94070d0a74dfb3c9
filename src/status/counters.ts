import { KUBELET_SERVING } from '../csr/spec.ts';
import type { AgentEvent } from '../ports.ts';

/** The kubelet's buckets for the age of a replaced serving certificate: a minute to four years. */
export const ROTATION_BUCKETS: readonly number[] = [
  60, 3_600, 14_400, 86_400, 604_800, 2_592_000, 7_776_000, 15_552_000, 31_104_000, 124_416_000,
];

export interface Histogram {
  /** Observations up to each bound of `ROTATION_BUCKETS`, cumulative. */
  readonly buckets: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** What no snapshot holds: counted from the agent's events. */
export class EventCounters {
  readonly #buckets = ROTATION_BUCKETS.map(() => 0);
  #sum = 0;
  #count = 0;

  observe(event: AgentEvent): void {
    const { kind, purpose, replacedAgeSeconds: age } = event;
    if (kind !== 'rotated' || purpose !== KUBELET_SERVING || age === undefined) return;
    ROTATION_BUCKETS.forEach((bound, index) => {
      if (age <= bound) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    });
    this.#sum += age;
    this.#count += 1;
  }

  servingRotations(): Histogram {
    return { buckets: [...this.#buckets], sum: this.#sum, count: this.#count };
  }
}
