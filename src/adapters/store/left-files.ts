import { type Remedy, shellWord } from '../../remedy.ts';
import { dirname, join } from 'node:path';
import type { CertificateSpec } from '../../csr/spec.ts';
import type { FileSystem } from '../file-system.ts';
import { ensureFolder, readIfPresent, replaceFile } from '../files.ts';
import { FILE_LIMIT_BYTES } from './store-context.ts';

/** Files of a certificate that the settings name, or named once. Absolute paths; a pair stands for its link, whose folder holds the rest. */
export interface FilesOf {
  readonly name: string;
  readonly files: readonly string[];
}

/** What the settings name now, and what they named before and left behind. */
export interface ManagedFiles {
  readonly managed: readonly FilesOf[];
  readonly left: readonly FilesOf[];
}

/** In the state folder. */
export const MANAGED_FILE = 'certificates.json';

const NOTHING: ManagedFiles = { managed: [], left: [] };

/**
 * What an entry of `certificates` names. The kubelet's own two are not among them: their files are in the kubelet's places, and a kubelet may go on with
 * them by itself.
 */
export function filesOfEntries(
  specs: readonly CertificateSpec[],
  currentPath: (name: string) => string,
): readonly FilesOf[] {
  return specs
    .filter(({ files }) => files.kubelet === undefined)
    .map(({ name, kubeconfig, files: { plain } }) => ({
      name,
      files: [currentPath(name), plain?.certFile, plain?.keyFile, kubeconfig].filter((path) => path !== undefined),
    }));
}

/** What the settings left behind between two of their states, and of that what is news. Files that they name again are not left any more. */
export function nextManaged(
  before: ManagedFiles,
  managed: readonly FilesOf[],
): { readonly next: ManagedFiles; readonly news: readonly FilesOf[] } {
  const named = new Set(managed.flatMap(({ files }) => files));
  const dropped = (entries: readonly FilesOf[]): readonly FilesOf[] =>
    entries
      .map(({ name, files }) => ({ name, files: files.filter((file) => !named.has(file)) }))
      .filter(({ files }) => files.length > 0);
  const news = dropped(before.managed);
  return { next: { managed, left: merged([...dropped(before.left), ...news]) }, news };
}

function merged(entries: readonly FilesOf[]): readonly FilesOf[] {
  const files = new Map<string, Set<string>>();
  for (const { name, files: more } of entries) files.set(name, new Set([...(files.get(name) ?? []), ...more]));
  return [...files].map(([name, paths]) => ({ name, files: [...paths] }));
}

/** Of these the files that are still there; who removed them has done with them. What cannot be looked at counts as there. */
export async function stillThere(fs: FileSystem, left: readonly FilesOf[]): Promise<readonly FilesOf[]> {
  const present = async (path: string): Promise<boolean> =>
    await fs.lstat(path).then(
      (facts) => facts !== undefined,
      () => true,
    );
  const looked = await Promise.all(
    left.map(async ({ name, files }) => {
      const there = await Promise.all(files.map(present));
      return { name, files: files.filter((_file, index) => there[index]) };
    }),
  );
  return looked.filter(({ files }) => files.length > 0);
}

/** How a person removes them, once nobody reads them. A pair is more than its link: its folder holds the files behind it. */
export const removal = (files: readonly string[]): Remedy =>
  `rm ${files.map(removed).join(' ')}   # when nobody reads them any more`;

const removed = (path: string): string => {
  const stem = path.replace(/current\.pem$/, '');
  return stem === path ? shellWord(path) : `${shellWord(stem)}*.pem`;
};

/** The record of a state folder; nothing where there is none or it is none. Throws `ERR_STORE_IO` when it is there and cannot be read. */
export async function readManaged(fs: FileSystem, stateDir: string): Promise<ManagedFiles> {
  const text = await readIfPresent(fs, join(stateDir, MANAGED_FILE), FILE_LIMIT_BYTES);
  return (text === undefined ? undefined : decode(text)) ?? NOTHING;
}

/** Durable before it resolves. Throws `ERR_STORE_FULL`, `ERR_STORE_READ_ONLY`, `ERR_STORE_IO`. */
export async function writeManaged(fs: FileSystem, stateDir: string, record: ManagedFiles): Promise<void> {
  const path = join(stateDir, MANAGED_FILE);
  await ensureFolder(fs, dirname(path), 0o700);
  await replaceFile(fs, path, `${JSON.stringify({ version: 1, ...record }, undefined, 2)}\n`, 0o600);
}

/** Replaced as a whole, so what is no record is a damaged disk; the price is a line that is said once more or not at all. */
function decode(text: string): ManagedFiles | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { managed, left }: { managed?: unknown; left?: unknown } = value;
    return { managed: entriesOf(managed), left: entriesOf(left) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const entriesOf = (value: unknown): readonly FilesOf[] => (Array.isArray(value) ? value.flatMap(entryOf) : []);

function entryOf(value: unknown): readonly FilesOf[] {
  if (typeof value !== 'object' || value === null) return [];
  const { name, files }: { name?: unknown; files?: unknown } = value;
  if (typeof name !== 'string' || !Array.isArray(files)) return [];
  return [{ name, files: files.filter((file): file is string => typeof file === 'string') }];
}
