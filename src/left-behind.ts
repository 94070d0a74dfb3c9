import { isDeepStrictEqual } from 'node:util';
import type { FileSystem } from './adapters/file-system.ts';
import {
  type FilesOf,
  filesOfEntries,
  nextManaged,
  readManaged,
  removal,
  stillThere,
  writeManaged,
} from './adapters/store/left-files.ts';
import { type FileOfSetting, meetingFiles } from './adapters/probe/meeting-files.ts';
import type { Settings } from './config.ts';
import { filesOnDisk } from './config/named-files.ts';
import { asCertletError, errorFields } from './errors.ts';
import type { Logger } from './ports.ts';

interface LeftBehindParts {
  readonly fs: FileSystem;
  readonly log: Logger;
  readonly currentPath: (name: string) => string;
  /** `confirm` of the lock that the caller holds. */
  readonly confirmLock: () => Promise<void>;
}

/** Files of certificates that the settings named once and name no more. They stay; the journal names them once, over restarts too, status as long as they are there. */
export class LeftBehind {
  readonly #parts: LeftBehindParts;
  #left: readonly FilesOf[] = [];
  #looking = false;

  constructor(parts: LeftBehindParts) {
    this.#parts = parts;
  }

  /** Compares these settings with those before. To be called at each start and reload; never throws. */
  async begin(settings: Settings): Promise<void> {
    const { fs, log, currentPath, confirmLock } = this.#parts;
    const { stateDir, specs } = settings;
    try {
      const before = await readManaged(fs, stateDir);
      const { next, news } = nextManaged(before, filesOfEntries(specs, currentPath));
      const named = filesOnDisk(settings);
      const there = await this.#only(await stillThere(fs, next.left), named);
      for (const { name: purpose, files } of await this.#only(await stillThere(fs, news), named))
        log.log('info', 'The settings do not name these files any more; they are left', {
          purpose,
          files,
          remedy: removal(files),
        });
      this.#left = there;
      const record = { ...next, left: there };
      if (isDeepStrictEqual(record, before)) return;
      await confirmLock();
      await writeManaged(fs, stateDir, record);
    } catch (thrown) {
      log.log('warn', 'Cannot note which files the settings name', errorFields(asCertletError(thrown)));
    }
  }

  /** Without what is a file of these settings by another path: whoever removes it would remove that. */
  async #only(left: readonly FilesOf[], named: readonly FileOfSetting[]): Promise<readonly FilesOf[]> {
    const old = left.flatMap(({ name, files }) =>
      files.map((path) => ({ path, setting: 'settings before', certificate: name })),
    );
    const met = new Set((await meetingFiles(this.#parts.fs, [...named, ...old])).map(({ file }) => file.path));
    return left
      .map(({ name, files }) => ({ name, files: files.filter((file) => !met.has(file)) }))
      .filter(({ files }) => files.length > 0);
  }

  /** As of the last look. */
  get files(): readonly FilesOf[] {
    return this.#left;
  }

  /** Looks again, in the background: what somebody has removed is left no more. */
  refresh(): void {
    if (this.#left.length === 0 || this.#looking) return;
    this.#looking = true;
    void stillThere(this.#parts.fs, this.#left)
      .then((left) => (this.#left = left))
      .finally(() => (this.#looking = false));
  }
}
