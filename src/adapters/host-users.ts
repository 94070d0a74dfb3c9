import type { HostFiles } from './host-files.ts';

/** A user of this host, by the host's own list. */
export interface HostUser {
  readonly uid: number;
  /** Of its group; undefined for a number that the list does not have. */
  readonly gid: number | undefined;
}

/** A user as `User=` names it (systemd.exec(5)), by name or number; undefined for a name that this host does not have. */
export async function readUser(files: Pick<HostFiles, 'read'>, user: string): Promise<HostUser | undefined> {
  const byNumber = /^\d+$/u.test(user);
  const rows = ((await files.read('/etc/passwd')) ?? '').split('\n').map((line) => line.split(':'));
  const [, , uid, gid] = rows.find(([name, , number]) => (byNumber ? number : name) === user) ?? [];
  if (uid === undefined || gid === undefined) return byNumber ? { uid: Number(user), gid: undefined } : undefined;
  return { uid: Number(uid), gid: Number(gid) };
}
