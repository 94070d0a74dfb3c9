/** The .deb, and the .tar.xz, which is its data member to the byte. https://man7.org/linux/man-pages/man5/deb.5.html */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { arOf, tarOf, xzOf } from './archive.ts';
import type { Build } from './build.ts';
import { isFile, MAINTAINER, pathsBelow, put, settleTimes } from './tree.ts';

const sources = resolve(import.meta.dirname, '../../packaging/deb');
const KIBIBYTE = 1024;

/** Gives the names of the two files that it wrote. */
export async function makeDebAndTar(build: Build): Promise<readonly string[]> {
  const { architecture, epochSeconds, output, version, work } = build;
  const data = join(work, 'data.tar');
  await tarOf(build.tree, data, epochSeconds);
  await xzOf(data, `${data}.xz`, build);
  const deb = await makeDeb(build, `${data}.xz`);
  const tar = `certlet-${version}-linux-${architecture.debian}.tar.xz`;
  copyFileSync(`${data}.xz`, join(output, tar));
  return [deb, tar];
}

/** A .deb around the tar of its tree, `data.tar` or `data.tar.xz`; gives its name. */
export async function makeDeb(build: Build, data: string): Promise<string> {
  const name = `certlet_${build.version}-1_${build.architecture.debian}.deb`;
  const control = await controlArchive(build);
  const members = [
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar.xz', readFileSync(control)],
    [basename(data), readFileSync(data)],
  ] as const;
  writeFileSync(join(build.output, name), arOf(members, build.epochSeconds));
  return name;
}

async function controlArchive(build: Build): Promise<string> {
  const folder = join(build.work, 'control');
  mkdirSync(folder, { mode: 0o755 });
  const files = pathsBelow(build.tree).filter((path) => isFile(join(build.tree, path)));
  const sizes = files.map((path) => Math.ceil(statSync(join(build.tree, path)).size / KIBIBYTE));
  const control = readFileSync(join(sources, 'control'), 'utf8')
    .replace('@VERSION@', build.version)
    .replace('@ARCHITECTURE@', build.architecture.debian)
    .replace('@MAINTAINER@', MAINTAINER)
    .replace('@INSTALLED_SIZE@', String(sizes.reduce((sum, size) => sum + size, 0)));
  put(join(folder, 'control'), control);
  for (const script of ['postinst', 'prerm', 'postrm'])
    put(join(folder, script), readFileSync(join(sources, script)), 0o755);
  const sums = files.map((path) => `${md5(join(build.tree, path))}  ${path}\n`);
  put(join(folder, 'md5sums'), sums.join(''));
  settleTimes(folder, build.epochSeconds);
  const archive = join(build.work, 'control.tar');
  await tarOf(folder, archive, build.epochSeconds);
  // The filter for machine code has nothing to do here.
  await xzOf(archive, `${archive}.xz`, { ...build, architecture: { ...build.architecture, filter: [] } });
  return `${archive}.xz`;
}

/** What dpkg --verify compares; against an attacker there is SHA256SUMS. */
const md5 = (path: string): string => createHash('md5').update(readFileSync(path)).digest('hex');
