import { basename, dirname, join } from 'node:path';
import type { FileSystem } from '../adapters/file-system.ts';
import { ensureFolder, replaceFile, replaceLink } from '../adapters/files.ts';
import type { Sealer } from '../adapters/systemd/sealer.ts';
import { CertletError } from '../errors.ts';
import type { Secret } from '../secret.ts';

/** What certlet-unseal.service opens, and where it puts that. */
const UNIT = { sealed: '/etc/certlet/bootstrap-kubelet.cred', opened: '/run/certlet/bootstrap-kubelet.conf' };

export interface SealedPlaces {
  /** The bootstrap kubeconfig sealed to this host. */
  readonly sealed: string;
  /** Where certlet-unseal.service puts it, in memory: gone when the host is off. */
  readonly opened: string;
  /** The path that the settings name: becomes a link to what is opened. */
  readonly bootstrapPath: string;
}

/** Beside the settings file, and in the folder of the control socket. */
export function sealedPlaces(settingsPath: string, runtimeDir: string): Omit<SealedPlaces, 'bootstrapPath'> {
  return {
    sealed: join(dirname(settingsPath), basename(UNIT.sealed)),
    opened: join(runtimeDir, basename(UNIT.opened)),
  };
}

/** Throws `ERR_USAGE` where certlet-unseal.service would look elsewhere, or the service may not read what it opens. */
export function refuseUnopened({ sealed, opened }: Omit<SealedPlaces, 'bootstrapPath'>, serviceUid: number): void {
  const reason =
    sealed !== UNIT.sealed || opened !== UNIT.opened
      ? `certlet-unseal.service opens ${UNIT.sealed} into ${UNIT.opened}: with another settings file or runtimeDir nothing is sealed`
      : serviceUid === 0
        ? undefined
        : 'what is sealed is opened for root alone, and this service has a user of its own';
  if (reason !== undefined)
    throw new CertletError('ERR_USAGE', `--seal: ${reason}`, { remedy: '# Give the same command without --seal.' });
}

/**
 * Writes what only this host can open, then makes the path that the settings name a link to where it is opened: a plain file that lay there, with a
 * token, is gone. Throws `ERR_STORE_*`.
 */
export async function writeSealed(
  fs: FileSystem,
  sealer: Sealer,
  content: Secret,
  places: SealedPlaces,
): Promise<void> {
  const sealed = await sealer.seal(content);
  await ensureFolder(fs, dirname(places.sealed), 0o755);
  await replaceFile(fs, places.sealed, sealed, 0o600);
  await replaceLink(fs, places.bootstrapPath, places.opened);
}
