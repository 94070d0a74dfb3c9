import { shellWord } from '../remedy.ts';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { CertletError } from '../errors.ts';
import { errnoOf, fileError, onErrno, TEMPORARY } from './file-errors.ts';
import type { FileFacts, FileSystem, OpenFile } from './file-system.ts';

/** For a file that a group may read: the group that the new file must have before its first byte, and its permission bits. */
export interface GroupMode {
  readonly mode: number;
  readonly gid: number;
}

/** What a power cut right after a replacement may leave: the new file alone, the old one or the new one, or (not even that) an empty one. */
type Durability = 'new' | 'old or new' | 'anything';

/**
 * Puts `bytes` at `path` so that every reader, also after a power cut, finds the old file or the new one, whole, and the new one once this has
 * resolved. The new file is private from its first byte and gets `mode` (whatever the umask) before it takes the name. A link at `path` is
 * replaced, not followed. Throws `ERR_STORE_FULL`, `ERR_STORE_READ_ONLY`, `ERR_STORE_IO`, and `ERR_STORE_UNSAFE` where the new file has another
 * group than it must have; nothing is left behind then.
 */
export function replaceFile(
  fs: FileSystem,
  path: string,
  bytes: string | Uint8Array,
  mode: number | GroupMode,
): Promise<void> {
  return replace(fs, path, bytes, { mode, after: 'new' });
}

/** As `replaceFile`, for what may be done twice: a power cut may bring the old file back until its folder is synced for something else. */
export function replaceUnhurried(
  fs: FileSystem,
  path: string,
  bytes: string | Uint8Array,
  mode: number,
): Promise<void> {
  return replace(fs, path, bytes, { mode, after: 'old or new' });
}

/** As `replaceFile`, for what nobody reads after a power cut, such as files on a tmpfs: nothing is synced. */
export function replaceVolatile(
  fs: FileSystem,
  path: string,
  bytes: string | Uint8Array,
  mode: number | GroupMode,
): Promise<void> {
  return replace(fs, path, bytes, { mode, after: 'anything' });
}

async function replace(
  fs: FileSystem,
  path: string,
  bytes: string | Uint8Array,
  { mode, after }: { readonly mode: number | GroupMode; readonly after: Durability },
): Promise<void> {
  const content = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes;
  await placed(fs, path, (staged) => writeStaged(fs, staged, content, { mode, sync: after !== 'anything' }));
  if (after === 'new') await syncFolderOf(fs, path);
}

/** Points the link at `linkPath` to `target` in one step: there is no moment without a link. Errors as `replaceFile`. */
export async function replaceLink(fs: FileSystem, linkPath: string, target: string): Promise<void> {
  await placed(fs, linkPath, (staged) => fs.symlink(target, staged));
  await syncFolderOf(fs, linkPath);
}

/** Names under which this process is staging right now: a sweep is for what is left of replacements, and may meet one that goes on. */
const STAGING = new Set<string>();

/** Has `stage` make what is to stand at `path` under a temporary name, and gives it its own. */
async function placed(fs: FileSystem, path: string, stage: (staged: string) => Promise<void>): Promise<void> {
  const name = temporaryName(path);
  const staged = join(dirname(path), name);
  STAGING.add(name);
  try {
    await stage(staged);
    await fs.rename(staged, path);
  } catch (error) {
    await discard(fs, staged);
    throw fileError(error, path);
  } finally {
    STAGING.delete(name);
  }
}

