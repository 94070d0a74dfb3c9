import type { Served } from '../kubelet/served.ts';
import { timestamp } from '../timestamp.ts';
import { foreign, present, type Timestamp } from './fields.ts';

/** What was seen of who serves a pair. */
export interface ServedFacts {
  readonly purpose: string;
  readonly served: Served;
  readonly port: number;
  readonly since: Date;
}

/** What handshakes with whoever serves a pair showed: the current pair, another one, nobody who listens, or no handshake. */
export interface ServedStatus {
  readonly state: 'current' | 'stale' | 'absent' | 'unclear';
  readonly port: number;
  /** Since when it was found so. */
  readonly since: Timestamp;
  /** `stale`: of the certificate that is shown, and to whom. */
  readonly serial?: string;
  readonly to?: string;
  /** `unclear`: what became of the handshake. */
  readonly error?: string;
}

/** The field of the document; undefined where nobody looked. */
export function servedStatus(facts: ServedFacts | undefined): ServedStatus | undefined {
  if (facts === undefined) return undefined;
  const { served, port, since } = facts;
  return present({
    state: served.kind,
    port,
    since: timestamp(since),
    serial: served.kind === 'stale' ? served.serial : undefined,
    to: served.kind === 'stale' ? foreign(served.to) : undefined,
    error: served.kind === 'unclear' ? foreign(served.error) : undefined,
  });
}
