import { basename, dirname, join, resolve } from 'node:path';
import type { PlainFiles } from '../../csr/spec.ts';
import { errnoOf } from '../file-errors.ts';
import type { FileFacts } from '../file-system.ts';
import type { StoreContext } from './store-context.ts';

/** Seconds to look ahead for a free name; a folder with more of them in one row was not filled by rotations. */
const MAX_NAMES = 100_000;

/** `<folder>/<prefix>-current.pem`, as client-go's certificate_store.go names it. */
export function currentPath(context: StoreContext): string {
  return join(context.folder, `${context.files.prefix}-current.pem`);
}

/** The link that a kubelet makes before it takes `-current.pem` away (client-go updateSymlink). */
export function updatedPath(context: StoreContext): string {
  return join(context.folder, `${context.files.prefix}-updated.pem`);
}

/** Certificate and key as two files, which client-go reads third and kubelets up to 1.10 wrote at bootstrap. */
export function legacyPaths({ folder, files }: StoreContext): PlainFiles {
  const stem = join(folder, files.prefix);
  return { certFile: `${stem}.crt`, keyFile: `${stem}.key` };
}

/** Whether a file name is that of a timestamped pair of this certificate. */
export function isPairName({ files: { prefix } }: StoreContext, name: string): boolean {
  return name.startsWith(`${prefix}-`) && /^-\d{4}(-\d\d){5}\.pem$/.test(name.slice(prefix.length));
}

/** Timestamped pair files of this certificate, by name. Regular files only: a planted link is no pair file. */
export async function listPairFiles(context: StoreContext): Promise<readonly string[]> {
  const names = (await context.fs.readdir(context.folder)).filter((name) => isPairName(context, name));
  const files: string[] = [];
  for (const name of names) {
    const facts = await context.fs.lstat(join(context.folder, name));
    if (facts?.kind === 'file') files.push(name);
  }
  return files;
}

/**
 * A name that nothing has yet: `<prefix>-YYYY-MM-DD-HH-MM-SS.pem` in local time as the kubelet's, or the next free second.
 * Names do not sort by age: clocks step and summer time ends.
 */
export async function freePairName(context: StoreContext, now: Date): Promise<string> {
  const taken = new Set(await context.fs.readdir(context.folder));
  for (let second = 0; second < MAX_NAMES; second += 1) {
    const name = `${context.files.prefix}-${timestamp(new Date(now.getTime() + second * 1000))}.pem`;
    if (!taken.has(name)) return name;
  }
  throw new RangeError(`no free name for ${context.files.prefix} near ${now.toISOString()}`);
}

/** Go's layout 2006-01-02-15-04-05 in the zone of this process. */
export function timestamp(date: Date): string {
  const parts = [date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  return [String(date.getFullYear()).padStart(4, '0'), ...parts.map((part) => String(part).padStart(2, '0'))].join('-');
}

/** Absolute path that the link names, one step only; undefined when there is no link. */
export async function linkTarget(context: StoreContext, link: string): Promise<string | undefined> {
  const facts = await context.fs.lstat(link);
  if (facts?.kind !== 'link') return undefined;
  const target = await context.fs.readlink(link);
  return target === undefined ? undefined : resolve(dirname(link), target);
}

/**
 * How the ledger names the file behind a link; undefined where there is no link or nothing behind it. Files are compared, not the ways to them: the
 * folder may be reached by a link or a second mount, and may have moved since the link was made. `names` are the pair files of the folder.
 */
export async function linkedName(
  context: StoreContext,
  names: readonly string[],
  link: string,
): Promise<string | undefined> {
  const target = await linkTarget(context, link);
  if (target === undefined) return undefined;
  const plain = ledgerName(context, target);
  if (names.includes(plain)) return plain;
  const behind = await factsOf(context, target);
  if (behind === undefined) return undefined;
  for (const name of names) {
    const facts = await context.fs.lstat(join(context.folder, name));
    if (facts?.device === behind.device && facts.inode === behind.inode) return name;
  }
  return plain;
}

/** What cannot be looked at (a loop, a folder that is closed to us) is no file that somebody wrote for us. */
async function factsOf(context: StoreContext, path: string): Promise<FileFacts | undefined> {
  try {
    return await context.fs.stat(path);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** How the ledger names a file: by its name alone in the cert-dir, so that the folder may move, else by its path. */
function ledgerName(context: StoreContext, path: string): string {
  return dirname(path) === context.folder ? basename(path) : path;
}
