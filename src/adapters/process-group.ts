import type { ChildProcess } from 'node:child_process';

/**
 * Sends a signal to the whole process group of a child that was spawned `detached` (it leads a group of its own then): what a shell script
 * started ends with it. A group that is gone already, or a child that never started, is no error.
 */
export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // ESRCH: the group is gone already. EPERM: what is left of it runs as another user.
  }
}
