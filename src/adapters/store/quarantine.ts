import { basename, dirname, join } from 'node:path';
import { errnoOf } from '../file-errors.ts';
import { ensureFolder } from '../files.ts';
import { attempted, type StoreContext } from './store-context.ts';

/** Enough to look into what happened; a file that breaks at every start must not fill the disk with keys. */
const MAX_KEPT = 20;
const NUMBERED = /\.(\d{6,})$/;

/**
 * Moves a file (or link, or folder) that cannot be used to `<state>/quarantine/<name>.<number>`, with a warning, so that nothing is
 * destroyed and nothing stands in the way. False, with a warning, when it cannot be moved.
 */
export async function moveAside(context: StoreContext, from: string, reason: string): Promise<boolean> {
  const to = await attempted(context, from, () => move(context, from, quarantineFolder(context)));
  if (to === undefined) return false;
  context.warn('Moved a file aside that cannot be used', { path: from, to, reason });
  return true;
}

/** Where files go that cannot be used. */
export function quarantineFolder({ stateDir }: Pick<StoreContext, 'stateDir'>): string {
  return join(stateDir, 'quarantine');
}

/** The same for a file whose folder is on another file system than the state. */
export function besideFolder(folder: string): string {
  return join(folder, '.certlet-quarantine');
}

/** Whether a name in such a folder was given by `moveAside`. */
export function isQuarantined(name: string): boolean {
  return NUMBERED.test(name);
}

async function move(context: StoreContext, from: string, folder: string): Promise<string> {
  const { fs } = context;
  await ensureFolder(fs, folder, 0o700);
  const numbers = (await fs.readdir(folder)).map((name) => Number(NUMBERED.exec(name)?.[1] ?? 0));
  const to = join(folder, `${basename(from)}.${String(Math.max(0, ...numbers) + 1).padStart(6, '0')}`);
  try {
    await fs.rename(from, to);
  } catch (error) {
    // A state folder on another file system: a rename beside the file still moves it whole, and no key is copied.
    const beside = besideFolder(dirname(from));
    if (errnoOf(error) !== 'EXDEV' || folder === beside) throw error;
    return await move(context, from, beside);
  }
  if ((await fs.lstat(to))?.kind === 'file') await fs.chmod(to, 0o600);
  await fs.syncFolder(folder);
  await fs.syncFolder(dirname(from));
  await forgetOldest(context, folder);
  return to;
}

async function forgetOldest(context: StoreContext, folder: string): Promise<void> {
  const names = (await context.fs.readdir(folder)).filter((name) => NUMBERED.test(name));
  names.sort((a, b) => Number(NUMBERED.exec(a)?.[1]) - Number(NUMBERED.exec(b)?.[1]));
  for (const name of names.slice(0, -MAX_KEPT)) {
    const path = join(folder, name);
    await attempted(context, path, () => context.fs.unlink(path));
  }
}
