import { dirname, sep } from 'node:path';
import { CertletError } from './errors.ts';
import type { AgentSnapshot } from './rotation/snapshot.ts';

/** `ERR_STORE_DETACHED` where a round ran into it: the lock does not hold for the folder that is there now. */
export function detachedBy(snapshot: AgentSnapshot): CertletError | undefined {
  const found = snapshot.managers.find(({ lastError }) => lastError?.code === 'ERR_STORE_DETACHED');
  return found === undefined ? undefined : new CertletError('ERR_STORE_DETACHED', found.lastError?.message ?? '');
}

/**
 * Tells when only a new process can write again: a folder that could be written and is read-only now was removed and made anew (`kubeadm reset`),
 * so its mount in the sandbox of the service is detached. A process that never could write stays up and waits for a person.
 */
export class DetachedFolders {
  #worked = false;

  /** `ERR_STORE_DETACHED` once the folders of this process are lost. */
  reasonToRestart(snapshot: AgentSnapshot): CertletError | undefined {
    const detached = detachedBy(snapshot);
    if (detached !== undefined) return detached;
    // Only what lies in the cert-dir: a kubeconfig or a plain file elsewhere may have been out of reach all along.
    const failed = snapshot.managers.find(
      ({ lastError, currentPath }) =>
        lastError?.code === 'ERR_STORE_READ_ONLY' &&
        `${lastError.path ?? ''}${sep}`.startsWith(`${dirname(currentPath)}${sep}`),
    );
    if (failed === undefined) {
      this.#worked ||= snapshot.managers.every(({ phase }) => phase !== 'starting');
      return undefined;
    }
    if (!this.#worked) return undefined;
    const message = `the folder was removed or mounted over under the running service, which starts again by itself: ${failed.lastError?.message ?? ''}`;
    return new CertletError('ERR_STORE_DETACHED', message);
  }
}
