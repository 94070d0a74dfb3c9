import { shellWord } from '../remedy.ts';
import { timestamp } from '../timestamp.ts';
import { type BigIntStats, constants, lstatSync, type Stats } from 'node:fs';
import * as disk from 'node:fs/promises';
import type { DatabaseSync } from 'node:sqlite';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CertletError, defectIn, isDefect } from '../errors.ts';
import { errnoOf, fileError } from './file-errors.ts';
import { type FileSystem, nodeFileSystem } from './file-system.ts';
import { ensureFolder, readIfPresent, replaceVolatile } from './files.ts';
import { isProcessAlive } from './process-alive.ts';
import { refuseClosed } from './store/folders.ts';

/** Who has a cert-dir. */
export interface LockHolder {
  readonly pid: number;
  /** The command, such as `certlet run`. */
  readonly label: string;
  readonly since: string;
}

/** Held until released or until this process dies. */
export interface Lock {
  readonly path: string;
  /**
   * Throws `ERR_STORE_DETACHED` once the locked file is not the one at `path` any more: the folder was moved or emptied, so nothing keeps
   * another certlet out of what is there now. To be asked before each write; it costs one look at the file.
   */
  readonly confirm: () => Promise<void>;
  /** Whether it is the lock of what stands at `folder` now. */
  readonly isOf: (folder: string) => Promise<boolean>;
  release(): Promise<void>;
}

/** A winner tells who it is within a moment; until then the note of the one before lies there. */
const NOTE_TRIES = 25;
const NOTE_DELAY_MS = 20;
const NOTE_LIMIT_BYTES = 64 * 1024;

/**
 * Takes the one lock of a cert-dir: a record lock of the kernel (fcntl(2), F_SETLK) on `<cert-dir>/.certlet.lock`, 0600; with `file` one of another name, in another folder.
 * Throws `ERR_LOCK_HELD` with pid and command of the holder, and the errors of file operations.
 *
 * Why this and no other way:
 * - It dies with its process, also by SIGKILL, and there is nothing to clean up: no stale pid file, no race to take over a stale socket.
 * - An abstract unix socket dies with its process too, but its name is free for every user of the host, and for every pod with
 *   `hostNetwork`, to take first (they all see it in /proc/net/unix), and a container with a network of its own does not see it. This file
 *   can be opened by its owner alone, and is one and the same in every namespace that has the folder mounted.
 * - A unix socket with a path stays behind after SIGKILL, and no order of connect, unlink and bind takes it over without a race.
 * - Node has no call for file locks but that of its own SQLite: an open write transaction on a database of zero bytes is exactly the
 *   record lock, and is never written. With the journal in memory no file appears beside it and no recovery can come in between.
 *
 * Limits: whoever deletes or moves the lock file while a certlet runs lets a second one in, and the first one learns of it by `confirm`, before its
 * next write; a network file system must support record locks.
 */
export async function acquireLock(
  certDir: string,
  options: { readonly label: string; readonly file?: string },
): Promise<Lock> {
  const fs = nodeFileSystem;
  await ensureFolder(fs, resolve(certDir), 0o755);
  const path = join(await disk.realpath(certDir), options.file ?? '.certlet.lock');
  const note: LockHolder = { pid: process.pid, label: options.label, since: timestamp(new Date()) };
  const own = HELD.get(path);
  if (own !== undefined) throw heldBy(certDir, path, own.note);
  const held: Held = { note, database: undefined, identity: '' };
  HELD.set(path, held);
  try {
    held.identity = await prepareLockFile(path).catch((error: unknown) => toldOfFolder(fs, certDir, error));
    held.database = await lockedDatabase(fs, certDir, path);
    // Without the lock, which a power cut ends, nobody goes by it.
    await replaceVolatile(fs, notePath(path), `${JSON.stringify(note)}\n`, 0o600);
  } catch (error) {
    drop(path);
    throw error;
  }
  return {
    path,
    confirm: () => confirmLock(path, held.identity),
    isOf: async (folder) =>
      HELD.get(path) === held && (await identityOrNone(join(resolve(folder), basename(path)))) === held.identity,
    release: async () => {
      if (HELD.get(path) !== held) return;
      // The note goes first: after the unlock it might be that of the next holder. In a folder that was put in place of ours it is so already.
      if ((await identityOrNone(path)) === held.identity) await fs.unlink(notePath(path)).catch(() => undefined);
      drop(path);
    },
  };
}

interface Held {
  readonly note: LockHolder;
  database: DatabaseSync | undefined;
  /** Device and inode of the lock file. The open file keeps the number from being given to another. */
  identity: string;
}

/**
 * What this process holds. It keeps the database from the garbage collector, which would close it, and keeps a second taker in this
 * process from opening the file: POSIX drops a process's record locks when it closes any descriptor of the file.
 */
const HELD = new Map<string, Held>();

function drop(path: string): void {
  const held = HELD.get(path);
  HELD.delete(path);
  held?.database?.close();
}

async function lockedDatabase(fs: FileSystem, certDir: string, path: string): Promise<DatabaseSync> {
  // Loaded here, since commands that take no lock need no SQLite.
  const { DatabaseSync } = await import('node:sqlite');
  for (let attempt = 1; ; attempt += 1) {
    const database = tryLock(new DatabaseSync(path), path);
    if (database !== undefined) return database;
    const holder = await readNote(fs, path);
    // Only to tell a fresh note from one left by a killed holder; in another pid namespace it costs half a second, no more.
    if ((holder !== undefined && isProcessAlive(holder.pid)) || attempt >= NOTE_TRIES)
      throw heldBy(certDir, path, holder);
    await delay(NOTE_DELAY_MS);
  }
}

