/** The .rpm, by rpmbuild; it writes the format for other architectures too. */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Build } from './build.ts';
import { runProgram } from './run-program.ts';
import { isFile, pathsBelow, put } from './tree.ts';

const SPEC = resolve(import.meta.dirname, '../../packaging/rpm/certlet.spec');
/** In the tree, and not in this package: the spec removes them. */
const DEBIANS_OWN = /^usr\/share\/(?:lintian\/|doc\/certlet\/(?:copyright|changelog\.Debian\.gz)$)/;

/** Gives the name of the file that it wrote. */
export async function makeRpm(build: Build): Promise<readonly string[]> {
  const { architecture, epochSeconds, output, version, work } = build;
  const top = join(work, 'rpm');
  mkdirSync(top);
  put(join(top, 'files'), fileList(build.tree));
  const spec = readFileSync(SPEC, 'utf8')
    .replace('@VERSION@', version)
    .replace('@TREE@', build.tree)
    .replace('@FILES@', join(top, 'files'));
  put(join(top, 'certlet.spec'), spec);
  const name = `certlet-${version}-1.${architecture.rpm}.rpm`;
  const definitions = {
    _topdir: top,
    _rpmdir: top,
    _build_name_fmt: name,
    // Neither host nor hour of the build.
    _buildhost: 'certlet.invalid',
    use_source_date_epoch_as_buildtime: '1',
    clamp_mtime_to_source_date_epoch: '1',
    source_date_epoch_from_changelog: '0',
    // rpm knows no filter for programs, and stays below 28 MB from here on; it needs 33 MB of memory to unpack.
    _binary_payload: build.quick ? 'w0.xzdio' : 'w8.xzdio',
  };
  const words = Object.entries(definitions).flatMap(([key, value]) => ['--define', `${key} ${value}`]);
  const target = ['--target', `${architecture.rpm}-linux`];
  await runProgram('rpmbuild', ['-bb', '--quiet', ...target, ...words, join(top, 'certlet.spec')], {
    env: { HOME: work, SOURCE_DATE_EPOCH: String(epochSeconds) },
  });
  await runProgram('mv', [join(top, name), join(output, name)]);
  return [name];
}

/** `%files`: every file with its mode, and the folders that are certlet's alone. */
function fileList(tree: string): string {
  const lines = pathsBelow(tree)
    .filter((path) => !DEBIANS_OWN.test(path))
    .flatMap((path) => {
      const mode = (statSync(join(tree, path)).mode & 0o7777).toString(8).padStart(4, '0');
      const target = path.replace('zsh/vendor-completions', 'zsh/site-functions');
      if (isFile(join(tree, path))) return [`${kindOf(path)}%attr(${mode},root,root) "/${target}"`];
      return path.includes('/certlet') ? [`%dir %attr(${mode},root,root) "/${target}"`] : [];
    });
  return `${lines.join('\n')}\n`;
}

/** What rpm may leave out on request, and what it lists as licence. */
function kindOf(path: string): string {
  if (/LICENSE/.test(basename(path))) return '%license ';
  return path.startsWith('usr/share/doc/') || path.startsWith('usr/share/man/') ? '%doc ' : '';
}
