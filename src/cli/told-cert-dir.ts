import { callControl } from '../adapters/control/client.ts';
import { controlSocketPath } from '../adapters/control/server.ts';
import { NodeFileSystem } from '../adapters/file-system.ts';
import { isOnlyOurs } from '../adapters/kubeconfig-safety.ts';
import { readUnitCertDirs } from '../adapters/own-units.ts';
import { isProcessAlive } from '../adapters/process-alive.ts';
import { statusFilePath } from '../adapters/status-file.ts';
import { isCertletError } from '../errors.ts';
import { foreignCertDir, isByDefault, isElsewhere, type Mine, published } from '../foreign-daemon.ts';
import { decodeStatus } from '../status/codec.ts';
import type { StatusDocument } from '../status/document.ts';

/** Who looks, and where the units of the host lie. */
export interface Looker {
  readonly userId: number;
  readonly hostRoot: string;
}

/** A cert-dir that a document tells of, and whose word that is. */
export interface ToldCertDir {
  readonly certDir: string;
  /** `unit`: root's, who wrote the same on the command line of a unit. `daemon`: of one that lives and is root's or the looker's own. `other`: of anybody else, who must not choose where root looks and what root is told to paste. */
  readonly by: 'unit' | 'daemon' | 'other';
  /** Where it is told: the socket that answers, or the status file. */
  readonly path: string;
  readonly answers: boolean;
}

/**
 * The cert-dir of the certlet that publishes in the runtime folder, where settings that name none lead to another: it has it from its own command
 * line, and those who look at it mean that one. Undefined elsewhere, where nobody tells, and where no more is left than the file of one that has ended.
 */
export async function daemonsCertDir(mine: Mine, { userId, hostRoot }: Looker): Promise<ToldCertDir | undefined> {
  if (mine.certDirByDefault !== true) return undefined;
  const word = (await answered(mine)) ?? (await left(mine));
  const certDir = word && (await foreignCertDir(word.document, mine));
  if (word === undefined || certDir === undefined) return undefined;
  const { document, path, answers, alive } = word;
  if (!isByDefault(document, mine)) return undefined;
  for (const given of await readUnitCertDirs(hostRoot)) {
    if (!(await isElsewhere(given, certDir))) return { certDir: given, by: 'unit', path, answers };
  }
  if (!alive) return undefined;
  return { certDir, by: (await isOnlyOurs(new NodeFileSystem(), path, userId)) ? 'daemon' : 'other', path, answers };
}

/** A document, where it was found, and whether a daemon is there that it is of. */
interface Word {
  readonly document: StatusDocument;
  readonly path: string;
  readonly answers: boolean;
  readonly alive: boolean;
}

async function answered({ runtimeDir }: Mine): Promise<Word | undefined> {
  const path = controlSocketPath(runtimeDir);
  try {
    const reply = await callControl(path, { method: 'GET', path: '/status' });
    if (reply.kind !== 'answer' || reply.status !== 200) return undefined;
    return { document: decodeStatus(reply.text, path), path, answers: true, alive: true };
  } catch (thrown) {
    if (isCertletError(thrown)) return undefined;
    throw thrown;
  }
}

/** What lies there where no daemon answers; a `certlet once` by hand may have left it, with a cert-dir of its own. */
async function left(mine: Mine): Promise<Word | undefined> {
  const document = await published(mine);
  if (document === undefined) return undefined;
  const { command, pid } = document.process;
  return {
    document,
    path: statusFilePath(mine.runtimeDir),
    answers: false,
    alive: command === 'run' && isProcessAlive(pid),
  };
}
