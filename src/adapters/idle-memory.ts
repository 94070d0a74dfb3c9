import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;

/**
 * Gives back to the system what the process does not need while it waits: code and data of a start or a rotation that are over. Takes some tens
 * of milliseconds, in which nothing else runs. Throws nothing.
 */
export async function releaseMemory(): Promise<void> {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as Collect)({ type: 'major', flavor: 'last-resort' });
  try {
    const { dlopen } = await import('node:ffi');
    // malloc_trim(3): what the allocator keeps for itself otherwise.
    dlopen(null, { malloc_trim: { arguments: ['uint64'], return: 'int32' } }).functions.malloc_trim(0n);
  } catch {
    // Node without node:ffi, or another C library: the garbage is gone all the same.
  }
}
