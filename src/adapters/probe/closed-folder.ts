import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from '../file-errors.ts';

/** Whether this process can neither write in a folder nor make it, since it is mounted read-only here: by the sandbox of the unit, or on the host. Never rejects for what is on the disk. */
export async function isClosedFolder(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return false;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    if (errno === 'ENOENT' && path !== dirname(path)) return isClosedFolder(dirname(path));
    return errno === 'EROFS';
  }
}
