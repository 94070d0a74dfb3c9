import type { ServedBy } from '../../csr/spec.ts';
import { unlessDefect } from '../../errors.ts';
import { type Endpoint, judgeLooks, lookMoments, type Served } from '../../kubelet/served.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { Clock } from '../../ports.ts';
import type { LookServed } from '../probe/served-certificate.ts';
import type { HookEvent } from './hook.ts';

/** What handshakes need. */
export interface ServedPairsParts {
  readonly clock: Clock;
  /** The pair behind the link of this certificate. */
  readonly current: (purpose: string) => Promise<CertificatePair | undefined>;
  /** Where somebody who serves a pair is to be looked for; undefined while more may become known, which is not waited for at the `last` look. */
  readonly endpoint: (by: ServedBy, last: boolean) => Endpoint | undefined;
  readonly look: LookServed;
  /** A command that ends by itself waits for nobody who does not listen, and no longer than this for one who is to reload. */
  readonly patienceMs?: number | undefined;
  /** How long a kubelet may take to serve a new pair, or to come back. */
  readonly kubeletWithinMs: number;
  /** A look has shown something else than the one before. */
  readonly onChange?: (() => void) | undefined;
}

/** What is known of who serves a pair. */
export interface ServedState {
  /** The name of the certificate. */
  readonly purpose: string;
  readonly served: Served;
  /** Where it was seen; the port of the kubelet, or of the settings. */
  readonly port: number;
  /** Since when it was found so. */
  readonly since: Date;
}

/** How long to go on looking: until there is an answer, or until the current pair is served or the time is over. */
export type Patience = 'first answer' | 'reload' | 'restart';

/** Shows by TLS handshakes whether a pair is served, and remembers what they showed. Each series of looks ends by itself. */
export class ServedPairs {
  readonly #parts: ServedPairsParts;
  readonly #states = new Map<string, ServedState>();

  constructor(parts: ServedPairsParts) {
    this.#parts = parts;
  }

  /** What the last looks showed, of each certificate that was looked for. */
  states(): readonly ServedState[] {
    return [...this.#states.values()];
  }

  /** Where this certificate is looked for, in words. */
  placeOf(purpose: string): string {
    const port = this.#states.get(purpose)?.port;
    return port === undefined ? 'its port' : `port ${String(port)}`;
  }

  /** Looks at what is served in place of the current pair. Rejects with the signal's reason and nothing else. */
  async prove(event: HookEvent, by: ServedBy, patience: Patience, signal: AbortSignal): Promise<Served> {
    const { clock, patienceMs } = this.#parts;
    const began = clock.now().getTime();
    const givenMs = by === 'kubelet' ? this.#parts.kubeletWithinMs : by.withinMs;
    const withinMs = patience === 'restart' ? givenMs : Math.min(givenMs, patienceMs ?? givenMs);
    let served: Served = { kind: 'absent' };
    for (const afterMs of this.#moments(patience, withinMs)) {
      await clock.sleepUntil(new Date(began + afterMs), signal);
      signal.throwIfAborted();
      const last = afterMs === withinMs || patienceMs !== undefined;
      const answer = await this.#look(event, by, last, signal);
      if (answer === undefined) continue;
      served = answer;
      if (served.kind === 'current' || patience === 'first answer') break;
      if (served.kind === 'absent' && patienceMs !== undefined && patience === 'reload') break;
    }
    return served;
  }

  /** A command that ends by itself and only asks what is served has swapped nothing that would take its time. */
  #moments(patience: Patience, withinMs: number): readonly number[] {
    const atOnce = patience === 'first answer' && this.#parts.patienceMs !== undefined;
    return atOnce ? [0] : lookMoments(withinMs);
  }

  /** Undefined where nobody knows yet where to look. */
  async #look(event: HookEvent, by: ServedBy, last: boolean, signal: AbortSignal): Promise<Served | undefined> {
    const { current, endpoint, look, clock } = this.#parts;
    const { purpose } = event;
    const where = endpoint(by, last);
    if (where === undefined) return undefined;
    const leaf = (await current(purpose).catch(unlessDefect(undefined)))?.chain.leaf;
    // A link that is being put right is looked at by whoever does that.
    if (leaf === undefined) return { kind: 'absent' };
    // A wildcard is no name that a client asks for.
    const names = leaf.dnsNames.filter((name) => !name.includes('*'));
    const served = judgeLooks(await look(where, names, signal), leaf);
    this.#note({ purpose, served, port: where.port, since: clock.now() });
    return served;
  }

  #note(state: ServedState): void {
    const before = this.#states.get(state.purpose);
    const same = before !== undefined && JSON.stringify(before.served) === JSON.stringify(state.served);
    this.#states.set(state.purpose, same ? { ...state, since: before.since } : state);
    if (!same) this.#parts.onChange?.();
  }
}
