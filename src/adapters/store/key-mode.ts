import { filledIn, shellWord } from '../../remedy.ts';
import { CertletError } from '../../errors.ts';
import type { FileFacts } from '../file-system.ts';
import type { GroupMode } from '../files.ts';
import { refuseUnsafe, STICKY_WILL_DO } from './folders.ts';
import { mapped, type StoreContext } from './store-context.ts';

const SETGID = 0o2000;

/**
 * How a file with a key is made in a folder: 0600, or 0640 where the spec lets the group of the folder read it. The service cannot chown, so the group
 * comes from the setgid bit, which root has set. Throws `ERR_STORE_UNSAFE` for a folder without it, since the key would be readable by the group of the service, and for one whose
 * group another user could choose.
 */
export async function keyMode(context: StoreContext, folder: string): Promise<number | GroupMode> {
  if (!context.files.groupReadable) return 0o600;
  const facts = await mapped(folder, () => context.fs.stat(folder));
  if (!handsGroupOn(facts)) throw noSetgid(folder, facts);
  // Whoever owns the folder, or may put another in its place, would choose the group.
  await refuseUnsafe(context, folder, STICKY_WILL_DO);
  return { mode: 0o640, gid: facts.gid };
}

/** Whether new files in a folder get its group. */
export const handsGroupOn = (facts: FileFacts | undefined): facts is FileFacts =>
  facts !== undefined && (facts.mode & SETGID) !== 0;

/** Why the key of a `groupReadable` certificate is not written to a folder. One that is missing is made without the bit: the service knows no group for it. */
export function noSetgid(folder: string, facts: FileFacts | undefined): CertletError {
  const what = facts === undefined ? 'is not there, and would be made without the setgid bit' : 'has no setgid bit';
  const word = shellWord(folder);
  const more = 'as root, with the group that may read';
  return new CertletError('ERR_STORE_UNSAFE', `${folder} ${what}, which groupReadable needs`, {
    remedy:
      facts === undefined
        ? filledIn(`mkdir -p ${word} && chgrp GROUP ${word} && chmod 2750 ${word}`, more)
        : filledIn(`chgrp GROUP ${word} && chmod 2750 ${word}`, more),
  });
}
