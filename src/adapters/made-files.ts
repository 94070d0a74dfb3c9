import { rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PURPOSES, type Purpose } from '../csr/template.ts';
import { isCertletError } from '../errors.ts';
import { parseYaml } from '../kubeconfig/yaml.ts';
import { kubeconfigUser } from '../kubelet/kubeconfig-user.ts';
import { parseChain } from '../pki/certificate.ts';
import { errnoOf, fileError } from './file-errors.ts';
import { SaidOnce } from '../said-once.ts';
import type { FileSystem } from './file-system.ts';
import { isTemporary, readIfPresent } from './files.ts';
import { FILE_LIMIT_BYTES, type StoreContext } from './store/context.ts';
import { readLedger } from './store/ledger.ts';
import { besideFolder, isQuarantined, quarantineFolder } from './store/quarantine.ts';
import {
  bootstrapKeyPath,
  currentPath,
  legacyPaths,
  linkedName,
  listPairFiles,
  updatedPath,
} from './store/pair-files.ts';

export interface MadeFilesOptions {
  readonly fs: FileSystem;
  readonly certDir: string;
  readonly stateDir: string;
  readonly kubeconfig: string;
  /** Only where it shall go too. */
  readonly bootstrapKubeconfig: string | undefined;
  readonly plainFiles: Readonly<Partial<Record<Purpose, { readonly certFile: string; readonly keyFile: string }>>>;
  /** What a stopped daemon leaves for others to read: status file, metrics file. Listed where they are there. */
  readonly published?: readonly string[];
  /** Files that stay, whose interrupted writes go all the same: a token may be in one. */
  readonly leftovers?: readonly string[];
  readonly uid: number;
}

export interface ListedFile {
  readonly path: string;
  /** What it is, or why it stays. */
  readonly remark: string;
}

/** What certlet made on this host, and what lies beside it. */
export interface MadeFiles {
  /** In the order in which it can be removed: an interruption leaves a state from which it can be done again. */
  readonly remove: readonly ListedFile[];
  readonly keep: readonly ListedFile[];
}

interface Lists {
  readonly remove: ListedFile[];
  readonly keep: ListedFile[];
}

const STATE_FILES: readonly string[] = [
  'client-pending.json',
  'client-history.json',
  'serving-pending.json',
  'serving-history.json',
  'hooks.json',
  'kubeconfig-write.json',
  // Last: they tell which pairs are certlet's.
  'client-ledger.json',
  'serving-ledger.json',
];

/** Looks at the disk, changes nothing. Pairs count as certlet's when its ledger has them: written by it, or there when it took the folder over. */
export async function listMadeFiles(options: MadeFilesOptions): Promise<MadeFiles> {
  const context: StoreContext = {
    fs: options.fs,
    certDir: resolve(options.certDir),
    stateDir: resolve(options.stateDir),
    uid: options.uid,
    warn: () => undefined,
    said: new SaidOnce(),
  };
  const lists: Lists = { remove: [], keep: [] };
  for (const path of options.published ?? []) {
    if ((await context.fs.lstat(path)) !== undefined) lists.remove.push({ path, remark: 'told about these files' });
  }
  await listKubeconfigs(context, options, lists);
  for (const purpose of PURPOSES) await listPairs(context, purpose, options.plainFiles[purpose], lists);
  await listKubeletFiles(context, lists);
  await listState(context, lists);
  for (const folder of quarantineFolders(context)) await listQuarantine(context, folder, lists);
  await listTemporaries(context, options, lists);
  return lists;
}

/** Removes the files in order. What is gone already is fine. Throws `ERR_STORE_READ_ONLY`, `ERR_STORE_IO`. */
export async function removeFiles(fs: FileSystem, files: readonly ListedFile[]): Promise<void> {
  for (const { path } of files) {
    try {
      await fs.unlink(path);
    } catch (error) {
      throw fileError(error, path);
    }
  }
  for (const folder of new Set(files.map(({ path }) => dirname(path)))) {
    if ((await fs.stat(folder)) !== undefined) await fs.syncFolder(folder);
  }
}

/** Removes a folder if nothing is in it; resolves to whether it is gone. */
export async function removeEmptyFolder(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'ENOENT') return true;
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EBUSY'].includes(errno)) return false;
    throw fileError(error, path);
  }
}

async function listKubeconfigs(context: StoreContext, options: MadeFilesOptions, lists: Lists): Promise<void> {
  const { kubeconfig: path, bootstrapKubeconfig } = options;
  const text = await readIfPresent(context.fs, path, FILE_LIMIT_BYTES);
  if (text !== undefined) {
    const ours = certificatePathOf(text, path) === currentPath(context, 'client');
    if (ours) lists.remove.push({ path, remark: "the node's kubeconfig" });
    else lists.keep.push({ path, remark: "it does not name certlet's pair, so certlet did not write it" });
  }
  if (bootstrapKubeconfig !== undefined && (await context.fs.lstat(bootstrapKubeconfig)) !== undefined) {
    lists.remove.push({ path: bootstrapKubeconfig, remark: 'the bootstrap kubeconfig' });
  }
}

function certificatePathOf(text: string, path: string): string | undefined {
  try {
    const named = kubeconfigUser(parseYaml(text, path).value)?.certificatePath;
    return named === undefined ? undefined : resolve(dirname(path), named);
  } catch (error) {
    if (isCertletError(error)) return undefined;
    throw error;
  }
}

type Plain = { readonly certFile: string; readonly keyFile: string } | undefined;

