import { basename, dirname, join } from 'node:path';
import { type CertificatePair, encodePair } from '../../pki/certificate.ts';
import { replaceFile, replaceLink } from '../files.ts';
import { attempted, type StoreContext } from './store-context.ts';
import { announce, readLedger } from './ledger.ts';
import { currentPath, freePairName, linkTarget, listPairFiles, updatedPath } from './pair-files.ts';
import { keyMode } from './key-mode.ts';
import { readPair } from './pair-reading.ts';
import { moveAside } from './quarantine.ts';

/**
 * Makes `-current.pem` a link or nothing. A regular file there, at which a kubelet stops (`expected .. to be a symlink but it is a
 * file`), is adopted if it holds a whole pair, else moved aside. Where the link is missing, a kubelet's interrupted swap is finished.
 */
export async function settleCurrent(context: StoreContext): Promise<void> {
  const link = currentPath(context);
  const facts = await context.fs.lstat(link);
  if (facts?.kind === 'link') return;
  if (facts === undefined) {
    await finishInterruptedSwap(context);
    return;
  }
  const reading = facts.kind === 'file' ? await readPair(context, [link]) : undefined;
  if (reading?.kind === 'unreadable') return;
  if (reading?.kind === 'whole') {
    const { pair, modifiedAt } = reading;
    await attempted(context, link, () => swapTo(context, { pair, at: modifiedAt }));
    return;
  }
  const reason = reading !== undefined && 'reason' in reading ? reading.reason : 'it is neither a link nor a file';
  await moveAside(context, link, reason);
}

/**
 * client-go (certificate_store.go: updateSymlink) removes `-current.pem` and then renames `-updated.pem` to it. Stopped between the
 * two it leaves no current link; its own next start renames, and so do we, if a whole pair lies behind it.
 */
async function finishInterruptedSwap(context: StoreContext): Promise<void> {
  const updated = updatedPath(context);
  if ((await context.fs.lstat(updated))?.kind !== 'link') return;
  const reading = await readPair(context, [updated]);
  // What cannot be judged now may be whole.
  if (reading.kind === 'unreadable' || reading.kind === 'unsafe') return;
  await attempted(context, updated, async () => {
    if (reading.kind === 'whole') await context.fs.rename(updated, currentPath(context));
    else await context.fs.unlink(updated);
    await context.fs.syncFolder(context.folder);
  });
  if (reading.kind === 'whole') context.warn('Finished a swap that a kubelet left half done', { path: updated });
}

/** Puts a pair behind the link and returns the path of its file. A file left by an interrupted run of the same is used. */
export async function swapTo(
  context: StoreContext,
  wanted: { readonly pair: CertificatePair; readonly at: Date },
): Promise<string> {
  const name = (await ownFileOf(context, wanted.pair)) ?? (await writePairFile(context, wanted));
  await replaceLink(context.fs, currentPath(context), name);
  return join(context.folder, name);
}

/** Points the link at a pair file in the cert-dir. The target is relative, so that the folder can be mounted elsewhere. */
export async function pointTo(context: StoreContext, path: string): Promise<void> {
  const link = currentPath(context);
  if ((await linkTarget(context, link)) === path) return;
  await replaceLink(context.fs, link, basename(path));
}

/**
 * Gives the pair in use the mode and group of a new one, where the settings or the group of the folder have become others since it was written: a
 * program that shall read it cannot wait for the next renewal. Nothing is taken from a group by this. Throws as `keyMode` and `replaceFile`.
 */
export async function shareWithGroup(
  context: StoreContext,
  { path, pair }: { readonly path: string; readonly pair: CertificatePair },
): Promise<void> {
  if (!context.files.groupReadable || dirname(path) !== context.folder) return;
  const mode = await keyMode(context, context.folder);
  const facts = await context.fs.lstat(path);
  if (typeof mode === 'number' || facts?.kind !== 'file' || (facts.mode === mode.mode && facts.gid === mode.gid))
    return;
  await replaceFile(context.fs, path, encodePair(pair).reveal(), mode);
}

/** Same leaf, same chain; the key follows from the leaf. */
export function samePair(one: CertificatePair, other: CertificatePair): boolean {
  return one.chain.pem === other.chain.pem;
}

/**
 * Tells watchers of any of the files that the pair changed. A kubelet (1.31 and later) that has `tlsCertFile` at the link watches by
 * inotify the file that the link named when the watch began, re-reads on any event and begins anew only when that file is removed
 * or renamed: a renamed link gives no event, and after a touch the watch stays where it was. So every file is touched, the live one
 * too: after a return to an older pair the watch may have been on it all the time.
 */
export async function touchFiles(context: StoreContext, previous: string | undefined): Promise<void> {
  const names = await listPairFiles(context);
  const paths = names.map((name) => join(context.folder, name));
  const elsewhere = previous !== undefined && dirname(previous) !== context.folder ? [previous] : [];
  const now = new Date();
  for (const path of [...paths, ...elsewhere])
    await attempted(context, path, async () => {
      if ((await context.fs.stat(path)) !== undefined) await context.fs.utimes(path, now);
    });
}

async function ownFileOf(context: StoreContext, pair: CertificatePair): Promise<string | undefined> {
  const own = await readLedger(context);
  for (const name of await listPairFiles(context)) {
    if (own?.has(name) !== true) continue;
    const reading = await readPair(context, [join(context.folder, name)]);
    if (reading.kind === 'whole' && samePair(reading.pair, pair)) return name;
  }
  return undefined;
}

async function writePairFile(
  context: StoreContext,
  wanted: { readonly pair: CertificatePair; readonly at: Date },
): Promise<string> {
  const name = await freePairName(context, wanted.at);
  await announce(context, name);
  await replaceFile(
    context.fs,
    join(context.folder, name),
    encodePair(wanted.pair).reveal(),
    await keyMode(context, context.folder),
  );
  return name;
}
