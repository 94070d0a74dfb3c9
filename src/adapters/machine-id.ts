import { createHash } from 'node:crypto';
import { NodeFileSystem } from './file-system.ts';
import { readIfPresent } from './files.ts';
import { isCertletError } from '../errors.ts';

/** machine-id(5) */
export const MACHINE_ID_PATH = '/etc/machine-id';
const LIMIT_BYTES = 4096;

/**
 * A digest of this machine's id, which itself is not to be shown around (machine-id(5)); undefined while there is none (`uninitialized` on a first
 * boot) or where it cannot be read.
 */
export async function machineDigest(path: string): Promise<string | undefined> {
  const id = (await textOf(path)).trim();
  if (!/^[0-9a-f]{32}$/.test(id)) return undefined;
  return createHash('sha256').update(`certlet machine ${id}`).digest('hex').slice(0, 16);
}

async function textOf(path: string): Promise<string> {
  try {
    return (await readIfPresent(new NodeFileSystem(), path, LIMIT_BYTES)) ?? '';
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return '';
  }
}
