/** Shared libraries of this machine's Debian that go along where a host may lack them. */
import { copyFileSync, existsSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { chmodSync, mkdirSync } from 'node:fs';
import { thirdPartyLicenses } from '../licenses.ts';
import { sbom, shippedPackages, type SystemLibrary } from '../sbom.ts';
import type { Architecture } from './architecture.ts';
import { nodePackage } from './node-package.ts';
import { NotInstalled, runProgram } from './run-program.ts';
import { put } from './tree.ts';

/** File names, by Debian's package of them. */
export type LibraryList = Readonly<Record<string, readonly string[]>>;

/** What Node needs and small systems lack. */
export const RUNTIME_LIBRARIES: LibraryList = {
  libatomic1: ['libatomic.so.1'],
  'libstdc++6': ['libstdc++.so.6'],
  'libgcc-s1': ['libgcc_s.so.1'],
};

const isNative = ({ node }: Architecture): boolean => node === process.arch;

/** Debian's package on this machine: its own, or the one for cross-building. */
const packageFor = (name: string, architecture: Architecture): string =>
  isNative(architecture) ? name : `${name}-${architecture.debian}-cross`;

/** A library or loader of an architecture on this machine. Throws with the packages to install. */
export function libraryPath(file: string, architecture: Architecture): string {
  const { triplet } = architecture;
  const folder = isNative(architecture) ? `/usr/lib/${triplet}` : `/usr/${triplet}/lib`;
  const path = join(folder, file);
  if (existsSync(path)) return realpathSync(path);
  const names = ['libc6', ...Object.keys(RUNTIME_LIBRARIES)].map((name) => packageFor(name, architecture));
  throw new NotInstalled(`no ${path} on this machine: apt-get install ${names.join(' ')}`);
}

/** Copies libraries into a folder, under the names that programs ask for. */
export function copyLibraries(list: LibraryList, architecture: Architecture, folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  for (const file of Object.values(list).flat()) {
    copyFileSync(libraryPath(file, architecture), join(folder, file));
    chmodSync(join(folder, file), 0o644);
  }
}

/** Puts licences and the bill of materials of a tree right: with the libraries that lie in it. */
export async function documentLibraries(list: LibraryList, architecture: Architecture, tree: string): Promise<void> {
  const documents = join(tree, 'usr/share/doc/certlet');
  const libraries = await Promise.all(Object.keys(list).map((name) => installed(name, architecture)));
  const node = await nodePackage(architecture.node);
  const shipped = shippedPackages(architecture.node).map((entry) =>
    entry.name === `node-linux-${architecture.node}` ? { ...entry, place: node } : entry,
  );
  const chapters = libraries.map(
    ({ name, version, text }) => `${RULE}\n${name} ${version} (Debian)\n${RULE}\n\n${text}`,
  );
  rewrite(join(documents, 'THIRD-PARTY-LICENSES'), [thirdPartyLicenses(shipped), ...chapters].join('\n'));
  rewrite(join(documents, 'sbom.cdx.json'), sbom(architecture.node, libraries));
}

const RULE = '='.repeat(80);

async function installed(name: string, architecture: Architecture): Promise<SystemLibrary & { readonly text: string }> {
  const found = packageFor(name, architecture);
  const version = await runProgram('dpkg-query', ['--show', '--showformat=${Version}', found]);
  const copyright = `/usr/share/doc/${found}/copyright`;
  if (!existsSync(copyright)) throw new Error(`no ${copyright}, and the library may not be shipped without`);
  return { name, version, text: readFileSync(copyright, 'utf8') };
}

function rewrite(path: string, text: string): void {
  rmSync(path);
  put(join(dirname(path), path.slice(dirname(path).length + 1)), text);
}
