import { type Remedy, shellWord } from '../remedy.ts';
import { constants } from 'node:fs';
import { open, realpath, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CertletError, isCertletError } from '../errors.ts';
import { errnoOf, fileError } from './file-errors.ts';
import { readAtMost } from './file-system.ts';

export interface SettingsFileRequest {
  readonly path: string;
  /** A file that was asked for must be there; the default one need not. */
  readonly mustExist: boolean;
  /** Who may own it, besides root. */
  readonly userId: number;
  /** What it is called in messages; settings unless told. */
  readonly what?: 'inventory';
}

const MAX_BYTES = 1024 * 1024;
/** An entry of `certificates` has a name, a signer and a subject: none is shorter. */
const LEAST_ENTRY_BYTES = 32;

/** So many certificates fit into a settings file: what is read back of each of them has room for as many. */
export const MOST_CERTIFICATES = MAX_BYTES / LEAST_ENTRY_BYTES;
const GROUP_AND_OTHERS_WRITE = 0o022;
const OTHERS_WRITE = 0o002;
const STICKY = 0o1000;

/**
 * Text of the settings file; undefined when there is none and none was asked for. Settings name programs to run, so a file
 * that somebody else owns or may write is refused, as sshd does. Throws `ERR_CONFIG_INVALID`, or the codes of file errors.
 */
export async function readSettingsFile(request: SettingsFileRequest): Promise<string | undefined> {
  const { path } = request;
  let file: FileHandle;
  try {
    // A fifo without a writer must not hold the start up.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw openError(error, request);
    if (!request.mustExist) return undefined;
    throw new CertletError('ERR_CONFIG_INVALID', `settings: ${path}: there is no such file`, {
      remedy: '# Write it, or leave --config out.',
      cause: error,
    });
  }
  try {
    const size = await refuseUnsafe(file, request);
    const bytes = readAtMost(file.fd, size, MAX_BYTES);
    if (bytes === undefined) throw tooLarge(request);
    return bytes.toString('utf8');
  } catch (error) {
    throw error instanceof CertletError ? error : fileError(error, path);
  } finally {
    await file.close();
  }
}

/** Text of an inventory, under the same conditions: it decides who may serve as whom. Throws as `readSettingsFile`, also where there is none. */
export async function readInventoryFile(request: Omit<SettingsFileRequest, 'mustExist' | 'what'>): Promise<string> {
  const text = await readSettingsFile({ ...request, mustExist: false, what: 'inventory' });
  if (text !== undefined) return text;
  throw new CertletError('ERR_CONFIG_INVALID', `inventory: ${request.path}: there is no such file`, {
    remedy: '# Write it, or set approve.namesFrom to node; docs/approve.md shows its form.',
  });
}

/** What opening a socket is answered with, a terminal where there is none, a device without a driver, links in a circle. */
const NO_FILE = ['ENXIO', 'ENODEV', 'ELOOP'];
/** No file can ever have such a path. */
const NO_PATH = ['ENOTDIR', 'ENAMETOOLONG'];

/** What no later try opens is a mistake in the settings: systemd starts the service again after every other one. */
function openError(cause: unknown, request: SettingsFileRequest): unknown {
  const errno = errnoOf(cause) ?? '';
  if (NO_FILE.includes(errno)) return noRegularFile(request, cause);
  const failed = fileError(cause, request.path);
  if (!NO_PATH.includes(errno) || !isCertletError(failed)) return failed;
  const { message, remedy = PUT_A_FILE } = failed;
  return new CertletError('ERR_CONFIG_INVALID', `${request.what ?? 'settings'}: ${message}`, { remedy, cause });
}

const PUT_A_FILE: Remedy = '# Put a file in its place.';

const noRegularFile = ({ path, what }: SettingsFileRequest, cause?: unknown): CertletError =>
  new CertletError('ERR_CONFIG_INVALID', `${what ?? 'settings'}: ${path} is not a regular file`, {
    remedy: PUT_A_FILE,
    cause,
  });

const tooLarge = ({ path, what }: SettingsFileRequest): CertletError =>
  new CertletError('ERR_CONFIG_INVALID', `${what ?? 'settings'}: ${path} is larger than 1 MiB`, {
    remedy: `# Check that ${path} is the right file.`,
  });

/** Its size in bytes, as it says itself. */
async function refuseUnsafe(file: FileHandle, request: SettingsFileRequest): Promise<number> {
  const { path, userId, what = 'settings' } = request;
  const refused = (why: string, remedy: Remedy): CertletError =>
    new CertletError('ERR_CONFIG_INVALID', `${what}: ${path} ${why}`, { remedy });
  const found = await file.stat();
  if (!found.isFile()) throw noRegularFile(request);
  if (found.size > MAX_BYTES) throw tooLarge(request);
  if (found.uid !== 0 && found.uid !== userId) {
    throw refused(`belongs to user ${String(found.uid)}, who could change it`, `chown root ${shellWord(path)}`);
  }
  if ((found.mode & GROUP_AND_OTHERS_WRITE) !== 0) {
    throw refused('can be changed by other users', `chmod go-w ${shellWord(path)}`);
  }
  // Whoever may write the folder may put another file in place of this one, unless it is sticky as /tmp is.
  for (const folder of new Set([dirname(path), dirname(await realpath(path))])) {
    const { mode } = await stat(folder);
    if ((mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0) {
      throw refused(`lies in ${folder}, which every user may write`, `chmod o-w ${shellWord(folder)}`);
    }
  }
  return found.size;
}
