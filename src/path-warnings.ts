import { type Remedy } from './remedy.ts';
import { closedFolderRemedy } from './adapters/file-errors.ts';
import type { FileSystem } from './adapters/file-system.ts';
import { isClosedFolder } from './adapters/probe/closed-folder.ts';
import { meetingFiles } from './adapters/probe/meeting-files.ts';
import type { Settings } from './config.ts';
import { filesOnDisk } from './config/named-files.ts';
import { writtenFolders } from './config/written-folders.ts';
import type { Logger } from './ports.ts';

interface PathWarningsParts {
  readonly fs: FileSystem;
  readonly log: Logger;
}

/** Warns of paths of the settings that only a look at the host shows to be wrong. To be called at a start and after a reload. */
export async function warnOfPaths(settings: Settings, parts: PathWarningsParts): Promise<void> {
  await warnOfClosedFolders(settings, parts);
  await warnOfMeetingFiles(settings, parts);
}

/** A sandbox is set up when the service starts: what changed settings name besides stays closed until a restart, and would show at the next renewal only. */
async function warnOfClosedFolders(settings: Settings, { log }: PathWarningsParts): Promise<void> {
  for (const { path, setting } of writtenFolders(settings)) {
    if (!(await isClosedFolder(path))) continue;
    const remedy: Remedy = closedFolderRemedy(path);
    log.log('warn', 'A folder of the settings is closed to the service', { folder: path, setting, remedy });
  }
}

/** What the settings cannot tell: two of their paths lead to one file. The store and the kubeconfigs do not write the later one. */
async function warnOfMeetingFiles(settings: Settings, { fs, log }: PathWarningsParts): Promise<void> {
  for (const { file, other, remedy } of await meetingFiles(fs, filesOnDisk(settings)))
    log.log('warn', 'Two settings name one file', {
      file: file.path,
      setting: file.setting,
      otherFile: other.path,
      otherSetting: other.setting,
      remedy,
    });
}
