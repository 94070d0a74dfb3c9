import type { HostFiles } from './host-files.ts';

/** The number of a user as `User=` names it (systemd.exec(5)); undefined for one that this host does not have, by its own list of users. */
export async function userIdOf(files: Pick<HostFiles, 'read'>, user: string): Promise<number | undefined> {
  if (/^\d+$/u.test(user)) return Number(user);
  const line = ((await files.read('/etc/passwd')) ?? '').split('\n').find((each) => each.startsWith(`${user}:`));
  return line === undefined ? undefined : Number(line.split(':')[2]);
}
