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
 * they were being set up went unseen. A watcher that fails is told once and done without: a slow poll stands behind it.
 */
export function watchFiles(
  log: Logger,
  onChange: (paths: readonly string[]) => void,
  onReady: () => void,
): FileWatcher {
  let files = new Set<string>();
  let folders = new Set<string>();
  let changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let watcher: FSWatcher | undefined;
  const notice = (path: string): void => {
    // A swap of `..data` changes every file behind it.
    const hit = path.endsWith('..data') ? [...files].filter((file) => dirname(file) === dirname(path)) : [path];
    for (const file of hit) if (files.has(file)) changed.add(file);
    if (changed.size === 0) return;
    // Not begun anew by each event: a busy folder must not hold the word back.
    timer ??= setTimeout(() => {
      timer = undefined;
      const paths = [...changed];
      changed = new Set();
      onChange(paths);
    }, SETTLE_MS);
  };
  const open = (): FSWatcher => {
    const opened = watch([], { depth: 0, ignoreInitial: true, followSymlinks: false });
    opened.on('all', (_event, path) => notice(path));
    opened.once('ready', onReady);
    opened.on('error', (error) => {
      log.log('warn', 'Cannot watch files for changes; looking at them at the slow pace', {
        error: error instanceof Error ? error.message : String(error),
      });
    });
    return opened;
  };
  return {
    update(paths) {
      files = new Set(paths.filter(isAbsolute));
      const fresh = [...new Set([...files].map((path) => dirname(path)))].filter((folder) => !folders.has(folder));
      if (fresh.length === 0) return;
      // Never unwatched: chokidar would then be silent about every folder below as well.
      folders = new Set([...folders, ...fresh]);
      watcher ??= open();
      watcher.add(fresh);
    },
    async close() {
      clearTimeout(timer);
      await watcher?.close();
    },
  };
}
