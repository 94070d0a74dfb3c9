import { watch, type FSWatcher } from 'chokidar';
import { dirname } from 'node:path';
import type { Logger } from '../ports.ts';

/** Several events of one change (write, rename, chmod) count as one. */
const SETTLE_MS = 200;

/** Tells when one of a set of files changes, appears or goes. */
export interface FileWatcher {
  /** Watches these files from now on, and no others. */
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
    clearTimeout(timer);
    timer = setTimeout(() => {
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
      files = new Set(paths);
      const wanted = new Set(paths.map((path) => dirname(path)));
      watcher ??= open();
      watcher.add([...wanted].filter((folder) => !folders.has(folder)));
      watcher.unwatch([...folders].filter((folder) => !wanted.has(folder)));
      folders = wanted;
    },
    async close() {
      clearTimeout(timer);
      await watcher?.close();
    },
  };
}
