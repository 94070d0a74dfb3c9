import { existsSync } from 'node:fs';
import { watch, type FSWatcher } from 'chokidar';
import { dirname, isAbsolute } from 'node:path';
import type { Logger } from '../ports.ts';

/** Several events of one change (write, rename, chmod) count as one. */
const SETTLE_MS = 200;

/** Tells when one of a set of files changes, appears or goes. */
export interface FileWatcher {
  /** Tells of these files from now on, and of no others. Paths that are not absolute are left out. */
  update(paths: readonly string[]): void;
  close(): Promise<void>;
}

/**
 * Watches the folders of files, since a watch on a link or on a file that is replaced by renaming sees nothing (Kubernetes' `..data` links).
 * Calls `onChange` with the paths that changed, and `onReady` once, when the folders of the first update are watched: what changed while
 * they were being set up went unseen. A folder that is not there is looked for at each update. A watcher that fails is told once and done
 * without: a slow poll stands behind it.
 */
export function watchFiles(
  log: Logger,
  onChange: (paths: readonly string[]) => void,
  onReady: () => void,
): FileWatcher {
  return new FolderWatcher(log, onChange, onReady);
}

class FolderWatcher implements FileWatcher {
  readonly #log: Logger;
  readonly #onChange: (paths: readonly string[]) => void;
  readonly #onReady: () => void;
  #files: ReadonlySet<string> = new Set();
  readonly #folders = new Set<string>();
  /** Wanted, and not there when they were looked for last: chokidar would watch the folder above, and never this one. */
  readonly #missing = new Set<string>();
  #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | undefined;

  constructor(log: Logger, onChange: (paths: readonly string[]) => void, onReady: () => void) {
    this.#log = log;
    this.#onChange = onChange;
    this.#onReady = onReady;
  }

  update(paths: readonly string[]): void {
    this.#files = new Set(paths.filter(isAbsolute));
    const wanted = new Set([...this.#files].map((path) => dirname(path)));
    // Those of no more interest are never unwatched: chokidar would then be silent about every folder below as well.
    const fresh = [...wanted].filter((folder) => !this.#folders.has(folder));
    const present = fresh.filter((folder) => existsSync(folder));
    for (const folder of fresh) if (!present.includes(folder)) this.#missing.add(folder);
    if (present.length === 0) return;
    this.#watcher ??= this.#open();
    this.#watcher.add(present);
    for (const folder of present) this.#folders.add(folder);
    // What came into them before came unseen.
    const late = present.filter((folder) => this.#missing.delete(folder));
    this.#tell([...this.#files].filter((file) => late.includes(dirname(file))));
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#watcher?.close();
  }

  #open(): FSWatcher {
    const opened = watch([], { depth: 0, ignoreInitial: true, followSymlinks: false });
    opened.on('all', (event, path) => this.#notice(event, path));
    opened.once('ready', this.#onReady);
    opened.on('error', (error) => {
      this.#log.log('warn', 'Cannot watch files for changes; looking at them at the slow pace', {
        error: error instanceof Error ? error.message : String(error),
      });
    });
    return opened;
  }

  #notice(event: string, path: string): void {
    if (event === 'unlinkDir' && this.#folders.delete(path)) this.#lost(path);
    // A swap of `..data` changes every file behind it.
    const hit = path.endsWith('..data') ? [...this.#files].filter((file) => dirname(file) === dirname(path)) : [path];
    this.#tell(hit.filter((file) => this.#files.has(file)));
  }

  /** Made anew it is another folder: chokidar takes that for the one it watches already, unless it is told. */
  #lost(folder: string): void {
    this.#missing.add(folder);
    this.#watcher?.unwatch(folder);
  }

  #tell(paths: readonly string[]): void {
    for (const path of paths) this.#changed.add(path);
    if (this.#changed.size === 0) return;
    // Not begun anew by each event: a busy folder must not hold the word back.
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const told = [...this.#changed];
      this.#changed = new Set();
      this.#onChange(told);
    }, SETTLE_MS);
  }
}