/** Where the system lets nobody in, its folder has the reason and the way out. Rejects always. */
async function toldOfFolder(fs: FileSystem, folder: string, error: unknown): Promise<never> {
  if (errnoOf(error) === 'EACCES') await refuseClosed({ fs, uid: process.geteuid?.() ?? 0 }, folder);
  throw error;
}

async function confirmLock(path: string, identity: string): Promise<void> {
  const now = await identityAt(path);
  if (now === identity) return;
  const what = now === undefined ? 'is not there any more' : 'is not the file that this certlet locked';
  throw new CertletError('ERR_STORE_DETACHED', `lock ${path} ${what}: the folder was moved, emptied or replaced`);
}

/** Undefined where there is no file. Throws the errors of file operations: a look that failed says nothing. */
async function identityAt(path: string): Promise<string | undefined> {
  try {
    return identityOf(lstatSync(path, { bigint: true }));
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw fileError(error, path);
  }
}

/** A file that cannot be looked at is none of ours. */
const identityOrNone = (path: string): Promise<string | undefined> => identityAt(path).catch(() => undefined);

const identityOf = (facts: BigIntStats): string => `${String(facts.dev)}:${String(facts.ino)}`;

/** Who has told that it holds the lock `file` of this folder; undefined where nobody has. A note of a killed one may lie there. */
export async function lockHolder(folder: string, file: string): Promise<LockHolder | undefined> {
  return await readNote(nodeFileSystem, join(folder, file));
}

/** Private from the start: who can open the file can take the lock. A link in its place is not followed. Resolves to the file's identity. */
async function prepareLockFile(path: string): Promise<string> {
  const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants;
  try {
    const handle = await disk.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    try {
      const found = await handle.stat();
      await refusePlanted(found, path);
      if ((found.mode & 0o7777) !== 0o600) await handle.chmod(0o600);
      return identityOf(await handle.stat({ bigint: true }));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(error, path);
  }
}

/**
 * In a sticky cert-dir others may have put something there first: a pipe, a file of theirs whose lock they could hold for ever, or another
 * name of a file that is not theirs, whose mode would be changed.
 */
async function refusePlanted(found: Stats, path: string): Promise<void> {
  if (found.isFile() && isTrusted(found) && (found.nlink === 1 || isLikeOurs(found))) {
    // In a folder that only we can write a second name of our own file is our own doing, such as a backup by hard links.
    if (found.nlink === 1 || (await isOursAlone(dirname(path)))) return;
    const word = shellWord(path);
    throw new CertletError(
      'ERR_STORE_UNSAFE',
      `lock ${path}: it has ${String(found.nlink)} names (a backup by hard links?), and others can write its folder`,
      {
        remedy: `rm ${word}   # its other names: find ${shellWord(dirname(path))} -xdev -samefile ${word}`,
      },
    );
  }
  throw new CertletError(
    'ERR_STORE_UNSAFE',
    `lock ${path}: it is not a file of certlet's own (another user may have put it there)`,
    {
      remedy: `rm ${shellWord(path)}   # what it is: ls -l ${shellWord(path)}`,
    },
  );
}

/** Nothing of another's is changed by taking it for ours: empty, and private as it is. */
const isLikeOurs = ({ size, mode }: Stats): boolean => size === 0 && (mode & 0o7777) === 0o600;

const isTrusted = ({ uid }: Stats): boolean => uid === 0 || uid === process.geteuid?.();

async function isOursAlone(folder: string): Promise<boolean> {
  const facts = await disk.stat(folder);
  return isTrusted(facts) && (facts.mode & 0o022) === 0;
}

/** The database with its write lock taken, undefined when another process has it. Never waits. */
function tryLock(database: DatabaseSync, path: string): DatabaseSync | undefined {
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE');
    return database;
  } catch (error) {
    database.close();
    if (sqliteCode(error) === SQLITE_BUSY) return undefined;
    if (isDefect(error)) throw defectIn(`lock ${path}`, error);
    const text = error instanceof Error ? error.message : String(error);
    throw new CertletError('ERR_STORE_IO', `lock ${path}: ${text}`, {
      cause: error,
      remedy: `rm ${shellWord(path)}   # if no certlet runs`,
    });
  }
}

async function readNote(fs: FileSystem, path: string): Promise<LockHolder | undefined> {
  try {
    const value: unknown = JSON.parse((await readIfPresent(fs, notePath(path), NOTE_LIMIT_BYTES)) ?? 'null');
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, label, since } = value as Partial<Record<keyof LockHolder, unknown>>;
    if (typeof pid !== 'number' || typeof label !== 'string' || typeof since !== 'string') return undefined;
    return { pid, label, since };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function heldBy(certDir: string, path: string, holder: LockHolder | undefined): CertletError {
  const who =
    holder === undefined ? 'another process' : `process ${String(holder.pid)} (${holder.label}, since ${holder.since})`;
  return new CertletError('ERR_LOCK_HELD', `${certDir} is managed by ${who}`, {
    remedy:
      holder === undefined
        ? `fuser -v ${shellWord(path)}   # shows it`
        : `certlet status   # use that one, by the settings that it has, or stop it: systemctl stop certlet, or kill ${String(holder.pid)}`,
  });
}

function notePath(path: string): string {
  return `${path}.holder`;
}

/** https://www.sqlite.org/rescode.html#busy; the low byte is the primary code. */
const SQLITE_BUSY = 5;

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}
