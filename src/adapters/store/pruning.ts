import { join } from 'node:path';
import { mapped, type StoreContext } from './store-context.ts';
import { readLedger } from './ledger.ts';
import { currentPath, listPairFiles } from './pair-files.ts';
import { readPair } from './pair-reading.ts';

export interface PruneRule {
  /** How many older files stay whatever their age. */
  readonly keepOldFiles: number;
  /** How long after the last swap nothing is deleted: a reader may still have resolved the link to an older file. */
  readonly graceMs: number;
  readonly now: Date;
}

/**
 * Deletes older pair files of certlet's beyond the newest few, by the certificate's dates, since names do not sort by age.
 * Nothing is deleted while the link names no file, in the grace time after the last swap, or that the ledger does not list.
 */
export async function prunePairs(context: StoreContext, rule: PruneRule): Promise<readonly string[]> {
  const { fs } = context;
  const link = await fs.lstat(currentPath(context));
  const live = await fs.stat(currentPath(context));
  if (link?.kind !== 'link' || live === undefined) return [];
  // The link was made at the last swap. A swap in the future means that the clock stepped: its distance counts all the same.
  if (Math.abs(rule.now.getTime() - link.mtimeMs) < rule.graceMs) return [];
  const surplus = (await olderFiles(context, live.inode)).slice(rule.keepOldFiles);
  for (const path of surplus) await mapped(path, () => fs.unlink(path));
  if (surplus.length > 0) await mapped(context.folder, () => fs.syncFolder(context.folder));
  return surplus;
}

/** Ours, whole, not live; the newest certificate first. */
async function olderFiles(context: StoreContext, liveInode: number): Promise<readonly string[]> {
  const own = await readLedger(context);
  const found: { readonly path: string; readonly notBeforeMs: number }[] = [];
  for (const name of await listPairFiles(context)) {
    const path = join(context.folder, name);
    const facts = await context.fs.lstat(path);
    if (own?.has(name) !== true || facts === undefined || facts.inode === liveInode) continue;
    const reading = await readPair(context, [path]);
    if (reading.kind === 'whole') found.push({ path, notBeforeMs: reading.pair.chain.leaf.notBefore.getTime() });
  }
  return found.sort((one, other) => other.notBeforeMs - one.notBeforeMs).map(({ path }) => path);
}
