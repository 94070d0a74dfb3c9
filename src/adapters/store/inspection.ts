import { join } from 'node:path';
import { isCertletError } from '../../errors.ts';
import { parsePrivateKey } from '../../pki/keys.ts';
import type { StoredPair } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import { readIfPresent } from '../files.ts';
import { FILE_LIMIT_BYTES, type StoreContext } from './store-context.ts';
import { currentPath, legacyPaths, linkTarget, listPairFiles } from './pair-files.ts';
import { type PairReading, readPair } from './pair-reading.ts';
import { moveAside } from './quarantine.ts';
import { settleCurrent } from './swap.ts';

/** Every whole pair of one certificate, best first; what cannot be used is moved aside or named in a warning. */
export async function inspectPairs(context: StoreContext): Promise<readonly StoredPair[]> {
  await settleCurrent(context);
  const current = await readCurrent(context);
  const others: StoredPair[] = [];
  for (const name of await listPairFiles(context)) {
    const path = join(context.folder, name);
    if (path === current?.path) continue;
    const reading = await readPair(context, [path]);
    if (reading.kind === 'whole') others.push({ path, origin: 'timestamped', pair: reading.pair });
    const isAside = reading.kind === 'broken' && (await moveAside(context, path, reading.reason));
    if (!isAside) warnIgnored(context, path, reading);
  }
  await clearBootstrapKey(context);
  const legacy = context.files.kubelet === undefined ? [] : await readLegacy(context);
  const ordered = [...others, ...legacy].sort(byNotAfterLatestFirst);
  return withoutCopies(current === undefined ? ordered : [current, ...ordered]);
}

async function readCurrent(context: StoreContext): Promise<StoredPair | undefined> {
  const link = currentPath(context);
  const reading = await readPair(context, [link]);
  warnIgnored(context, link, reading);
  if (reading.kind !== 'whole') return undefined;
  return { path: (await linkTarget(context, link)) ?? link, origin: 'current', pair: reading.pair };
}

/**
 * The kubelet's own `kubelet.crt` and `kubelet.key` are not among them: no cluster issued that pair. Two files may be caught in the
 * middle of a change by another program, and a kubelet may have them in use: they are left where they are.
 */
async function readLegacy(context: StoreContext): Promise<readonly StoredPair[]> {
  const { certFile, keyFile } = legacyPaths(context);
  const reading = await readPair(context, [certFile, keyFile]);
  warnIgnored(context, certFile, reading);
  return reading.kind === 'whole' ? [{ path: certFile, origin: 'legacy', pair: reading.pair }] : [];
}

/** client-go (keyutil.LoadOrGenerateKeyFile) fails for good at a key file that exists but cannot be parsed, such as an empty one. */
async function clearBootstrapKey(context: StoreContext): Promise<void> {
  const name = context.files.kubelet?.bootstrapKey;
  if (name === undefined) return;
  const path = join(context.folder, name);
  if ((await context.fs.lstat(path))?.kind !== 'file') return;
  try {
    parsePrivateKey(new Secret((await readIfPresent(context.fs, path, FILE_LIMIT_BYTES)) ?? ''));
  } catch (error) {
    if (!isCertletError(error)) throw error;
    if (error.code === 'ERR_KEY_INVALID') await moveAside(context, path, error.message);
  }
}

function warnIgnored(context: StoreContext, path: string, reading: PairReading): void {
  const thing = `pair ${path}`;
  if (!('reason' in reading)) context.said.over(thing);
  else if (context.said.isNews(thing, reading.reason))
    context.warn('Ignoring a pair that cannot be used', { path, reason: reading.reason });
}

function byNotAfterLatestFirst(one: StoredPair, other: StoredPair): number {
  return other.pair.chain.leaf.notAfter.getTime() - one.pair.chain.leaf.notAfter.getTime();
}

/** One certificate may lie in several files (plain files, a copy made at adoption): the first, most useful one stands for all. */
function withoutCopies(pairs: readonly StoredPair[]): readonly StoredPair[] {
  const seen = new Set<string>();
  return pairs.filter(({ pair }) => {
    const { fingerprint } = pair.chain.leaf;
    if (seen.has(fingerprint)) return false;
    seen.add(fingerprint);
    return true;
  });
}
