import type { ServedBy } from '../../csr/spec.ts';
import type { CertletError } from '../../errors.ts';
import type { Served } from '../../kubelet/served.ts';
import type { Clock, Logger, Observer } from '../../ports.ts';
import type { HookEvent } from './hook.ts';
import type { ServedPairs } from './served-pairs.ts';

/** What is told of looks at what is served: each outcome once for each pair. */
export class Proof {
  readonly pairs: ServedPairs;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #observer: Observer | undefined;
  /** Files of pairs of which an Event was told. */
  readonly #observed = new Set<string>();

  constructor(
    pairs: ServedPairs,
    parts: { readonly log: Logger; readonly clock: Clock; readonly observer?: Observer | undefined },
  ) {
    this.pairs = pairs;
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#observer = parts.observer;
  }

  /** For the log: what the looks after a swap came to. */
  told({ purpose }: HookEvent, served: Served): void {
    const place = this.pairs.placeOf(purpose);
    if (served.kind === 'current') this.#log.log('info', 'The new pair is served', { purpose, place });
    else if (served.kind === 'unclear') this.#tellUnclear(purpose, served.error);
    else this.#log.log('debug', 'Nothing listens where the pair is served', { purpose, place });
  }

  /** A stale pair that nothing mends: an Event, once for each pair; gives the error back. */
  failed({ purpose, pairPath }: HookEvent, error: CertletError): CertletError {
    if (this.#observed.has(pairPath)) return error;
    this.#observed.add(pairPath);
    const { code, message: text } = error;
    this.#observer?.observe({ kind: 'notServed', purpose, at: this.#clock.now(), text, code });
    return error;
  }

  /** As `Hook.atStart`: one look, of which a stale pair alone is told by its reasons. */
  async atStart(event: HookEvent, by: ServedBy, signal: AbortSignal): Promise<readonly string[]> {
    const served = await this.pairs.prove(event, by, 'first answer', signal);
    if (served.kind === 'unclear') this.#tellUnclear(event.purpose, served.error);
    return served.kind === 'stale' ? [`the certificate with serial ${served.serial} is served`] : [];
  }

  #tellUnclear(purpose: string, error: string): void {
    const remedy = 'certlet check';
    this.#log.log('warn', 'Cannot tell which pair is served', {
      purpose,
      place: this.pairs.placeOf(purpose),
      error,
      remedy,
    });
  }
}
