import { join } from 'node:path';
import { decodeCaRecord, encodeCaRecord } from '../kubeconfig/ca-record.ts';
import type { ClusterCaFiles } from '../ports.ts';
import type { FileSystem } from './file-system.ts';
import { ensureFolder, readIfPresent, replaceFile } from './files.ts';
import { kubeletRun } from './kubelet-run.ts';

/** Where the CA of the kubeconfig is kept with `caFile`. */
export const caFilePath = (certDir: string): string => join(certDir, 'cluster-ca.crt');

/** In the state folder. */
export const CA_RECORD = 'cluster-ca.json';
/** Twenty CAs with long names are some kilobytes. */
const LIMIT_BYTES = 256 * 1024;

export interface ClusterCaFilesOptions {
  readonly fs: FileSystem;
  readonly stateDir: string;
  /** Of the kubelet. */
  readonly unit: string;
  /** Asked before each write; what it throws keeps the file as it is. */
  readonly confirmLock?: (() => Promise<void>) | undefined;
  /** Instead of systemd's. */
  readonly cgroups?: readonly string[];
}

/** `<state>/cluster-ca.json`, and the kubelet's control group. Errors of the disk are `ERR_STORE_*`. */
export function createClusterCaFiles(options: ClusterCaFilesOptions): ClusterCaFiles {
  const { fs, stateDir, unit, confirmLock, cgroups } = options;
  const path = join(stateDir, CA_RECORD);
  return {
    async readRecord() {
      return decodeCaRecord((await readIfPresent(fs, path, LIMIT_BYTES)) ?? '');
    },
    async writeRecord(record) {
      const text = encodeCaRecord(record);
      if ((await readIfPresent(fs, path, LIMIT_BYTES)) === text) return;
      await confirmLock?.();
      await ensureFolder(fs, stateDir, 0o700);
      await replaceFile(fs, path, text, 0o600);
    },
    kubeletRun: () => kubeletRun(fs, unit, cgroups),
  };
}
