import { statfs } from 'node:fs/promises';
import { errnoOf } from '../file-errors.ts';

/** What a rotation writes beside what lies there already: a key, a chain, records and their temporaries, each of some kilobytes. */
const NEEDED_BYTES = 65_536;
const ROOT = 0;

/** What `statfs` tells of a file system. */
export interface Space {
  readonly bsize: number;
  /** Blocks free, those included that are kept for root. */
  readonly bfree: number;
  readonly bavail: number;
  /** Inodes; 0 where the file system does not count them. */
  readonly files: number;
  readonly ffree: number;
}

/** Whether the file system at `path` has no room left for what this user writes. Never rejects for what is on the disk. */
export async function isFull(path: string, uid: number): Promise<boolean> {
  try {
    return hasNoRoom(await statfs(path), uid);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

/** Whether blocks or inodes are used up. What is kept for root is root's, with or without capabilities. */
export function hasNoRoom(space: Space, uid: number): boolean {
  const blocks = uid === ROOT ? space.bfree : space.bavail;
  return blocks * space.bsize < NEEDED_BYTES || (space.files > 0 && space.ffree === 0);
}
