import { timestamp } from '../timestamp.ts';
import type { Timestamp } from './fields.ts';

/** A restart of the kubelet that waits. */
export interface PlannedFacts {
  /** The name of the certificate, or `cluster CA`. */
  readonly purpose: string;
  readonly since: Date;
  readonly at: Date;
  readonly by: 'window' | 'end';
}

/** When the kubelet is restarted; `end`: before its window, since what it uses ends. */
export interface PlannedRestartStatus {
  readonly at: Timestamp;
  readonly by: 'window' | 'end';
  /** Since when it is wanted. */
  readonly since: Timestamp;
}

/** The field of the document; undefined where nothing waits. */
export function plannedStatus(planned: readonly PlannedFacts[], purpose: string): PlannedRestartStatus | undefined {
  const facts = planned.find((one) => one.purpose === purpose);
  return facts && { at: timestamp(facts.at), by: facts.by, since: timestamp(facts.since) };
}
