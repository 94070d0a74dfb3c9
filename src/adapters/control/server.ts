import { join } from 'node:path';
import type { FileSystem } from '../file-system.ts';
import { fileError } from '../file-errors.ts';
import { ensureFolder } from '../files.ts';
import { openHttpServer, type OpenServer } from './http-server.ts';
import { answerControl, type ControlHandlers } from './routes.ts';
import { clearStaleSocket } from './socket-file.ts';

/** Name of the socket in the runtime folder. */
export const controlSocketPath = (runtimeDir: string): string => join(runtimeDir, 'control.sock');

/**
 * HTTP on `<runtimeDir>/control.sock`, 0600, in a folder that is made (0755) where it is missing. The file of a dead daemon is replaced;
 * closing removes it. Throws `ERR_CONTROL` where another process listens, and errors of file operations.
 */
export async function openControlServer(
  fs: FileSystem,
  runtimeDir: string,
  handlers: ControlHandlers,
): Promise<OpenServer> {
  const path = controlSocketPath(runtimeDir);
  try {
    await ensureFolder(fs, runtimeDir, 0o755);
    await clearStaleSocket(fs, path);
    const server = await openPrivately(() => openHttpServer({ path }, (request) => answerControl(handlers, request)));
    return server;
  } catch (error) {
    throw fileError(error, path);
  }
}

/** bind(2) takes the mode from the umask: the socket is its owner's alone from its first moment. */
async function openPrivately(open: () => Promise<OpenServer>): Promise<OpenServer> {
  const before = process.umask(0o177);
  try {
    // The bind happens before the first await inside; nothing else runs in between.
    const opening = open();
    process.umask(before);
    return await opening;
  } finally {
    process.umask(before);
  }
}
