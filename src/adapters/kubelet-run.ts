import { join } from 'node:path';
import { onErrno } from './file-errors.ts';
import type { FileSystem } from './file-system.ts';

/** Where systemd has the control groups of units: unified, and of the legacy hierarchy. */
const CGROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd'] as const;

/**
 * Which run of the kubelet this is: systemd makes the control group of a unit anew at each start by `systemctl`, with another inode. Processes are hidden from
 * a sandboxed service. Undefined where nothing can be looked at. `cgroups`: instead of systemd's.
 */
export async function kubeletRun(
  fs: Pick<FileSystem, 'readdir' | 'lstat'>,
  unit: string,
  cgroups: readonly string[] = CGROUPS,
): Promise<string | undefined> {
  for (const root of cgroups) {
    const names = await fs.readdir(root).catch(onErrno([]));
    for (const slice of names.filter((name) => name.endsWith('.slice'))) {
      const facts = await fs.lstat(join(root, slice, unit)).catch(onErrno(undefined));
      if (facts?.kind === 'folder') return `${String(facts.device)}:${String(facts.inode)}`;
    }
  }
  return undefined;
}