/** Text of a small file, undefined when there is none. Throws `ERR_STORE_IO`. */
export async function readIfPresent(fs: FileSystem, path: string, limitBytes: number): Promise<string | undefined> {
  try {
    return Buffer.from(await fs.read(path, limitBytes)).toString('utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fileError(error, path);
  }
}

/**
 * Creates a folder and its missing parents (0755); `mode` holds whatever the umask. Resolves to whether it was created. Throws
 * `ERR_STORE_UNSAFE`, before anything is made, where the way there goes through a link of another user, and `ERR_STORE_IO` where it goes
 * through a file.
 */
export async function ensureFolder(fs: FileSystem, path: string, mode: number): Promise<boolean> {
  try {
    await refusePlantedLinks(fs, path);
  } catch (error) {
    throw fileError(error, path);
  }
  return makeFolder(fs, path, mode);
}

/** Its owner can point a link elsewhere at any moment, also one in a sticky folder. */
async function refusePlantedLinks(fs: FileSystem, folder: string): Promise<void> {
  const own = process.geteuid?.() ?? 0;
  for (let path = folder; path !== dirname(path); path = dirname(path)) {
    const facts = await fs.lstat(path);
    if (facts?.kind !== 'link' || facts.uid === 0 || facts.uid === own) continue;
    const reason = `${path} is a link of user ${String(facts.uid)}`;
    throw new CertletError('ERR_STORE_UNSAFE', `${folder} is not safe: ${reason}`, { remedy: `rm ${shellWord(path)}` });
  }
}

/** `ERR_STORE_IO` for what stands where a folder must be, with the command that moves it away. */
export const noFolder = (path: string): CertletError =>
  new CertletError('ERR_STORE_IO', `${path} is no folder`, {
    path,
    remedy: `mv ${shellWord(path)} ${shellWord(`${path}.old`)}   # moves it away`,
  });

/** Folders that this process has made, whose names are durable, by the disk that has them; each with what tells it from another at its path. */
const MADE = new WeakMap<FileSystem, Map<string, string>>();

function madeOn(fs: FileSystem): Map<string, string> {
  const made = MADE.get(fs) ?? new Map<string, string>();
  MADE.set(fs, made);
  return made;
}

/**
 * Whether this process made a folder by `ensureFolder`: then its name is durable, and nothing in it is of a process before, which may have been
 * killed between making a name and syncing it. One that somebody made since in its place is not ours, nor is what cannot be looked at.
 */
export async function madeHere(fs: FileSystem, path: string): Promise<boolean> {
  const made = MADE.get(fs)?.get(path);
  return made !== undefined && made === (await fs.lstat(path).then(identityOf, onErrno(undefined)));
}

const identityOf = (facts: FileFacts | undefined): string | undefined =>
  facts && [facts.device, facts.inode, facts.bornMs].join(':');

async function makeFolder(fs: FileSystem, path: string, mode: number): Promise<boolean> {
  try {
    const facts = await fs.stat(path);
    if (facts !== undefined && facts.kind !== 'folder') throw noFolder(path);
    if (facts !== undefined) return false;
    if (dirname(path) !== path) await makeFolder(fs, dirname(path), 0o755);
    await fs.mkdir(path, mode & 0o700);
    await fs.chmod(path, mode);
    const made = identityOf(await fs.lstat(path));
    await fs.syncFolder(dirname(path));
    if (made !== undefined) madeOn(fs).set(path, made);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw fileError(error, path);
  }
}

/**
 * Removes what replacements that a crash cut short left in a folder: all of them, or those of the one file that is named, where others have
 * files in that folder too. Those that this process is at are spared. Only for whoever is the one process that writes there, or for those that
 * nobody has touched since `before`.
 */
export async function sweepTemporaries(
  fs: FileSystem,
  folder: string,
  file?: string,
  before?: Date,
): Promise<readonly string[]> {
  const left = (await fs.readdir(folder)).filter((name) => isTemporary(name, file) && !STAGING.has(name));
  const swept = left.map((name) => join(folder, name));
  const old = async (path: string): Promise<boolean> =>
    before === undefined || ((await fs.lstat(path))?.mtimeMs ?? Number.POSITIVE_INFINITY) < before.getTime();
  const gone: string[] = [];
  for (const path of swept) {
    if (!(await old(path))) continue;
    await fs.unlink(path);
    gone.push(path);
  }
  return gone;
}

/** Whether a name is one that replacements stage under: any, or those of the one file that is named. */
export function isTemporary(name: string, file?: string): boolean {
  const replaced = TEMPORARY.exec(name)?.[1];
  return replaced !== undefined && (file === undefined || replaced === file);
}

function temporaryName(path: string): string {
  return `.${basename(path)}.${randomBytes(8).toString('hex')}.certlet-tmp`;
}

async function writeStaged(
  fs: FileSystem,
  path: string,
  bytes: Uint8Array,
  { mode, sync }: { readonly mode: number | GroupMode; readonly sync: boolean },
): Promise<void> {
  const file = await fs.create(path, 0o600);
  try {
    if (typeof mode !== 'number') await refuseOtherGroup(file, dirname(path), mode.gid);
    await file.write(bytes);
    await file.chmod(typeof mode === 'number' ? mode : mode.mode);
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
}

/** The service cannot give files away: the group comes from the setgid bit of the folder, and a file system may ignore it. */
async function refuseOtherGroup(file: OpenFile, folder: string, wanted: number): Promise<void> {
  const { gid } = await file.facts();
  if (gid === wanted) return;
  const reason = `a new file there gets group ${String(gid)}, not ${String(wanted)}`;
  throw new CertletError('ERR_STORE_UNSAFE', `${folder} does not hand its group on: ${reason}`, {
    remedy: `chmod g+s ${shellWord(folder)}`,
  });
}

/** The error that led here is the one to tell; a staged file that cannot be removed either is swept at the next start. */
async function discard(fs: FileSystem, staged: string): Promise<void> {
  await fs.unlink(staged).catch(() => undefined);
}

async function syncFolderOf(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.syncFolder(dirname(path));
  } catch (error) {
    throw fileError(error, dirname(path));
  }
}
