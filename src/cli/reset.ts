import type { Remedy } from '../remedy.ts';
import { acquireLock } from '../adapters/lock.ts';
import {
  type ListedFile,
  listMadeFiles,
  type MadeFiles,
  type MadeFilesOptions,
  quarantineFolders,
  removeEmptyFolder,
  removeFiles,
} from '../adapters/made-files.ts';
import { PUBLISHER_LOCK } from '../adapters/status-file.ts';
import { CertletError, EXIT } from '../errors.ts';

export interface ResetRequest {
  readonly files: MadeFilesOptions;
  /** Where a daemon publishes: one that is at work there with another cert-dir has kubeconfig, status and metrics of its own. */
  readonly runtimeDir: string;
  /** Remove without asking. */
  readonly yes: boolean;
  /** What was typed, as it is typed where nobody can be asked. */
  readonly again: Remedy;
}

/** What came of it, for programs. */
export interface ResetAnswer {
  /** Whether the files of `remove` are gone now. */
  readonly removed: boolean;
  readonly remove: readonly ListedFile[];
  readonly keep: readonly ListedFile[];
}

export interface ResetPorts {
  /** Words for a person. */
  readonly print: (text: string) => void;
  /** Called once, also where nothing was removed. */
  readonly answer: (answer: ResetAnswer) => void;
  /** Asks the person at the terminal; undefined when there is none. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
}

/**
 * Shows what certlet made on this host, asks, and removes it. What certlet did not write is listed and left. Resolves to the
 * exit code: 0 removed or nothing there, 1 the person said no. Throws `ERR_LOCK_HELD` while a daemon runs, also one with another cert-dir, `ERR_USAGE` where
 * nobody can be asked, `ERR_STORE_*`.
 */
export async function resetNode(request: ResetRequest, ports: ResetPorts): Promise<number> {
  const { files, runtimeDir } = request;
  // None is made where there is no such folder: nobody publishes.
  if ((await files.fs.stat(runtimeDir)) === undefined) return await resetUnpublished(request, ports);
  const place = await acquireLock(runtimeDir, { label: 'certlet reset', file: PUBLISHER_LOCK });
  try {
    return await resetUnpublished(request, ports);
  } finally {
    await place.release();
  }
}

/** With nobody at work in the runtime folder. */
async function resetUnpublished(request: ResetRequest, ports: ResetPorts): Promise<number> {
  const { files } = request;
  if ((await files.fs.stat(files.certDir)) === undefined) {
    // No lock without a folder, and none is made for it: whatever is left is kubeconfigs and a state folder elsewhere.
    return await resetListed(request, ports);
  }
  const lock = await acquireLock(files.certDir, { label: 'certlet reset' });
  try {
    const code = await resetListed(request, ports);
    // While it is held: the next to come makes a new one. The note beside it first: without the lock file its release leaves a note alone.
    if (code === EXIT.ok) {
      await files.fs.unlink(`${lock.path}.holder`);
      await files.fs.unlink(lock.path);
    }
    return code;
  } finally {
    await lock.release();
  }
}

async function resetListed({ files, yes, again }: ResetRequest, ports: ResetPorts): Promise<number> {
  const found = await listMadeFiles(files);
  ports.print(listText(found));
  const answer = (removed: boolean): void => ports.answer({ removed, remove: found.remove, keep: found.keep });
  if (found.remove.length === 0) {
    answer(false);
    return EXIT.ok;
  }
  if (!yes) {
    if (ports.ask === undefined) {
      answer(false);
      throw new CertletError('ERR_USAGE', 'not removed: nobody can be asked here', { remedy: again });
    }
    const said = await ports.ask(`Remove ${countOf(found.remove)}? [y/N] `);
    if (!/^y(?:es)?$/iu.test(said.trim())) {
      answer(false);
      ports.print('Nothing was removed.\n');
      return EXIT.failed;
    }
  }
  await removeFiles(files.fs, found.remove);
  for (const folder of [...quarantineFolders(files), files.stateDir]) await removeEmptyFolder(folder);
  answer(true);
  ports.print(`Removed ${countOf(found.remove)}.\n`);
  ports.print('next: certlet join ..., systemctl start certlet, and a restart of the kubelet\n');
  return EXIT.ok;
}

function listText({ remove, keep }: MadeFiles): string {
  const lines = (files: readonly ListedFile[]): readonly string[] =>
    files.map(({ path, remark }) => `  ${path}   (${remark})`);
  return [
    ...(remove.length === 0 ? ['certlet made nothing here.'] : ['To be removed:', ...lines(remove)]),
    ...(keep.length === 0 ? [] : ['Left alone:', ...lines(keep)]),
    '',
  ].join('\n');
}

function countOf(files: readonly ListedFile[]): string {
  return files.length === 1 ? 'one file' : `${String(files.length)} files`;
}
