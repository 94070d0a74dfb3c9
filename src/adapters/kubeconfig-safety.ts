import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { CertletError } from '../errors.ts';
import { shellWord } from './file-errors.ts';
import type { FileSystem } from './file-system.ts';

/** Who may own what certlet runs code from: root, and the user of the service. */
export interface Trusted {
  readonly uid: number;
  /** `PATH`, for plugins named without a folder. */
  readonly searchPath: string;
}

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Throws `ERR_KUBECONFIG_UNSAFE` when somebody else could change which program an exec plugin runs, or the program: the kubeconfig, the
 * plugin, and the folders that hold them must belong to root or to us and be writable by nobody else.
 */
export async function checkExecSafety(
  fs: FileSystem,
  kubeconfig: string,
  command: string,
  trusted: Trusted,
): Promise<void> {
  await checkFile(fs, kubeconfig, trusted);
  const plugin = await findCommand(fs, command, trusted.searchPath);
  // A plugin that is not there cannot be run either: running it will tell.
  if (plugin !== undefined) await checkFile(fs, plugin, trusted);
}

async function checkFile(fs: FileSystem, path: string, trusted: Trusted): Promise<void> {
  const real = await fs.realpath(path);
  // Whoever may replace the link decides as much as whoever may write the file behind it.
  for (const item of new Set([real, dirname(real), dirname(path)])) {
    const problem = await problemWith(fs, item, trusted);
    if (problem === undefined) continue;
    const word = shellWord(item);
    throw new CertletError(
      'ERR_KUBECONFIG_UNSAFE',
      `${item} ${problem}, so others could make certlet run programs (exec plugin of a kubeconfig)`,
      {
        remedy: `chown root ${word} && chmod go-w ${word}`,
      },
    );
  }
}

async function problemWith(fs: FileSystem, path: string, trusted: Trusted): Promise<string | undefined> {
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
  const candidates = isAbsolute(command)
    ? [command]
    : searchPath.split(delimiter).flatMap((folder) => (isAbsolute(folder) ? [join(folder, command)] : []));
  for (const path of candidates) {
    if ((await fs.stat(path))?.kind === 'file') return path;
  }
  return undefined;
}
