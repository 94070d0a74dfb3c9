import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  type Stats,
  statfsSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { errnoOf } from './file-errors.ts';

/** What certlet asks of `lstat` and `stat`. */
export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly size: number;
  /** Permission bits only, sticky bit included (0o7777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeMs: number;
  readonly device: number;
  readonly inode: number;
  /** When it was made, which tells it from an earlier one: inodes are given again at once. 0 where the file system does not keep it. */
  readonly bornMs: number;
}

/** A file open for writing. */
export interface OpenFile {
  write(bytes: Uint8Array): Promise<void>;
  chmod(mode: number): Promise<void>;
  /** What it is, and what the system has given it. */
  facts(): Promise<FileFacts>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A file that was there before, open for writing over it. */
export interface ExistingFile extends OpenFile {
  truncate(length: number): Promise<void>;
}

/**
 * The file operations that certlet uses, one method per system call that can fail, so that a test can record each and fail each.
 * Methods reject with the system's own errno errors (`code`, `syscall`, `path`); callers turn them into `CertletError` by `fileError`.
 */
export interface FileSystem {
  /** A new file (O_EXCL, O_NOFOLLOW): what stands there already is never opened, cut or followed. */
  create(path: string, mode: number): Promise<OpenFile>;
  /** An existing file to write over from its start (O_NOFOLLOW; nothing is cut, made or waited for): for a mount point alone. */
  openExisting(path: string): Promise<ExistingFile>;
  /** Paths at which something is mounted, as this process sees them. */
  mountPoints(): Promise<ReadonlySet<string>>;
  /** Whole content of a regular file, links followed. EFBIG above `limitBytes`, EINVAL for what is no regular file (a FIFO does not block). */
  read(path: string, limitBytes: number): Promise<Uint8Array>;
  /** Whether what lies in a folder is gone with the power in any case: a tmpfs, or what is like it. */
  isVolatile(path: string): Promise<boolean>;
  /** Makes names in a folder durable. File systems that cannot sync folders are taken as they are. */
  syncFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  /** Undefined when there is nothing, also where the way there goes through a file. */
  readlink(path: string): Promise<string | undefined>;
  /** As `readlink`. */
  lstat(path: string): Promise<FileFacts | undefined>;
  /** Links followed; undefined when there is nothing, as for `readlink`, or the link dangles. */
  stat(path: string): Promise<FileFacts | undefined>;
  realpath(path: string): Promise<string>;
  /** Resolves also when there was nothing. */
  unlink(path: string): Promise<void>;
  utimes(path: string, time: Date): Promise<void>;
  /** Names, sorted; empty when the folder does not exist. */
  readdir(path: string): Promise<readonly string[]>;
  /** One level. EEXIST when it exists. */
  mkdir(path: string, mode: number): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
}

/** statfs(2): TMPFS_MAGIC and RAMFS_MAGIC. */
const VOLATILE: readonly number[] = [0x0102_1994, 0x8584_58f6];

const synced = promisify(fsync);

/**
 * The real disk. All but fsync is done at once, since each call is microseconds and a way through Node's threads is many times that; a start makes
 * hundreds. A journal that is full or a mount that hangs stops the loop (decision 39). Syncs wait for the disk by what they are for, and go
 * through the threads.
 */
export class NodeFileSystem implements FileSystem {
  async create(path: string, mode: number): Promise<OpenFile> {
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
    return openFile(openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  }

  async openExisting(path: string): Promise<ExistingFile> {
    const { O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
    const file = openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    return { ...openFile(file), truncate: async (length) => ftruncateSync(file, length) };
  }

  async mountPoints(): Promise<ReadonlySet<string>> {
    return mountPointsOf(readFileSync('/proc/self/mountinfo', 'utf8'));
  }

  async read(path: string, limitBytes: number): Promise<Uint8Array> {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const facts = fstatSync(file);
      if (!facts.isFile()) throw refusal('EINVAL', 'not a regular file', path);
      const bytes = readAtMost(file, facts.size, limitBytes);
      if (bytes === undefined) throw refusal('EFBIG', `larger than ${String(limitBytes)} bytes`, path);
      return bytes;
    } finally {
      closeSync(file);
    }
  }

  async isVolatile(path: string): Promise<boolean> {
    return VOLATILE.includes(statfsSync(path).type);
  }

  async syncFolder(path: string): Promise<void> {
    const file = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await synced(file);
    } catch (error) {
      // POSIX lets fsync answer EINVAL for objects that cannot be synced; some FUSE and network file systems do so for folders.
      if (!['EINVAL', 'ENOTSUP'].includes(errnoOf(error) ?? '')) throw error;
    } finally {
      closeSync(file);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    renameSync(from, to);
  }

  async symlink(target: string, path: string): Promise<void> {
    symlinkSync(target, path);
  }

  async readlink(path: string): Promise<string | undefined> {
    return undefinedIfNothing(() => readlinkSync(path));
  }

  async lstat(path: string): Promise<FileFacts | undefined> {
    const stats = undefinedIfNothing(() => lstatSync(path, { throwIfNoEntry: false }));
    return stats && factsOf(stats);
  }

  async stat(path: string): Promise<FileFacts | undefined> {
    const stats = undefinedIfNothing(() => statSync(path, { throwIfNoEntry: false }));
    return stats && factsOf(stats);
  }

  async realpath(path: string): Promise<string> {
    return realpathSync.native(path);
  }

  async unlink(path: string): Promise<void> {
    await undefinedIfAbsent(async () => unlinkSync(path));
  }

  async utimes(path: string, time: Date): Promise<void> {
    utimesSync(path, time, time);
  }

  async readdir(path: string): Promise<readonly string[]> {
    const names = await undefinedIfAbsent(async () => readdirSync(path));
    return names === undefined ? [] : names.sort();
  }

  async mkdir(path: string, mode: number): Promise<void> {
    mkdirSync(path, { mode });
  }

  async chmod(path: string, mode: number): Promise<void> {
    chmodSync(path, mode);
  }
}

/** The one of this process, for whatever goes by what the process knows to be durable (`madeHere`). */
export const nodeFileSystem: FileSystem = new NodeFileSystem();

function openFile(file: number): OpenFile {
  return {
    write: async (bytes) => writeFileSync(file, bytes),
    chmod: async (mode) => fchmodSync(file, mode),
    facts: async () => factsOf(fstatSync(file)),
    sync: () => synced(file),
    close: async () => closeSync(file),
  };
}

const CHUNK_BYTES = 64 * 1024;

/**
 * The whole of an open file that says it has `size` bytes, from where it stands; undefined above `limitBytes`. What a file says of itself is no
 * limit: those of the kernel have no size, and some of them no end.
 */
export function readAtMost(file: number, size: number, limitBytes: number): Buffer | undefined {
  if (size > limitBytes) return undefined;
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    // A byte more than there should be: fewer than that is the end.
    const wanted = size > total ? size - total + 1 : CHUNK_BYTES;
    const chunk = Buffer.allocUnsafe(wanted);
    const count = readSync(file, chunk, 0, wanted, null);
    chunks.push(chunk.subarray(0, count));
    total += count;
    if (total > limitBytes) return undefined;
    if (count === 0 || (total === size && count < wanted)) return Buffer.concat(chunks, total);
  }
}

/** For looks. Below what is no folder there is nothing, too; whoever needs the folder itself sees what stands in its place. */
function undefinedIfNothing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function undefinedIfAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The fifth field of each line; blanks, tabs, line ends and backslashes in it are octal (proc_pid_mountinfo(5)). */
export function mountPointsOf(mountinfo: string): ReadonlySet<string> {
  const points = mountinfo.split('\n').map((line) => line.split(' ')[4] ?? '');
  const plain = points.map((point) =>
    point.replaceAll(/\\([0-7]{3})/g, (_escape, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
  );
  return new Set(plain.filter((point) => point !== ''));
}

function factsOf(stats: Stats): FileFacts {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'other';
  const { size, uid, gid, mtimeMs, dev: device, ino: inode, birthtimeMs: bornMs } = stats;
  return { kind, size, mode: stats.mode & 0o7777, uid, gid, mtimeMs, device, inode, bornMs };
}

function refusal(code: string, text: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${text}, read '${path}'`), { code, syscall: 'read', path });
}
