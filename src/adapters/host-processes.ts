import {
  detectDistribution,
  type Distribution,
  DISTRIBUTION_UNITS,
  type HostProcess,
} from '../kubelet/distribution.ts';
import type { HostFiles } from './host-files.ts';

/**
 * Processes of this host that run as root, without those of containers. Any user may call a process of theirs `kubelet` and give it any
 * arguments: what these say ends up in settings, and the program that they name is asked for its version.
 */
export async function readProcesses(files: HostFiles): Promise<readonly HostProcess[]> {
  const found: HostProcess[] = [];
  for (const name of (await files.list('/proc')).filter((entry) => /^\d+$/u.test(entry))) {
    const argv = ((await files.read(`/proc/${name}/cmdline`)) ?? '').split('\0').slice(0, -1);
    if (argv.length === 0) continue;
    const cgroup = (await files.read(`/proc/${name}/cgroup`)) ?? '';
    if (!isRoots((await files.read(`/proc/${name}/status`)) ?? '')) continue;
    // A kubelet in a container (a cluster of containers on this host) is not the kubelet of this host.
    if (/docker|kubepods|libpod|containerd-|crio-/u.test(cgroup)) continue;
    found.push({
      pid: Number(name),
      argv,
      unit: /^(?:0:|\d+:name=systemd):.*?\/([^/\n]+\.service)/mu.exec(cgroup)?.[1],
    });
  }
  return found;
}

/** Real, effective, saved and file system user (proc_pid_status(5)); a process that has ended in the meantime has none and does not count. */
function isRoots(status: string): boolean {
  return /^Uid:\s+0\s+0\s+0\s+0$/mu.test(status);
}

/** The distribution that brings its own kubelet, if one runs or is installed. */
export async function findDistribution(
  files: HostFiles,
  processes: readonly HostProcess[],
): Promise<Distribution | undefined> {
  const units: string[] = [];
  for (const name of DISTRIBUTION_UNITS) {
    if ((await files.readUnit(name, [])).length > 0) units.push(name);
  }
  return detectDistribution(processes, units);
}
