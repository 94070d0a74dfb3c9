import { isBelow } from '../../kubelet/shared-folders.ts';
import type { Evidence, Finding, StepReport } from '../finding.ts';

/** Findings of this host's files that are the ground of an error of certlet's own. */
interface Grounds {
  readonly ids: readonly string[];
  /** `here`: of the very path that the error names. `below`: what holds for a folder holds for all that lies in it. */
  readonly reach: 'here' | 'below';
  /** Only where the system refused for one of these, or certlet itself before it asked the system. */
  readonly errnos?: readonly string[];
}

/** By the error's code. One code has many causes: a link is as unsafe as a mode, and a disk that fails is no matter of permissions. */
const GROUNDS: Readonly<Record<string, readonly Grounds[]>> = {
  ERR_STORE_READ_ONLY: [{ ids: ['files.read-only', 'files.sandbox'], reach: 'below' }],
  ERR_STORE_FULL: [{ ids: ['files.full'], reach: 'below', errnos: ['ENOSPC'] }],
  ERR_STORE_UNSAFE: [{ ids: ['files.owner', 'files.writable-by-others'], reach: 'here' }],
  ERR_STORE_IO: [
    { ids: ['files.shut-out'], reach: 'here', errnos: ['EACCES', 'EPERM'] },
    { ids: ['files.no-folder'], reach: 'here', errnos: ['ENOTDIR', 'EEXIST'] },
  ],
};

/**
 * What says of a trouble that an earlier step has told, such as the daemon of a disk on which nothing can be written, has no second remedy beside the
 * first: whoever reads both would not know which to take. It says where the one stands. In doubt it keeps its remedy: two are better than none.
 */
export function referring(found: Finding, before: readonly StepReport[]): Finding {
  const { evidence } = found;
  if (evidence === undefined || typeof evidence['code'] !== 'string' || found.verdict === 'skipped') return found;
  const told = before.find(({ findings }) => findings.some((other) => isGround(other, found.what, evidence)));
  if (told === undefined) return found;
  const { remedy: _remedy, causes: _causes, ...rest } = found;
  return { ...rest, what: `${found.what}; what mends it stands above, under ${told.title}` };
}

function isGround({ id, verdict, what, evidence, remedy }: Finding, text: string, error: Evidence): boolean {
  if ((verdict !== 'problem' && verdict !== 'warning') || remedy === undefined) return false;
  if (evidence?.['code'] === error['code']) return isSaidIn(text, what);
  const { path } = evidence ?? {};
  const { code, path: failed, errno } = error;
  if (typeof path !== 'string' || typeof failed !== 'string') return false;
  return (GROUNDS[String(code)] ?? []).some(
    ({ ids, reach, errnos }) =>
      ids.includes(id) &&
      (reach === 'here' ? failed === path : isBelow(failed, path)) &&
      (errnos === undefined || errno === undefined || errnos.includes(String(errno))),
  );
}

/** The same words, and not as a part of others: of a path that ends or begins alike. */
const isSaidIn = (text: string, words: string): boolean =>
  text
    .split(words)
    .some((rest, index, all) => index > 0 && !/[^\s(]$/.test(all[index - 1] ?? '') && !/^[\w./-]/.test(rest));
