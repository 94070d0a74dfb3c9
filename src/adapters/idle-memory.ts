import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;

/** V8 gives up a function's compiled form only when a collection has found it unused since the one before: of 14 MB the second takes 2.4, a third nothing. */
const COLLECTIONS = 2;
/** So much more than was left is given back again: every second read of the Node leaves as much, and V8 by itself fills four megabytes before it looks. */
const GROWN_BYTES = 1.5 * 1024 * 1024;

/** The memory of a process that waits most of its life. */
export class IdleMemory {
  #collect: Collect | undefined;
  #leftBytes: number | undefined;

  /**
   * Gives back to the system what the process does not need while it waits: code and data of a start or a rotation that are over. Takes some tens
   * of milliseconds, in which nothing else runs. Throws nothing.
   */
  async release(): Promise<void> {
    await this.#give(COLLECTIONS);
  }

  /** The same of what has come since, where that is enough to be worth the time; what is run again and again stays compiled. Nothing before the first release. */
  async trim(): Promise<void> {
    if (this.#leftBytes !== undefined && heapBytes() - this.#leftBytes > GROWN_BYTES) await this.#give(1);
  }

  async #give(collections: number): Promise<void> {
    setFlagsFromString('--expose-gc');
    this.#collect ??= runInNewContext('gc') as Collect;
    for (let count = 0; count < collections; count += 1) this.#collect({ type: 'major', flavor: 'last-resort' });
    this.#leftBytes = heapBytes();
    try {
      const { dlopen } = await import('node:ffi');
      // malloc_trim(3): what the allocator keeps for itself otherwise.
      dlopen(null, { malloc_trim: { arguments: ['uint64'], return: 'int32' } }).functions.malloc_trim(0n);
    } catch {
      // Node without node:ffi, or another C library: the garbage is gone all the same.
    }
  }
}

/** Of V8's heap, what is in memory. */
const heapBytes = (): number => getHeapStatistics().total_physical_size;
