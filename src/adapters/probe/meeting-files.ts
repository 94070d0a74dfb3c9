import { basename, dirname } from 'node:path';
import { type Remedy, shellWord, byHand } from '../../remedy.ts';
import { CertletError } from '../../errors.ts';
import { onErrno } from '../file-errors.ts';
import type { FileFacts, FileSystem } from '../file-system.ts';

/** A file that certlet reads or writes, and the setting that names it. */
export interface FileOfSetting {
  readonly path: string;
  readonly setting: string;
  /** Whose it is, where it is written for one certificate. */
  readonly certificate?: string | undefined;
}

/** Two paths of the settings that are one file on this disk. */
export interface Meeting {
  readonly file: FileOfSetting;
  readonly other: FileOfSetting;
  /** What a person should do. */
  readonly remedy: Remedy;
}

/**
 * Which files of certificates are one with another file though their paths differ: through a symbolic link on the way, or a mount. Told by device and
 * inode of the file, and of its folder, links followed, since the file may be still to come. A link in a file's own place leads nowhere: certlet puts a
 * file there instead. What cannot be looked at meets nothing; each two are told once. Changes nothing.
 */
export async function meetingFiles(
  fs: Pick<FileSystem, 'stat' | 'lstat'>,
  files: readonly FileOfSetting[],
): Promise<readonly Meeting[]> {
  const seen = new Map<string, readonly FileOfSetting[]>();
  const meetings: Meeting[] = [];
  for (const file of files) {
    const places = await placesOf(fs, file.path);
    const met = new Set(places.flatMap((place) => seen.get(place) ?? []));
    for (const other of met) {
      const written = file.certificate ?? other.certificate;
      if (written !== undefined && other.path !== file.path) meetings.push({ file, other, remedy: remedyOf(file) });
    }
    for (const place of places) seen.set(place, [...(seen.get(place) ?? []), file]);
  }
  return meetings;
}

/**
 * Keeps a file from being written over another one of the settings: what is returned throws `ERR_STORE_UNSAFE` for the path of a file that meets one
 * before it in the list. Links come and go, so it looks at the disk each time; meant for the moment of a write, and no sooner.
 */
export function meetingGuard(
  fs: Pick<FileSystem, 'stat' | 'lstat'>,
  files: readonly FileOfSetting[],
): (path: string) => Promise<void> {
  return async (path) => {
    const met = (await meetingFiles(fs, files)).find(({ file }) => file.path === path);
    if (met === undefined) return;
    const { other, remedy } = met;
    throw new CertletError(
      'ERR_STORE_UNSAFE',
      `${path} is the file ${other.path} of ${other.setting}, and is not written`,
      {
        remedy,
      },
    );
  };
}

async function placesOf(fs: Pick<FileSystem, 'stat' | 'lstat'>, path: string): Promise<readonly string[]> {
  const folder = await fs.stat(dirname(path)).catch(onErrno(undefined));
  const file = await fs.lstat(path).catch(onErrno(undefined));
  return [
    ...(folder === undefined ? [] : [`${idOf(folder)} ${basename(path)}`]),
    ...(file === undefined ? [] : [idOf(file)]),
  ];
}

const idOf = ({ device, inode }: FileFacts): string => `${String(device)}:${String(inode)}`;

const remedyOf = ({ path, setting }: FileOfSetting): Remedy =>
  byHand(
    `Set another file in ${setting}, or remove the link that leads there.   # namei -l ${shellWord(path)} shows it; then systemctl reload certlet`,
  );
