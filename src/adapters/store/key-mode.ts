import { CertletError } from '../../errors.ts';
import { shellWord } from '../file-errors.ts';
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
  if (facts !== undefined && (facts.mode & SETGID) !== 0) {
    // Whoever owns the folder, or may put another in its place, would choose the group.
    await refuseUnsafe(context, folder, STICKY_WILL_DO);
    return { mode: 0o640, gid: facts.gid };
  }
  throw new CertletError('ERR_STORE_UNSAFE', `${folder} has no setgid bit, which groupReadable needs`, {
    remedy: `as root: chgrp GROUP ${shellWord(folder)} && chmod 2750 ${shellWord(folder)}`,
  });
}
