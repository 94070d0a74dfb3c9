import { type CommandText, type Remedy, explained, shellWord } from '../remedy.ts';
import { basename, dirname, join } from 'node:path';
import { CertletError, isDefect } from '../errors.ts';
import { isSharedFolder } from '../kubelet/shared-folders.ts';

/** Node's code for a path with a zero byte: no file has such a name. A `TypeError`, but the fault of whoever wrote the path. */
const ZERO_BYTE = 'ERR_INVALID_ARG_VALUE';

/** The errno name (`ENOENT`) of a system error, also when it is the cause of a `CertletError`. A defect has none, whatever code Node gave it. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (isDefect(error) && !('code' in error && error.code === ZERO_BYTE)) return undefined;
  if ('code' in error && typeof error.code === 'string' && !(error instanceof CertletError)) return error.code;
  return errnoOf(error.cause);
}

/** For `.catch`: `value` where the system refused. What has no errno is thrown on. */
export function onErrno<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (errnoOf(error) === undefined) throw error;
    return value;
  };
}

/**
 * A failed file operation as `CertletError`: `ERR_STORE_FULL` (ENOSPC, EDQUOT), `ERR_STORE_READ_ONLY` (EROFS), else `ERR_STORE_IO`.
 * The message has path, operation and errno. `path` is named when the system's error names none. What is a `CertletError` or no
 * system error at all stays what it is.
 */
export function fileError(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (error instanceof CertletError || errno === undefined) return error;
  const { failed, operation, what } = whatFailed(error, path);
  const message = `${what}: ${reasonOf(error)} (${errno})`;
  const about = { cause: error, path: failed, errno };
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new CertletError('ERR_STORE_FULL', message, { ...about, remedy: fullRemedy(errno, failed) });
  if (errno === 'EROFS')
    return new CertletError('ERR_STORE_READ_ONLY', message, {
      ...about,
      remedy: closedFolderRemedy(dirname(failed)),
    });
  const remedy: Remedy = operation === 'symlink' ? linkRemedy(errno, failed) : ioRemedy(errno, failed);
  return new CertletError('ERR_STORE_IO', message, { ...about, remedy });
}

/** Names that replacements are staged under: hidden, and random, so that nothing planted or left over can block them. */
export const TEMPORARY = /^\.(.+)\.[0-9a-f]{16}\.certlet-tmp$/;

/** The name that a staged file was to get: the staged one is gone by the time somebody reads of it. */
function finalPath(path: string): string {
  const name = TEMPORARY.exec(basename(path))?.[1];
  return name === undefined ? path : join(dirname(path), name);
}

/** Node puts the first path of a call into `path` and the second into `dest`: for a link the first is a text, not a file, and it is the second that fails. */
function whatFailed(
  error: unknown,
  path: string,
): { readonly failed: string; readonly operation: string; readonly what: string } {
  const operation = textField(error, 'syscall') ?? 'file operation';
  const first = finalPath(textField(error, 'path') ?? path);
  const second = textField(error, 'dest');
  const failed = second === undefined ? first : finalPath(second);
  const both = operation === 'rename' && first !== failed;
  return { failed, operation, what: both ? `rename ${first} to ${failed}` : `${operation} ${failed}` };
}

/** The system's words out of Node's `ENOENT: no such file or directory, open '/path'`. */
function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return /^[A-Z0-9]+: ([^,]+)/.exec(text)?.[1] ?? text;
}

function fullRemedy(errno: string, path: string): Remedy {
  const folder = shellWord(dirname(path));
  return errno === 'EDQUOT'
    ? `quota -v; df -h ${folder}   # free space or raise the quota`
    : `df -h ${folder}; df -i ${folder}   # free space or inodes there`;
}

/** What to do about a folder that is read-only for the service: ProtectSystem=strict leaves only ReadWritePaths= writable (systemd.exec(5)), and the unit lists the default folders only. */
export function closedFolderRemedy(folder: string): Remedy {
  if (isSharedFolder(folder))
    return `findmnt -T ${shellWord(folder)}   # shows what must be remounted; where the service's sandbox is the reason: ${folder} is not certlet's alone and is never opened, so give certDir and plain files a folder of their own, and leave a kubeconfig there to root (manageKubeconfig: false, certlet join --write-kubeconfig)`;
  // Without a backslash where the path has none: a quoted value of a log line doubles them.
  return `${allowCommand(folder)}   # where the service's sandbox is the reason; else remount what this shows: findmnt -T ${shellWord(folder)}`;
}

/** The commands that open a folder to the service. A sandbox is set up when its service starts. */
export const allowCommand = (folder: string): CommandText =>
  `certlet allow ${shellWord(folder)} && systemctl daemon-reload && systemctl restart certlet`;

/** symlink(2): EPERM is what a file system without symbolic links answers. */
function linkRemedy(errno: string, path: string): Remedy {
  const folder = shellWord(dirname(path));
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errno)
    ? `findmnt -T ${folder}   # this file system has no symbolic links (vfat, CIFS, 9p), and kubelets need one: put the folder on another`
    : ioRemedy(errno, path);
}

const OPEN_PKI = explained(
  'install -D -m 644 -t /etc/systemd/system/certlet.service.d /usr/share/certlet/drop-ins/certlet.service.d/kubernetes-pki.conf && systemctl daemon-reload && systemctl restart certlet',
  'the service may not look there; on a control plane node this opens keys, too: embed the CA in the kubeconfig there',
);

/** What to do about a path that the unit hides: on the host it looks healthy. Undefined for any other. */
export function hiddenRemedy(errno: string, path: string): Remedy | undefined {
  if (errno !== 'EACCES') return undefined;
  if (path.startsWith('/etc/kubernetes/pki/')) return OPEN_PKI;
  return /^\/(?:home|root|run\/user)\//.test(path)
    ? `mv ${shellWord(path)} /etc/kubernetes/   # the service sees nothing below /home, /root and /run/user; mend what names it; if certlet runs outside of systemd: namei -l ${shellWord(path)}`
    : undefined;
}

function ioRemedy(errno: string, path: string): Remedy {
  const word = shellWord(path);
  const hidden = hiddenRemedy(errno, path);
  if (hidden !== undefined) return hidden;
  if (errno === 'EACCES' || errno === 'EPERM')
    return `namei -l ${word}; lsattr -d ${word}   # owners, permissions and attributes`;
  if (errno === 'ENOTDIR') return `namei -l ${word}   # a file stands where a folder must be: move it away`;
  if (errno === 'EBUSY') return `findmnt ${word}   # it is a mount point of its own: mount its folder in its place`;
  if (errno === 'EIO') return `dmesg | tail; findmnt -T ${shellWord(dirname(path))}   # the disk fails`;
  if (errno === 'EMFILE' || errno === 'ENFILE') return 'systemctl show certlet -p LimitNOFILE   # too many open files';
  return `ls -ld ${word}   # look at the path`;
}

function textField(error: unknown, field: 'path' | 'dest' | 'syscall'): string | undefined {
  const value: unknown = error instanceof Error ? Reflect.get(error, field) : undefined;
  return typeof value === 'string' ? value : undefined;
}
