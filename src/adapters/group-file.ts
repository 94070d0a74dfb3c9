import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { fileError } from './file-errors.ts';

const OWNER_WRITES_GROUP_READS = 0o640;

/**
 * Gives a file of our own to a group that may read it, and to nobody else: the group first, so that no other group reads it in between. A link in
 * its place is not followed. Throws the errors of file operations.
 */
export async function letGroupRead(path: string, gid: number): Promise<void> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await file.chown((await file.stat()).uid, gid);
      await file.chmod(OWNER_WRITES_GROUP_READS);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
}
