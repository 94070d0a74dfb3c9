import { type Remedy, shellWord } from '../../remedy.ts';
import { dirname } from 'node:path';
import { CertletError } from '../../errors.ts';
import type { FileFacts } from '../file-system.ts';
import { ensureFolder, noFolder } from '../files.ts';
import { mapped, type StoreContext } from './store-context.ts';

/**
 * Makes the cert-dir (0755, as the kubelet) and the state folder (0700) where they are missing, and refuses folders in which
 * another user could put or swap files. Throws `ERR_STORE_UNSAFE` and the errors of file operations.
 */
export async function prepareFolders(context: StoreContext): Promise<void> {
  await ensureFolder(context.fs, context.folder, 0o755);
  await refuseUnsafe(context, context.folder, STICKY_WILL_DO);
  await ensureFolder(context.fs, context.stateDir, 0o700);
  await refuseUnsafe(context, context.stateDir, NO_WRITERS);
}

/** For how long folders that were found safe are taken to be so. */
export interface JudgementTerm {
  readonly holdsMs: number;
  readonly monotonicMs: () => number;
}

/**
 * Folders that have just been judged. A round is dozens of operations in a row, and each judgement looks at every folder up to the root: what
 * somebody may change between two of them could change as well between a judgement and the operation that it is for.
 */
export class JudgedFolders {
  readonly #term: JudgementTerm | undefined;
  readonly #judgedMs = new Map<string, number>();

  /** Without a term each operation judges. */
  constructor(term: JudgementTerm | undefined) {
    this.#term = term;
  }

  /** As `prepareFolders`, unless that was done within the term. */
  async prepare(context: StoreContext): Promise<void> {
    const nowMs = this.#term?.monotonicMs() ?? Number.POSITIVE_INFINITY;
    const judgedMs = this.#judgedMs.get(context.folder);
    if (judgedMs !== undefined && nowMs - judgedMs < (this.#term?.holdsMs ?? 0)) return;
    await prepareFolders(context);
    this.#judgedMs.set(context.folder, nowMs);
  }

  /** An operation failed: it may be for the folder. */
  forget({ folder }: StoreContext): void {
    this.#judgedMs.delete(folder);
  }
}

/** In a sticky folder others can add files, which are not trusted for their owner, but cannot touch ours. */
export const STICKY_WILL_DO = (facts: FileFacts): boolean => (facts.mode & 0o1000) !== 0;
/** A planted pending record would bring a key of the attacker's. */
const NO_WRITERS = (): boolean => false;

/** Throws `ERR_STORE_UNSAFE` where another user could put or swap files, unless what is open about the folder itself is `tolerated`. */
export async function refuseUnsafe(
  context: Pick<StoreContext, 'fs' | 'uid'>,
  folder: string,
  tolerated: (facts: FileFacts) => boolean,
): Promise<void> {
  const facts = await mapped(folder, () => context.fs.stat(folder));
  if (facts === undefined) return;
  if (facts.kind !== 'folder') throw noFolder(folder);
  if (facts.uid !== 0 && facts.uid !== context.uid)
    throw unsafe(
      folder,
      `it belongs to user ${String(facts.uid)}`,
      `chown ${String(context.uid)} ${shellWord(folder)}`,
    );
  if ((facts.mode & 0o022) !== 0 && !tolerated(facts))
    throw unsafe(
      folder,
      `other users can write it (mode ${facts.mode.toString(8)})`,
      `chmod go-w ${shellWord(folder)}`,
    );
  await refuseOpenParents(context, folder);
}

/** What keeps the folder's own user out of it, and a service without capabilities with it, root's too. */
export async function refuseClosed(context: Pick<StoreContext, 'fs' | 'uid'>, folder: string): Promise<void> {
  await refuseUnsafe(context, folder, () => true);
  const facts = await mapped(folder, () => context.fs.stat(folder));
  const owned = facts?.uid === context.uid;
  if (facts === undefined || (owned && (facts.mode & OWNER_USES) === OWNER_USES)) return;
  const who = owned ? 'its owner' : `user ${String(context.uid)}`;
  throw new CertletError('ERR_STORE_IO', `${folder} is closed to ${who} (mode ${facts.mode.toString(8)})`, {
    path: folder,
    remedy: owned ? `chmod u+rwx ${shellWord(folder)}` : `chown ${String(context.uid)} ${shellWord(folder)}`,
  });
}

const OWNER_USES = 0o700;

/** Whoever can write a folder above can put another one in place of ours, unless the sticky bit forbids it (as sshd checks). */
async function refuseOpenParents(context: Pick<StoreContext, 'fs'>, folder: string): Promise<void> {
  const real = await mapped(folder, () => context.fs.realpath(folder));
  for (let above = dirname(real); above !== dirname(above); above = dirname(above)) {
    const facts = await mapped(above, () => context.fs.stat(above));
    if (facts !== undefined && (facts.mode & 0o1002) === 0o002)
      throw unsafe(
        above,
        `everybody can write it (mode ${facts.mode.toString(8)}), so ${folder} can be replaced`,
        `chmod o-w ${shellWord(above)}`,
      );
  }
}

/** `path` is the folder for its own owner or mode alone: check takes it for what it tells of them itself. */
function unsafe(folder: string, reason: string, remedy: Remedy): CertletError {
  return new CertletError('ERR_STORE_UNSAFE', `${folder} is not safe for keys: ${reason}`, { path: folder, remedy });
}
