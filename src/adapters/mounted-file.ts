import { shellWord } from '../remedy.ts';
import { basename, dirname, join } from 'node:path';
import { CertletError } from '../errors.ts';
import { errnoOf, fileError } from './file-errors.ts';
import type { FileFacts, FileSystem } from './file-system.ts';
import { type GroupMode, replaceFile, replaceVolatile } from './files.ts';

/** How a file is put in place that may be a mount point of its own. */
export interface Placing {
  readonly mode: number | GroupMode;
  /** The bytes hold a key or a password: they never go into a file that others can read. */
  readonly secret: boolean;
  /** Nobody reads it after a power cut: nothing is synced. */
  readonly volatile?: boolean;
  /** Called before the first byte goes into a mounted file. Others find it half written for a moment, and after a crash. */
  readonly beforeInPlace: (path: string) => Promise<void> | void;
}

/** What the system answers where a file is mounted and its folder is not ours to change: busy, or (a container's root) read-only. */
const PERHAPS_MOUNTED: readonly (string | undefined)[] = ['EBUSY', 'EROFS', 'EACCES', 'EPERM'];

/**
 * As `replaceFile`; only where the path is itself a mount point (`-v /host/kubelet.conf:/etc/kubernetes/kubelet.conf`), on which no rename can put
 * another file, is it written in place as client-go does. Owner and mode are looked at on the open file before the first byte.
 * Throws `ERR_STORE_UNSAFE` for a mounted file that others may write, or read where `secret`, and what `replaceFile` throws.
 */
export async function placeFile(fs: FileSystem, path: string, text: string, placing: Placing): Promise<void> {
  try {
    await (placing.volatile === true ? replaceVolatile : replaceFile)(fs, path, text, placing.mode);
  } catch (error) {
    if (!PERHAPS_MOUNTED.includes(errnoOf(error)) || !(await isMountPoint(fs, path))) throw error;
    await writeInPlace(fs, path, Buffer.from(text, 'utf8'), placing);
  }
}

async function isMountPoint(fs: FileSystem, path: string): Promise<boolean> {
  try {
    const real = join(await fs.realpath(dirname(path)), basename(path));
    return (await fs.mountPoints()).has(real);
  } catch (error) {
    // Without an answer the path counts as an ordinary one, and the error that led here is told.
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

async function writeInPlace(fs: FileSystem, path: string, bytes: Uint8Array, placing: Placing): Promise<void> {
  try {
    const file = await fs.openExisting(path);
    try {
      refuseOpenToOthers(path, await file.facts(), placing.secret);
      await placing.beforeInPlace(path);
      await file.write(bytes);
      await file.truncate(bytes.length);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

function refuseOpenToOthers(path: string, facts: FileFacts, secret: boolean): void {
  const problem = problemOf(facts, secret);
  if (problem === undefined) return;
  const word = shellWord(path);
  throw new CertletError('ERR_STORE_UNSAFE', `${path} is a mount point of its own, and ${problem}`, {
    remedy: `findmnt -n -o SOURCE ${word}   # tells the FILE; on the host: chown root FILE && chmod 600 FILE; or mount its folder in its place`,
  });
}

function problemOf({ kind, uid, mode }: FileFacts, secret: boolean): string | undefined {
  if (kind !== 'file') return 'it is no regular file';
  if (uid !== 0 && uid !== process.geteuid?.()) return `it belongs to user ${String(uid)}`;
  if ((mode & 0o022) !== 0) return `others can write it (mode ${mode.toString(8)})`;
  return secret && (mode & 0o044) !== 0
    ? `others can read it (mode ${mode.toString(8)}), so no secret goes into it`
    : undefined;
}