async function listPairs(context: StoreContext, purpose: Purpose, plain: Plain, lists: Lists): Promise<void> {
  const { fs, certDir } = context;
  const ledger = (await readLedger(context, purpose)) ?? new Set<string>();
  const pairFiles = await listPairFiles(context, purpose);
  for (const link of [currentPath(context, purpose), updatedPath(context, purpose)]) {
    if ((await fs.lstat(link)) === undefined) continue;
    const name = await linkedName(context, pairFiles, link);
    if (name !== undefined && ledger.has(name))
      lists.remove.push({ path: link, remark: `link of the ${purpose} pair` });
    else lists.keep.push({ path: link, remark: NOT_OURS });
  }
  const certificates = new Set<string>();
  for (const name of pairFiles) {
    const path = join(certDir, name);
    if (!ledger.has(name)) {
      lists.keep.push({ path, remark: NOT_OURS });
      continue;
    }
    lists.remove.push({ path, remark: `${purpose} pair` });
    const fingerprint = await leafFingerprint(fs, path);
    if (fingerprint !== undefined) certificates.add(fingerprint);
  }
  if (plain !== undefined) await listPlainFiles(fs, plain, certificates, lists);
}

const NOT_OURS = 'certlet did not write it; while it is valid, certlet uses it again';

/** Plain files are certlet's as long as they hold the certificate of one of its pairs. */
async function listPlainFiles(
  fs: FileSystem,
  plain: NonNullable<Plain>,
  certificates: ReadonlySet<string>,
  lists: Lists,
): Promise<void> {
  const fingerprint = await leafFingerprint(fs, plain.certFile);
  const ours = fingerprint !== undefined && certificates.has(fingerprint);
  for (const path of [plain.certFile, plain.keyFile]) {
    if ((await fs.lstat(path)) === undefined) continue;
    if (ours) lists.remove.push({ path, remark: 'pair as plain files' });
    else lists.keep.push({ path, remark: NOT_OURS });
  }
}

async function leafFingerprint(fs: FileSystem, path: string): Promise<string | undefined> {
  try {
    const text = await readIfPresent(fs, path, FILE_LIMIT_BYTES);
    return text === undefined ? undefined : parseChain(text).leaf.fingerprint;
  } catch (error) {
    if (isCertletError(error, 'ERR_CERTIFICATE_INVALID')) return undefined;
    throw error;
  }
}

/** Files that a kubelet makes under names that certlet reads, too. */
async function listKubeletFiles(context: StoreContext, lists: Lists): Promise<void> {
  const legacy = PURPOSES.flatMap((purpose) => Object.values<string>({ ...legacyPaths(context, purpose) }));
  const listed = new Set([...lists.remove, ...lists.keep].map(({ path }) => path));
  for (const path of [...legacy, bootstrapKeyPath(context)]) {
    if (listed.has(path) || (await context.fs.lstat(path)) === undefined) continue;
    lists.keep.push({ path, remark: NOT_OURS });
  }
}

async function listState(context: StoreContext, lists: Lists): Promise<void> {
  const { fs, certDir, stateDir } = context;
  const names = await fs.readdir(stateDir);
  for (const [folder, present] of [
    [certDir, await fs.readdir(certDir)],
    [stateDir, names],
  ] as const) {
    for (const name of present.filter((name) => isTemporary(name)))
      lists.remove.push({ path: join(folder, name), remark: INTERRUPTED });
  }
  for (const name of STATE_FILES.filter((name) => names.includes(name))) {
    lists.remove.push({ path: join(stateDir, name), remark: 'state' });
  }
  const known = [...STATE_FILES, basename(quarantineFolder(context))];
  for (const name of names.filter((name) => !known.includes(name) && !isTemporary(name)))
    lists.keep.push({ path: join(stateDir, name), remark: 'certlet knows no such file' });
}

const INTERRUPTED = 'left by an interrupted write; it may hold a key or a token';

/** Folders that the store moves files into which cannot be used; empty once `remove` is done, unless somebody else put something there. */
export function quarantineFolders(folders: Pick<StoreContext, 'certDir' | 'stateDir'>): readonly string[] {
  return [quarantineFolder(folders), besideFolder(folders.certDir), besideFolder(folders.stateDir)];
}

/** Whoever wrote them: they cannot be used, and among them are private keys of this node. */
async function listQuarantine({ fs }: StoreContext, folder: string, lists: Lists): Promise<void> {
  if ((await fs.lstat(folder))?.kind !== 'folder') return;
  for (const name of await fs.readdir(folder)) {
    const path = join(folder, name);
    const facts = await fs.lstat(path);
    if (isQuarantined(name) && facts?.kind !== 'folder')
      lists.remove.push({ path, remark: 'moved aside since it could not be used; it may hold a key' });
    else lists.keep.push({ path, remark: 'certlet knows no such file' });
  }
}

/** Beside files in folders where others have theirs: only those of our own names. */
async function listTemporaries({ fs }: StoreContext, options: MadeFilesOptions, lists: Lists): Promise<void> {
  const { kubeconfig, bootstrapKubeconfig, leftovers = [], plainFiles, published = [] } = options;
  const plain = PURPOSES.flatMap((purpose) => Object.values(plainFiles[purpose] ?? {}));
  const files = [kubeconfig, ...(bootstrapKubeconfig === undefined ? [] : [bootstrapKubeconfig]), ...plain];
  const listed = new Set(lists.remove.map(({ path }) => path));
  for (const file of new Set([...files, ...published, ...leftovers].map((path) => resolve(path)))) {
    for (const name of (await fs.readdir(dirname(file))).filter((name) => isTemporary(name, basename(file)))) {
      const path = join(dirname(file), name);
      if (!listed.has(path)) lists.remove.push({ path, remark: INTERRUPTED });
    }
  }
}
