import type { Finding, StepReport } from '../finding.ts';

/** Findings of this host's files that are the ground of an error of certlet's own, by its code. */
const GROUNDS: Readonly<Record<string, readonly string[]>> = {
  ERR_STORE_READ_ONLY: ['files.read-only', 'files.sandbox'],
  ERR_STORE_FULL: ['files.full'],
  ERR_STORE_UNSAFE: ['files.owner', 'files.writable-by-others', 'files.no-folder'],
  ERR_STORE_IO: ['files.shut-out', 'files.no-folder'],
};

/**
 * What says of a trouble that an earlier step has told, such as the daemon of a disk on which nothing can be written, has no second remedy beside the
 * first: whoever reads both would not know which to take. It says where the one stands.
 */
export function referring(found: Finding, before: readonly StepReport[]): Finding {
  const { code } = found.evidence ?? {};
  if (typeof code !== 'string' || found.verdict === 'skipped') return found;
  const told = before.find(({ findings }) => findings.some((other) => isGround(other, found.what, code)));
  if (told === undefined) return found;
  const { remedy: _remedy, causes: _causes, ...rest } = found;
  return { ...rest, what: `${found.what}; what mends it stands above, under ${told.title}` };
}

function isGround({ id, verdict, what, evidence, remedy }: Finding, text: string, code: string): boolean {
  if ((verdict !== 'problem' && verdict !== 'warning') || remedy === undefined) return false;
  if (evidence?.['code'] === code) return text.includes(what);
  const { path } = evidence ?? {};
  return GROUNDS[code]?.includes(id) === true && typeof path === 'string' && isNamed(path, text);
}

/** The path itself, or what lies below it; not another that begins alike. */
const isNamed = (path: string, text: string): boolean =>
  text.split(path).some((rest, index) => index > 0 && !/^[\w.-]/.test(rest));
