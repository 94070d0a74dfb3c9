import { rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { caFilePath } from './cluster-ca-files.ts';
import type { CertificateSpec, PlainFiles } from '../csr/spec.ts';
import { isCertletError } from '../errors.ts';
import { parseYaml } from '../kubeconfig/yaml.ts';
import { kubeconfigUser } from '../kubelet/kubeconfig-user.ts';
import { parseChain } from '../pki/certificate.ts';
import { errnoOf, fileError } from './file-errors.ts';
import { SaidOnce } from '../said-once.ts';
import type { FileSystem } from './file-system.ts';
import { isTemporary, readIfPresent } from './files.ts';
import { FILE_LIMIT_BYTES, type StoreContext, storeContext } from './store/store-context.ts';
import { readLedger } from './store/ledger.ts';
import { besideFolder, isQuarantined, quarantineFolder } from './store/quarantine.ts';
import { currentPath, legacyPaths, linkedName, listPairFiles, updatedPath } from './store/pair-files.ts';

export interface MadeFilesOptions {
  readonly fs: FileSystem;
  readonly certDir: string;
  readonly stateDir: string;
  /** Every certificate that is managed. */
  readonly specs: readonly CertificateSpec[];
  /** Only where it shall go too. */
  readonly bootstrapKubeconfig: string | undefined;
  /** What `certlet join --seal` made: the same, sealed and opened. */
  readonly sealedBootstrap?: readonly string[];
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

/** Ledgers last: they tell which pairs are certlet's. Also those of certificates that are not managed any more. */
const STATE_FILES = [
  /-pending\.json$/u,
  /-history\.json$/u,
  /^hooks\.json$/u,
  /^kubeconfig-write\.json$/u,
  /^cluster-ca\.json$/u,
  /^servers\.json$/u,
  /^certificates\.json$/u,
  /-ledger\.json$/u,
] as const;

async function listPresent(fs: FileSystem, paths: readonly string[], remark: string, lists: Lists): Promise<void> {
  for (const path of paths) if ((await fs.lstat(path)) !== undefined) lists.remove.push({ path, remark });
}

/** Looks at the disk, changes nothing. Pairs count as certlet's when its ledger has them: written by it, or there when it took the folder over. */
export async function listMadeFiles(options: MadeFilesOptions): Promise<MadeFiles> {
  const { fs, uid, specs, bootstrapKubeconfig } = options;
  const stateDir = resolve(options.stateDir);
  const shared = { fs, stateDir, uid, warn: () => undefined, said: new SaidOnce() };
  const contexts = specs.map((spec) => ({ spec, context: storeContext(spec, shared) }));
  const lists: Lists = { remove: [], keep: [] };
  await listPresent(fs, options.published ?? [], 'told about these files', lists);
  for (const { spec, context } of contexts) await listKubeconfig(context, spec, lists);
  const bootstrap = bootstrapKubeconfig === undefined ? [] : [bootstrapKubeconfig];
  await listPresent(fs, [...bootstrap, ...(options.sealedBootstrap ?? [])], 'the bootstrap kubeconfig', lists);
  for (const { context } of contexts) await listPairs(context, lists);
  for (const { context } of contexts) await listKubeletFiles(context, lists);
  const folders = contexts.map(({ context }) => context.folder);
  await listState(fs, { stateDir, folders: [...new Set(folders)] }, lists);
  for (const folder of quarantineFolders(options)) await listQuarantine(fs, folder, lists);
  await listTemporaries(options, lists);
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

async function listKubeconfig(
  context: StoreContext,
  { kubeconfig: path, isIdentity, name }: CertificateSpec,
  lists: Lists,
): Promise<void> {
  if (path === undefined) return;
  const text = await readIfPresent(context.fs, path, FILE_LIMIT_BYTES);
  if (text === undefined) return;
  const ours = certificatePathOf(text, path) === currentPath(context);
  if (!ours) {
    lists.keep.push({ path, remark: "it does not name certlet's pair, so certlet did not write it" });
    return;
  }
  lists.remove.push({ path, remark: isIdentity ? "the node's kubeconfig" : `the kubeconfig of ${name}` });
  const ca = caFilePath(context.folder);
  if (isIdentity && text.includes(ca)) await listPresent(context.fs, [ca], 'the CA of the kubeconfig', lists);
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

async function listPairs(context: StoreContext, lists: Lists): Promise<void> {
  const { fs, folder, name: purpose, files } = context;
  const ledger = (await readLedger(context)) ?? new Set<string>();
  const pairFiles = await listPairFiles(context);
  for (const link of [currentPath(context), updatedPath(context)]) {
    if ((await fs.lstat(link)) === undefined) continue;
    const name = await linkedName(context, pairFiles, link);
    if (name !== undefined && ledger.has(name))
      lists.remove.push({ path: link, remark: `link of the ${purpose} pair` });
    else lists.keep.push({ path: link, remark: NOT_OURS });
  }
  const certificates = new Set<string>();
  for (const name of pairFiles) {
    const path = join(folder, name);
    if (!ledger.has(name)) {
      lists.keep.push({ path, remark: NOT_OURS });
      continue;
    }
    lists.remove.push({ path, remark: `${purpose} pair` });
    const fingerprint = await leafFingerprint(fs, path);
    if (fingerprint !== undefined) certificates.add(fingerprint);
  }
  if (files.plain !== undefined) await listPlainFiles(fs, files.plain, certificates, lists);
}

const NOT_OURS = 'certlet did not write it; while it is valid, certlet uses it again';

/** Plain files are certlet's as long as they hold the certificate of one of its pairs. */
async function listPlainFiles(
  fs: FileSystem,
  plain: PlainFiles,
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
  const { kubelet } = context.files;
  if (kubelet === undefined) return;
  const { certFile, keyFile } = legacyPaths(context);
  const listed = new Set([...lists.remove, ...lists.keep].map(({ path }) => path));
  const key = kubelet.bootstrapKey === undefined ? [] : [join(context.folder, kubelet.bootstrapKey)];
  for (const path of [certFile, keyFile, ...key]) {
    if (listed.has(path) || (await context.fs.lstat(path)) === undefined) continue;
    lists.keep.push({ path, remark: NOT_OURS });
  }
}

async function listState(
  fs: FileSystem,
  { stateDir, folders }: { readonly stateDir: string; readonly folders: readonly string[] },
  lists: Lists,
): Promise<void> {
  for (const folder of [...folders, stateDir]) {
    for (const name of (await fs.readdir(folder)).filter((each) => isTemporary(each)))
      lists.remove.push({ path: join(folder, name), remark: INTERRUPTED });
  }
  const names = (await fs.readdir(stateDir)).filter((name) => !isTemporary(name));
  const state = STATE_FILES.flatMap((pattern) => names.filter((name) => pattern.test(name)));
  for (const name of state) lists.remove.push({ path: join(stateDir, name), remark: 'state' });
  const known = [...state, basename(quarantineFolder({ stateDir }))];
  for (const name of names.filter((each) => !known.includes(each)))
    lists.keep.push({ path: join(stateDir, name), remark: 'certlet knows no such file' });
}

const INTERRUPTED = 'left by an interrupted write; it may hold a key or a token';

/** Folders that the store moves files into which cannot be used; empty once `remove` is done, unless somebody else put something there. */
export function quarantineFolders({
  stateDir,
  specs,
}: Pick<MadeFilesOptions, 'stateDir' | 'specs'>): readonly string[] {
  const beside = [...specs.map(({ files }) => files.folder), stateDir].map((folder) => besideFolder(resolve(folder)));
  return [quarantineFolder({ stateDir: resolve(stateDir) }), ...new Set(beside)];
}

/** Whoever wrote them: they cannot be used, and among them are private keys of this node. */
async function listQuarantine(fs: FileSystem, folder: string, lists: Lists): Promise<void> {
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
async function listTemporaries(options: MadeFilesOptions, lists: Lists): Promise<void> {
  const { fs, specs, bootstrapKubeconfig, leftovers = [], published = [] } = options;
  const named = specs.flatMap(({ kubeconfig, files: { plain } }) => [kubeconfig, plain?.certFile, plain?.keyFile]);
  const files = [...named, bootstrapKubeconfig].filter((path) => path !== undefined);
  const listed = new Set(lists.remove.map(({ path }) => path));
  for (const file of new Set([...files, ...published, ...leftovers].map((path) => resolve(path)))) {
    for (const name of (await fs.readdir(dirname(file))).filter((name) => isTemporary(name, basename(file)))) {
      const path = join(dirname(file), name);
      if (!listed.has(path)) lists.remove.push({ path, remark: INTERRUPTED });
    }
  }
}
