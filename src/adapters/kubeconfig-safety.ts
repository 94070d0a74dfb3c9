import { shellWord } from '../remedy.ts';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { CertletError, unlessDefect } from '../errors.ts';
import type { FileSystem } from './file-system.ts';

/** Who may own what certlet runs code from: root, and the user of the service. */
export interface Trusted {
  readonly uid: number;
  /** `PATH`, for plugins named without a folder. */
  readonly searchPath: string;
}

const OTHERS_WRITE = 0o022;
const ANYBODY_RUNS = 0o111;
const STICKY = 0o1000;

const REDIRECT = 'so others could make this node trust another server or show its credential there';
const RUN = 'so others could make certlet run programs (exec plugin of a kubeconfig)';

/**
 * Throws `ERR_KUBECONFIG_UNSAFE` when somebody else could change where a kubeconfig sends this node, or whom it trusts: the file (the
 * kubeconfig, or the CA that it names) and every folder on the way there must belong to root or to us and be writable by nobody else.
 */
export async function checkFileSafety(fs: FileSystem, path: string, trusted: Trusted): Promise<void> {
  await checkFile(fs, path, trusted, REDIRECT);
}

/** The same for a program that certlet runs. */
export async function checkProgramSafety(fs: FileSystem, path: string, trusted: Trusted): Promise<void> {
  await checkFile(fs, path, trusted, RUN);
}

/**
 * The program that an exec plugin's `command` names, judged: the same path is to be run, since a name is looked up anew each time. Undefined
 * when there is none. Empty and relative elements of PATH never count. Throws `ERR_KUBECONFIG_UNSAFE`.
 */
export async function judgedCommand(fs: FileSystem, command: string, trusted: Trusted): Promise<string | undefined> {
  const program = await findCommand(fs, command, trusted.searchPath);
  if (program !== undefined) await checkProgramSafety(fs, program, trusted);
  return program;
}

/** Whether nobody but root and this user can have put there what lies at a path, file or socket; false where that cannot be seen. */
export async function isOnlyOurs(fs: FileSystem, path: string, uid: number): Promise<boolean> {
  try {
    await checkFile(fs, path, { uid, searchPath: '' }, REDIRECT);
    return true;
  } catch (error) {
    return unlessDefect(false)(error);
  }
}

/** Whether the file itself could be changed by others, whatever its folders; false where there is none. */
export async function isLax(fs: FileSystem, path: string, trusted: Pick<Trusted, 'uid'>): Promise<boolean> {
  return (await problemWith(fs, path, trusted)) !== undefined;
}

async function checkFile(fs: FileSystem, path: string, trusted: Trusted, danger: string): Promise<void> {
  const real = await fs.realpath(path);
  // Whoever may replace the link decides as much as whoever may write the file behind it.
  for (const item of new Set([real, dirname(real), dirname(path)])) {
    const problem = await problemWith(fs, item, trusted);
    if (problem === undefined) continue;
    const word = shellWord(item);
    throw new CertletError('ERR_KUBECONFIG_UNSAFE', `${item} ${problem}, ${danger}`, {
      remedy: `chown root ${word} && chmod go-w ${word}`,
    });
  }
  for (const item of await wayTo(fs, path)) {
    const problem =
      item.kind === 'link' ? await linkProblem(fs, item.path, trusted) : await problemWith(fs, item.path, trusted);
    if (problem === undefined) continue;
    throw new CertletError('ERR_KUBECONFIG_UNSAFE', `${path}: ${item.path} ${problem}, ${danger}`, {
      remedy: `namei -l ${shellWord(path)}   # the way there; keep it where root alone can rename the folders above it, such as below /etc/kubernetes`,
    });
  }
}

/** A folder or a link on the way to a file. */
interface OnTheWay {
  readonly path: string;
  readonly kind: 'folder' | 'link';
}

/** Every folder and link that leads to a file: who may rename one of them puts another file in its place. */
async function wayTo(fs: FileSystem, path: string): Promise<readonly OnTheWay[]> {
  const way: OnTheWay[] = [{ path: '/', kind: 'folder' }];
  const rest = partsOf(resolve(path));
  // `realpath` has been there: no loop of links is endless.
  for (let folder = '/', name = rest.shift(); name !== undefined; name = rest.shift()) {
    const next = join(folder, name);
    const target = (await fs.lstat(next))?.kind === 'link' ? await fs.readlink(next) : undefined;
    if (target !== undefined) {
      way.push({ path: next, kind: 'link' });
      rest.unshift(...partsOf(target));
      folder = isAbsolute(target) ? '/' : folder;
    } else {
      folder = next;
      if (rest.length > 0) way.push({ path: folder, kind: 'folder' });
    }
    if (way.length > MAX_STEPS) break;
  }
  return way;
}

const MAX_STEPS = 4096;

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');

/** In a sticky folder a link's owner may point it elsewhere at any moment. */
async function linkProblem(fs: FileSystem, path: string, trusted: Pick<Trusted, 'uid'>): Promise<string | undefined> {
  const [link, folder] = [await fs.lstat(path), await fs.stat(dirname(path))];
  if (link === undefined || link.uid === 0 || link.uid === trusted.uid) return undefined;
  return ((folder?.mode ?? 0) & OTHERS_WRITE) === 0 ? undefined : `is a link of user ${String(link.uid)}`;
}

async function problemWith(fs: FileSystem, path: string, trusted: Pick<Trusted, 'uid'>): Promise<string | undefined> {
  const facts = await fs.stat(path);
  if (facts === undefined) return undefined;
  if (facts.uid !== 0 && facts.uid !== trusted.uid) return `belongs to user ${String(facts.uid)}`;
  // In a sticky folder only a file's owner may replace it, and the owner is checked.
  const sticky = facts.kind === 'folder' && (facts.mode & STICKY) !== 0;
  return (facts.mode & OTHERS_WRITE) !== 0 && !sticky
    ? `can be written by others (mode ${(facts.mode & 0o777).toString(8)})`
    : undefined;
}

async function findCommand(fs: FileSystem, command: string, searchPath: string): Promise<string | undefined> {
  if (isAbsolute(command)) return (await fs.stat(command)) === undefined ? undefined : command;
  for (const folder of searchPath.split(delimiter)) {
    if (!isAbsolute(folder)) continue;
    const path = join(folder, command);
    const facts = await fs.stat(path);
    // As a shell and Go look: a file of that name that nobody may run is passed by.
    if (facts?.kind === 'file' && (facts.mode & ANYBODY_RUNS) !== 0) return path;
  }
  return undefined;
}
