/**
 * `npm run package -- DIR [--key FILE] [--quick] [--only KIND,...] [--architecture ARCH,...]`: every package into DIR, and SHA256SUMS over them. The same commit
 * gives the same bytes, in whatever folder; times are SOURCE_DATE_EPOCH, or the commit's.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Architecture, ARCHITECTURES } from './architecture.ts';
import type { Build } from './build.ts';
import { makeDebAndTar } from './deb.ts';
import { makeOciArchive } from './oci.ts';
import { makeRpm } from './rpm.ts';
import { NotInstalled } from './run-program.ts';
import { signSums, writeSums } from './sums.ts';
import { makeSysext } from './sysext.ts';
import { packageTree } from './tree.ts';

const root = resolve(import.meta.dirname, '../../..');
/** Of test harnesses: what is needed is not here. The suite of packages is skipped by it. */
const NOT_INSTALLED_STATUS = 77;
const USAGE =
  'usage: npm run package -- DIR [--key FILE] [--quick] [--only deb,rpm,sysext,oci] [--architecture amd64,arm64]';

/** Makers by what `--only` calls them; each gives the names of the files that it wrote. */
const MAKERS: Readonly<Record<string, (build: Build) => Promise<readonly string[]>>> = {
  deb: makeDebAndTar,
  rpm: makeRpm,
  sysext: makeSysext,
  oci: makeOciArchive,
};

interface Wishes {
  readonly output: string;
  readonly key: string | undefined;
  readonly quick: boolean;
  readonly kinds: readonly string[];
  readonly architectures: readonly Architecture[];
}

/** Makes what is wished for and gives the names of all files. */
async function makePackages(wishes: Wishes): Promise<readonly string[]> {
  mkdirSync(wishes.output, { recursive: true });
  const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
  const epochSeconds = sourceDate();
  const made = await Promise.all(
    wishes.architectures.map(async (architecture) => {
      const work = workFolder();
      try {
        const tree = join(work, 'tree');
        mkdirSync(tree);
        await packageTree(tree, { architecture, version, epochSeconds });
        const { output, quick } = wishes;
        const build = { architecture, version, tree, work, output, epochSeconds, quick };
        const names: string[] = [];
        for (const kind of wishes.kinds) names.push(...((await MAKERS[kind]?.(build)) ?? []));
        return names;
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    }),
  );
  const names = made.flat();
  writeSums(wishes.output, names);
  if (wishes.key !== undefined) signSums(wishes.output, wishes.key);
  return names;
}

/** rpmbuild and others split paths at blanks. */
function workFolder(): string {
  const below = /^[\w./-]+$/.test(tmpdir()) ? tmpdir() : '/tmp';
  const folder = mkdtempSync(join(below, 'certlet-package-'));
  chmodSync(folder, 0o755);
  return folder;
}

/** https://reproducible-builds.org/specs/source-date-epoch/ */
function sourceDate(): number {
  const given = process.env['SOURCE_DATE_EPOCH'];
  const { stdout, status } =
    given === undefined
      ? spawnSync('git', ['-C', root, 'log', '-1', '--format=%ct'], { encoding: 'utf8' })
      : { stdout: given, status: 0 };
  if (status !== 0 || !/^\d+\s*$/.test(stdout))
    throw new Error('no time for the files: set SOURCE_DATE_EPOCH (seconds), or build from a git checkout');
  return Number(stdout);
}

function wishesOf(args: readonly string[]): Wishes {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      key: { type: 'string' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: Object.keys(MAKERS).join(',') },
      architecture: { type: 'string', default: ARCHITECTURES.map(({ debian }) => debian).join(',') },
    },
  });
  const [output, ...rest] = positionals;
  const kinds = values.only.split(',');
  const named = values.architecture.split(',');
  const architectures = ARCHITECTURES.filter(({ debian }) => named.includes(debian));
  if (output === undefined || rest.length > 0) throw new TypeError('one folder, please');
  for (const kind of kinds)
    if (!Object.hasOwn(MAKERS, kind)) throw new TypeError(`--only: no package is called ${kind}`);
  if (architectures.length !== named.length) throw new TypeError(`--architecture: ${values.architecture}`);
  return { output: resolve(output), key: values.key, quick: values.quick, kinds, architectures };
}

// Modes in packages are the code's, and not the builder's.
process.umask(0o022);
try {
  const wishes = wishesOf(process.argv.slice(2));
  for (const name of await makePackages(wishes))
    console.log(`${name} ${String(statSync(join(wishes.output, name)).size)} bytes`);
  if (wishes.quick) console.log('--quick: hardly compressed; for tests, not to be published');
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  if (error instanceof TypeError) console.error(USAGE);
  process.exitCode = error instanceof TypeError ? 64 : error instanceof NotInstalled ? NOT_INSTALLED_STATUS : 1;
}
