import type { FileSystem } from '../file-system.ts';

/**
 * The same disk with every change refused, as on a read-only mount. Whoever gets it may call code that also repairs: nothing is changed,
 * and what was attempted fails with EROFS.
 */
export function readOnly(fs: FileSystem): FileSystem {
  const refuse = (path: string): Promise<never> =>
    Promise.reject(Object.assign(new Error(`EROFS: this command changes nothing, ${path}`), { code: 'EROFS', path }));
  return {
    read: (path, limitBytes) => fs.read(path, limitBytes),
    readlink: (path) => fs.readlink(path),
    lstat: (path) => fs.lstat(path),
    stat: (path) => fs.stat(path),
    realpath: (path) => fs.realpath(path),
    readdir: (path) => fs.readdir(path),
    mountPoints: () => fs.mountPoints(),
    isVolatile: (path) => fs.isVolatile(path),
    create: refuse,
    openExisting: refuse,
    rename: refuse,
    symlink: (_target, path) => refuse(path),
    unlink: refuse,
    utimes: refuse,
    mkdir: refuse,
    chmod: refuse,
    syncFolder: refuse,
  };
}
