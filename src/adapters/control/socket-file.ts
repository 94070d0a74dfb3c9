import { inSettings, shellWord } from '../../remedy.ts';
import { connect } from 'node:net';
import { CertletError } from '../../errors.ts';
import { errnoOf } from '../file-errors.ts';
import type { FileSystem } from '../file-system.ts';

/** A daemon that hangs still accepts into its queue; this only guards against a queue that is full. */
const CONNECT_LIMIT_MS = 2_000;

/** unix(7): sun_path has 108 bytes with the final zero. */
const MAX_PATH_BYTES = 107;

/** Whether a socket can have this path. */
export const isSocketPath = (path: string): boolean => Buffer.byteLength(path) <= MAX_PATH_BYTES;

/**
 * Makes way for a socket at `path`: the file of a dead daemon is removed. Throws `ERR_CONTROL` when a live one listens there, when what is there
 * is no socket or when no socket can have this path, and errors of the system as they are.
 * Between look and removal nobody is kept out: a runtime folder is for one daemon.
 */
export async function clearStaleSocket(fs: FileSystem, path: string): Promise<void> {
  if (!isSocketPath(path)) {
    throw new CertletError('ERR_CONTROL', `${path} is too long for a socket: at most ${String(MAX_PATH_BYTES)} bytes`, {
      remedy: inSettings('runtimeDir: PATH', 'a shorter one; then systemctl restart certlet'),
    });
  }
  const facts = await fs.lstat(path);
  if (facts === undefined) return;
  if (facts.kind !== 'other') {
    throw new CertletError('ERR_CONTROL', `${path} is in the way: it is no socket`, {
      remedy: `rm ${shellWord(path)}`,
    });
  }
  if (await answers(path)) {
    throw new CertletError('ERR_CONTROL', `another process listens at ${path}`, {
      remedy: `ss -xlp src ${shellWord(path)}   # shows it; give one of the two another runtimeDir`,
    });
  }
  await fs.unlink(path);
}

/** Whether somebody accepts connections there. */
function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(path);
    const finish = (alive: boolean): void => {
      socket.destroy();
      done(alive);
    };
    socket.setTimeout(CONNECT_LIMIT_MS, () => finish(true));
    socket.once('connect', () => finish(true));
    socket.once('error', (error) => finish(errnoOf(error) !== 'ECONNREFUSED'));
  });
}
