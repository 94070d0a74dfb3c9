/** The systemd-sysext image, for hosts whose /usr is read-only. https://uapi-group.org/specifications/specs/extension_image/ */
import { chmodSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import type { Build } from './build.ts';
import { copyLibraries, documentLibraries, RUNTIME_LIBRARIES } from './libraries.ts';
import { runProgram } from './run-program.ts';
import { put, settleTimes } from './tree.ts';

/** Name of the extension: the image is installed as `/var/lib/extensions/certlet.raw`. */
const EXTENSION = 'certlet';

/** Gives the name of the file that it wrote. */
export async function makeSysext(build: Build): Promise<readonly string[]> {
  const { architecture, epochSeconds, output, version, work } = build;
  const tree = join(work, 'sysext');
  cpSync(build.tree, tree, { recursive: true });
  chmodSync(tree, 0o755);
  copyLibraries(RUNTIME_LIBRARIES, architecture, join(tree, 'usr/lib/certlet/lib'));
  await documentLibraries(RUNTIME_LIBRARIES, architecture, tree);
  // Found by Node alone, and by nothing that Node starts, as LD_LIBRARY_PATH would be.
  const node = join(tree, 'usr/lib/certlet/node');
  const page = ['--page-size', String(architecture.pageBytes)];
  await runProgram('patchelf', [...page, '--set-rpath', '$ORIGIN/lib', node]);
  // Any distribution: everything that the program needs of the host is glibc and systemd.
  const release = ['ID=_any', `ARCHITECTURE=${architecture.systemd}`, 'EXTENSION_RELOAD_MANAGER=1', ''].join('\n');
  put(join(tree, `usr/lib/extension-release.d/extension-release.${EXTENSION}`), release);
  settleTimes(tree, epochSeconds);
  const name = `certlet-${version}-${architecture.systemd}.sysext.raw`;
  const time = ['-mkfs-time', String(epochSeconds), '-all-time', String(epochSeconds)];
  const compression = ['-comp', 'zstd', '-Xcompression-level', build.quick ? '1' : '19', '-b', '256K'];
  const plain = ['-all-root', '-no-xattrs', '-noappend', '-no-progress', '-quiet'];
  await runProgram('mksquashfs', [tree, join(output, name), ...plain, ...compression, ...time]);
  return [name];
}
