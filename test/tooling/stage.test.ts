import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { bundle } from '../../config/tooling/bundle.ts';
import { thirdPartyLicenses } from '../../config/tooling/licenses.ts';
import { shippedPackages } from '../../config/tooling/sbom.ts';
import { stripElf } from '../../config/tooling/strip-elf.ts';
import { bareEnvironment } from '../fixtures/environment.ts';

const root = resolve(import.meta.dirname, '../..');
const stageTool = join(root, 'config/tooling/stage.ts');

const folder = mkdtempSync(join(tmpdir(), 'certlet stage '));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** Stages as `npm run stage` does, under this umask, with these other programs at hand. */
function staged(name: string, umask: string, programs: Readonly<Record<string, string>>): string {
  const bin = join(folder, `${name}-bin`);
  mkdirSync(bin);
  for (const [program, text] of Object.entries(programs)) writeFileSync(join(bin, program), text, { mode: 0o755 });
  const script = 'umask "$0"; exec "$@"';
  const command = [script, umask, process.execPath, stageTool, join(folder, name)];
  execFileSync('/bin/sh', ['-c', ...command], { env: { ...bareEnvironment(), PATH: bin }, stdio: 'pipe' });
  return join(folder, name);
}

/** Path, mode and digest of everything below a folder. */
function contents(below: string): readonly string[] {
  return readdirSync(below, { recursive: true, encoding: 'utf8' })
    .map((path) => {
      const { mode } = statSync(join(below, path));
      const isFolder = statSync(join(below, path)).isDirectory();
      const digest = isFolder
        ? ''
        : createHash('sha256')
            .update(readFileSync(join(below, path)))
            .digest('hex');
      return `${path} ${(mode & 0o7777).toString(8)} ${digest}`;
    })
    .sort();
}

const plain = staged('plain', '022', {});
const plainContents = contents(plain);

t.test('a machine without strip, or with another one, and another umask stages the same bytes and modes', async (t) => {
  const other = staged('other', '077', { strip: '#!/bin/sh\necho other > "$2"\n' });
  t.strictSame(contents(other), plainContents);
  const run = plainContents.filter((line) => / 755 [0-9a-f]/.test(line));
  t.match(run, [/^usr\/bin\/certlet /, /^usr\/lib\/certlet\/certlet-cache /, /^usr\/lib\/certlet\/node /]);
  t.equal(run.length, 3, 'nothing else can be run');
});

t.test('the staged Node is the one of the lockfile without its symbols, and runs the program', async (t) => {
  const node = join(plain, 'usr/lib/certlet/node');
  const whole = readFileSync(join(root, `node_modules/node-linux-${process.arch}/bin/node`));
  t.ok(statSync(node).size < 0.85 * whole.length, `${String(statSync(node).size)} of ${String(whole.length)} bytes`);
  const text = execFileSync(node, [join(plain, 'usr/lib/certlet/certlet.cjs'), '--version'], { encoding: 'utf8' });
  t.match(text, /^certlet \d/);
  t.ok(stripElf(readFileSync(node)).equals(readFileSync(node)), 'there is nothing more to take');
});

for (const row of [
  { name: 'a script', file: Buffer.from('#!/bin/sh\nexit 0\n'.padEnd(100)), words: /no 64 bit little-endian ELF/ },
  { name: 'an executable that lost its sections', file: headerAlone(), words: /no names of sections/ },
])
  t.test(`${row.name} is not taken for the Node that can be stripped`, async (t) => {
    t.throws(() => stripElf(row.file), { message: row.words });
  });

/** A file header that names no sections. */
function headerAlone(): Buffer {
  const file = Buffer.alloc(64);
  file.write('\u007fELF\u0002\u0001', 'latin1');
  return file;
}

t.test('a wish that stage does not know, such as symbols that stay, ends with 64', async (t) => {
  for (const args of [[], ['--no-strip'], [join(folder, 'x'), '--no-strip']]) {
    const { status, stderr } = spawnSync(process.execPath, [stageTool, ...args], { encoding: 'utf8' });
    t.equal(status, 64, args.join(' '));
    t.match(stderr, /usage: npm run stage -- DIR/);
  }
});

t.test('THIRD-PARTY-LICENSES has the licence of every package that is in the bundle, and of Node', async (t) => {
  const { inputs } = await bundle('src/main.ts', join(folder, 'certlet.cjs'));
  const places = Object.keys(inputs).flatMap((path) => /^(?:.*node_modules\/)(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  const node = `node_modules/node-linux-${process.arch}`;
  const shipped = [...new Set([...places, node])];
  t.ok(shipped.length > 20, `${String(shipped.length)} packages`);
  const text = readFileSync(join(plain, 'usr/share/doc/certlet/THIRD-PARTY-LICENSES'), 'utf8');
  t.equal(text, thirdPartyLicenses());
  const chapters = text.split(`${'='.repeat(80)}\n`);
  for (const place of shipped) {
    const { name, version } = JSON.parse(readFileSync(join(root, place, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    const at = chapters.findIndex((line) => line.startsWith(`${String(name)} ${String(version)} (`));
    t.match(chapters[at + 1] ?? '', /copyright|permission/i, `${String(name)} ${String(version)}`);
  }
  t.ok(text.includes(readFileSync(join(root, node, 'LICENSE'), 'utf8').trim()), "Node's own, with those of its parts");
  t.ok(text.includes('V8, located at deps/v8'));
});

t.test('THIRD-PARTY-LICENSES and the bill of materials name the same', async (t) => {
  const { components } = JSON.parse(readFileSync(join(plain, 'usr/share/doc/certlet/sbom.cdx.json'), 'utf8')) as {
    readonly components: readonly { readonly name: string; readonly version: string }[];
  };
  const names = [...thirdPartyLicenses().matchAll(/^=+\n(\S+ \S+) \(.*\)\n=+$/gm)].map(([, name]) => name);
  t.strictSame(
    names,
    components.map(({ name, version }) => `${name} ${version}`),
  );
});

t.test('a package that comes without a licence text is not shipped', async (t) => {
  const [first] = shippedPackages();
  if (first === undefined) throw new Error('nothing is shipped');
  t.throws(() => thirdPartyLicenses([{ ...first, place: 'config/rbac' }]), {
    message: /^config\/rbac has no licence text/,
  });
});
