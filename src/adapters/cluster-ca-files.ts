import { join } from 'node:path';
import { decodeCaRecord, encodeCaRecord } from '../kubeconfig/ca-record.ts';
import type { ClusterCaFiles } from '../ports.ts';
import { onErrno } from './file-errors.ts';
import type { FileSystem } from './file-system.ts';
import { ensureFolder, readIfPresent, replaceFile } from './files.ts';

/** Where the CA of the kubeconfig is kept with `caFile`. */
export const caFilePath = (certDir: string): string => join(certDir, 'cluster-ca.crt');

/** In the state folder. */
export const CA_RECORD = 'cluster-ca.json';
/** Twenty CAs with long names are some kilobytes. */
const LIMIT_BYTES = 256 * 1024;
/** Where systemd has the control groups of units: unified, and of the legacy hierarchy. */
const CGROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd'] as const;

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
  const { fs, stateDir, unit, confirmLock, cgroups = CGROUPS } = options;
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
    kubeletRun: () => runOf(fs, cgroups, unit),
  };
}

/** systemd makes the control group of a unit anew at each start by `systemctl`, with another inode. What cannot be looked at is no answer. */
async function runOf(fs: FileSystem, cgroups: readonly string[], unit: string): Promise<string | undefined> {
  for (const root of cgroups) {
    const names = await fs.readdir(root).catch(onErrno([]));
    for (const slice of names.filter((name) => name.endsWith('.slice'))) {
      const facts = await fs.lstat(join(root, slice, unit)).catch(onErrno(undefined));
      if (facts?.kind === 'folder') return `${String(facts.device)}:${String(facts.inode)}`;
    }
  }
  return undefined;
}
