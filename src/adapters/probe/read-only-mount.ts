import { access, constants } from 'node:fs/promises';
import { errnoOf } from '../file-errors.ts';

/** Whether the file system at `path` is mounted read-only, so that root cannot write there either. Never rejects for what is on the disk. */
export async function isReadOnlyMount(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return false;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return errnoOf(error) === 'EROFS';
  }
}
