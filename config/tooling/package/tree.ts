/** The tree that every package carries: what `npm run stage` lays out, and what distributions want besides. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { stage } from '../stage.ts';
import type { Architecture } from './architecture.ts';
import { nodePackage } from './node-package.ts';

const root = resolve(import.meta.dirname, '../../..');

export interface TreeOptions {
  readonly architecture: Architecture;
  readonly version: string;
  readonly epochSeconds: number;
}

/** Fills an empty folder. */
export async function packageTree(folder: string, options: TreeOptions): Promise<void> {
  const { architecture, epochSeconds } = options;
  await stage(folder, { architecture: architecture.node, nodePackage: await nodePackage(architecture.node) });
  completeTree(folder, options);
  settleTimes(folder, epochSeconds);
}

/** Man pages compressed, and Debian's files in the folder of documents: what is staged becomes what a package may hold. */
export function completeTree(folder: string, { version, epochSeconds }: TreeOptions): void {
  const at = (path: string): string => join(folder, path);
  for (const page of ['man8/certlet.8', 'man5/certlet-config.5']) {
    put(at(`usr/share/man/${page}.gz`), gzipSync(readFileSync(at(`usr/share/man/${page}`)), { level: 9 }));
    rmSync(at(`usr/share/man/${page}`));
  }
  const documents = at('usr/share/doc/certlet');
  put(join(documents, 'copyright'), readFileSync(join(root, 'config/packaging/deb/copyright')));
  put(join(documents, 'changelog.Debian.gz'), gzipSync(debianChangelog(version, epochSeconds), { level: 9 }));
  put(at('usr/share/lintian/overrides/certlet'), readFileSync(join(root, 'config/packaging/deb/lintian-overrides')));
}

/** https://www.debian.org/doc/debian-policy/ch-source.html#debian-changelog-debian-changelog */
function debianChangelog(version: string, epochSeconds: number): string {
  const date = new Date(epochSeconds * 1000).toUTCString().replace('GMT', '+0000');
  return [
    `certlet (${version}-1) unstable; urgency=medium`,
    '',
    '  * See /usr/share/doc/certlet/CHANGELOG.md.',
    '',
    ` -- ${MAINTAINER}  ${date}`,
    '',
  ].join('\n');
}

/** Whom a package names. Reports go to the repository, as SECURITY.md says. */
export const MAINTAINER = 'The certlet authors <certlet@noreply.invalid>';

/** Writes a file that others may read, making its folder. */
export function put(path: string, content: string | Buffer, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, content, { mode });
}

/** Every file and folder below `folder`, sorted, relative to it. */
export const pathsBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

export const isFile = (path: string): boolean => statSync(path).isFile();

/** One time for all that the build wrote. */
export function settleTimes(folder: string, epochSeconds: number): void {
  for (const path of [...pathsBelow(folder), '.']) utimesSync(join(folder, path), epochSeconds, epochSeconds);
}
