import { join } from 'node:path';
import { type ReloadChoice, RELOAD_FOLDER, readReloadFile, reloadPath } from '../kubelet/reload-file.ts';
import { isReloadable } from '../kubelet/unit-file.ts';
import type { FileFacts } from './file-system.ts';
import type { HostFiles } from './host-files.ts';

/** Root's side of one `reload`: what `certlet-reload@NAME` finds when the flag is raised. */
export interface HostReload {
  readonly name: string;
  readonly path: string;
  /** What the file says; a text says what is wrong with it, undefined that it may not be read. */
  readonly choice: ReloadChoice | string | undefined;
  /** Undefined where it may not be looked at. */
  readonly owner: Pick<FileFacts, 'uid' | 'mode'> | undefined;
  readonly unit: ReloadedUnit | undefined;
}

/** The unit that is to be reloaded, as far as its files tell. */
export interface ReloadedUnit {
  readonly exists: boolean;
  /** `systemctl reload` can do something for it. */
  readonly reloadable: boolean;
}

/** Every file of root's that names a unit to reload, by name. */
export async function readHostReloads(files: HostFiles): Promise<readonly HostReload[]> {
  const names = (await files.list(RELOAD_FOLDER)).filter((name) => name.endsWith('.env'));
  return Promise.all(names.map((name) => readHostReload(files, name.slice(0, -'.env'.length))));
}

async function readHostReload(files: HostFiles, name: string): Promise<HostReload> {
  const path = reloadPath(name);
  const text = await files.read(path);
  const choice = text === undefined ? undefined : readReloadFile(name, text);
  const unit = typeof choice === 'object' ? await readReloadedUnit(files, choice.unit) : undefined;
  return { name, path, choice, owner: await files.facts(path), unit };
}

/** What the unit files say of a unit that is to be reloaded. */
export async function readReloadedUnit(files: HostFiles, unit: string): Promise<ReloadedUnit> {
  const texts = await files.readUnit(unit, []);
  // What a generator or a program has made at run time is there, and cannot be judged by its file.
  if (texts.length === 0) return { exists: await files.hasUnit(unit), reloadable: true };
  return { exists: true, reloadable: isReloadable(texts) };
}

/** Units that some other unit starts at boot: the links in the `.wants`, `.requires` and `.upholds` folders of root (systemd.unit(5)). */
export async function readWantedUnits(files: HostFiles): Promise<ReadonlySet<string>> {
  const folder = '/etc/systemd/system';
  const folders = (await files.list(folder)).filter((name) => /\.(wants|requires|upholds)$/.test(name));
  return new Set((await Promise.all(folders.map((name) => files.list(join(folder, name))))).flat());
}
