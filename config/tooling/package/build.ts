/** What all packages of one run and one architecture are made from. */
import type { Architecture } from './architecture.ts';

export interface Build {
  readonly architecture: Architecture;
  readonly version: string;
  /** The finished tree: `usr` and all below, as it stands on a host. */
  readonly tree: string;
  /** Private to this build, and gone after it; its path has letters that every tool takes. */
  readonly work: string;
  /** Where packages go. */
  readonly output: string;
  /** SOURCE_DATE_EPOCH, in seconds. */
  readonly epochSeconds: number;
  /** Weak compression, for tests: everything else is the same. */
  readonly quick: boolean;
}
