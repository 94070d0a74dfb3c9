import { realpathSync } from 'node:fs';
import { watch, type FSWatcher } from 'chokidar';
import { basename, dirname, isAbsolute } from 'node:path';
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
 * they were being set up went unseen. A folder that is not there is looked for at each update, and so is where a link on the way to one leads: it
 * is watched behind the link, and told by the name that was given. A watcher that fails is told once and done without: a slow poll stands behind it.
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
  /** Where the folders of the files were when they were looked for last, links followed; undefined: nowhere. */
  readonly #places = new Map<string, string | undefined>();
  readonly #watched = new Set<string>();
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
    const late: string[] = [];
    for (const folder of new Set([...this.#files].map((path) => dirname(path)))) {
      const place = placeOf(folder);
      // What came into it before came unseen.
      if (this.#places.has(folder) && this.#places.get(folder) !== place) late.push(folder);
      this.#places.set(folder, place);
    }
    this.#watch();
    this.#tell([...this.#files].filter((file) => late.includes(dirname(file))));
  }

  /**
   * Those of no more interest are never unwatched: chokidar would then be silent about every folder below as well. One that is not there is left out:
   * chokidar would watch the folder above, and never this one.
   */
  #watch(): void {
    const places = new Set([...this.#places.values()].filter((place) => place !== undefined));
    const fresh = [...places].filter((place) => !this.#watched.has(place));
    if (fresh.length === 0) return;
    this.#watcher ??= this.#open();
    this.#watcher.add(fresh);
    for (const place of fresh) this.#watched.add(place);
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
    if (event === 'unlinkDir' && this.#watched.delete(path)) this.#lose(path);
    const name = basename(path);
    // A swap of `..data` changes every file behind it.
    const isHit = (file: string): boolean =>
      this.#places.get(dirname(file)) === dirname(path) && (name === '..data' || basename(file) === name);
    this.#tell([...this.#files].filter(isHit));
  }

  /**
   * Made anew it is another folder: chokidar takes that for the one it watches already, unless it is told. Of one that is gone already it does not take
   * the folders below for unwatched.
   */
  #lose(place: string): void {
    const gone = [...this.#files].filter((file) => this.#places.get(dirname(file)) === place);
    for (const [folder, known] of this.#places) if (known === place) this.#places.set(folder, undefined);
    this.#watcher?.unwatch(place);
    this.#tell(gone);
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

/** Where a folder is, links followed; undefined where there is none. The dot: a file in its place is none. */
function placeOf(folder: string): string | undefined {
  try {
    return realpathSync.native(`${folder}/.`);
  } catch {
    return undefined;
  }
}
