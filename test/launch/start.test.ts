/** The loader and the builder of the cache as bundles, on programs of a line, with the flags of the launcher. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { bundle, NODE_FLAGS } from '../../config/tooling/bundle.ts';
import { fullOutput, leftPipe } from '../fixtures/lost-outputs.ts';

const node = resolve(import.meta.dirname, '../../node_modules/.bin/node');
const isRoot = process.geteuid?.() === 0;
const folder = mkdtempSync(join(tmpdir(), 'certlet start '));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const built = join(folder, 'bundles');
await bundle('src/launch/start.ts', join(built, 'start.cjs'));
await bundle('src/launch/build-cache.ts', join(built, 'build-cache.cjs'));

class Installed {
  readonly #root: string;

  constructor(name: string) {
    this.#root = join(folder, name);
    cpSync(built, this.path('usr/lib/certlet'), { recursive: true });
    mkdirSync(this.path('var/cache'), { recursive: true });
    for (const each of ['', 'var', 'var/cache']) chmodSync(this.path(each), 0o755);
    this.program('certlet-run.cjs', 'run');
    this.program('certlet.cjs', 'whole');
  }

  path(below: string): string {
    return join(this.#root, below);
  }

  get cache(): string {
    return this.path('var/cache/certlet');
  }

  get cached(): readonly string[] {
    return readdirSync(this.cache).sort();
  }

  /** Texts of the same length give programs of the same length. */
  program(file: string, text: string): void {
    const words = JSON.stringify(text);
    const lines = `function told() { return ${words}; }\nconsole.log(told(), __filename.split('/').at(-1), typeof require);\n`;
    writeFileSync(this.path(`usr/lib/certlet/${file}`), `#!/usr/bin/env node\n${lines}`);
  }

  #node(
    file: string,
    args: readonly string[],
    { stdout = 'pipe', wrap = [] }: { readonly stdout?: number | 'pipe'; readonly wrap?: readonly string[] } = {},
  ): { readonly status: number | null; readonly out: string; readonly err: string } {
    const program = this.path(`usr/lib/certlet/${file}`);
    const [started = '', ...words] = [...wrap, node, ...NODE_FLAGS, program, ...args];
    const ended = spawnSync(started, words, {
      encoding: 'utf8',
      cwd: '/',
      stdio: ['ignore', stdout, 'pipe'],
    });
    return { status: ended.status, out: ended.stdout, err: ended.stderr };
  }

  build(wrap: readonly string[] = []): ReturnType<Installed['start']> {
    return this.#node('build-cache.cjs', [], { wrap });
  }

  start(...args: readonly string[]): { readonly status: number | null; readonly out: string; readonly err: string } {
    return this.#node('start.cjs', args);
  }

  /** With standard output in another place than a pipe. */
  startInto(stdout: number, ...args: readonly string[]): Omit<ReturnType<Installed['start']>, 'out'> {
    const { status, err } = this.#node('start.cjs', args, { stdout });
    closeSync(stdout);
    return { status, err };
  }

  /** The one cached program, in the place of what the next text gives. */
  keepFor(file: string, text: string): void {
    const before = this.cached;
    rmSync(this.path('keep'), { recursive: true, force: true });
    cpSync(this.cache, this.path('keep'), { recursive: true });
    this.program(file, text);
    this.build();
    const [name = ''] = this.cached.filter((each) => !before.includes(each));
    const [old = ''] = before.filter((each) => !this.cached.includes(each));
    renameSync(this.path(`keep/${old}`), join(this.cache, name));
  }
}

const ran = (text: string, file: string): object => ({ status: 0, out: `${text} ${file} function\n`, err: '' });

t.test('without a cache the programs run as they are', async (t) => {
  const installed = new Installed('absent');
  t.strictSame(installed.start('run'), ran('run', 'certlet-run.cjs'));
  t.strictSame(installed.start('once', '--timeout', '1s'), ran('run', 'certlet-run.cjs'));
  t.strictSame(installed.start('status'), ran('whole', 'certlet.cjs'));
  t.strictSame(installed.start(), ran('whole', 'certlet.cjs'));
});

t.test('--version alone starts no program', async (t) => {
  const installed = new Installed('version');
  rmSync(installed.path('usr/lib/certlet/certlet.cjs'));
  const { status, out } = installed.start('--version');
  t.equal(status, 0);
  t.match(out, /^certlet \d+\.\d+\.\d+\n$/);
});

t.test('--version that cannot be printed ended with a stack of Node', async (t) => {
  const installed = new Installed('lost version');
  t.strictSame(installed.startInto(fullOutput(), '--version'), {
    status: 1,
    err: 'certlet: standard output: no space left on device (ENOSPC)\n',
  });
  t.strictSame(installed.startInto(leftPipe(), '--version'), { status: 0, err: '' });
});

t.test(
  'a cache is made for each program, and made anew only where it is missing',
  { skip: isRoot ? false : 'needs root' },
  async (t) => {
    const installed = new Installed('built bundles');
    t.strictSame(installed.build(), { status: 0, out: '', err: '' });
    const names = installed.cached;
    t.equal(names.length, 2);
    for (const name of names) t.equal(statSync(join(installed.cache, name)).mode & 0o777, 0o644);
    t.strictSame(installed.start('run'), ran('run', 'certlet-run.cjs'));
    const inode = (): readonly number[] => names.map((name) => statSync(join(installed.cache, name)).ino);
    const before = inode();
    t.strictSame(installed.build(), { status: 0, out: '', err: '' });
    t.strictSame(inode(), before);
    installed.program('certlet-run.cjs', 'another');
    mkdirSync(join(installed.cache, 'of-another.v8-cache'));
    t.strictSame(installed.build(), { status: 0, out: '', err: '' });
    t.equal(installed.cached.length, 2, 'that of the program before is gone, and a folder of such a name');
  },
);

t.test('the compiled form is what runs', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const installed = new Installed('used');
  installed.build();
  installed.keepFor('certlet-run.cjs', 'won');
  t.strictSame(
    installed.start('run'),
    ran('run', 'certlet-run.cjs'),
    'the text says won: V8 compares no more than its length',
  );
  t.test('but not where everybody could have written it', async (t) => {
    chmodSync(installed.cache, 0o777);
    t.strictSame(installed.start('run'), ran('won', 'certlet-run.cjs'));
    chmodSync(installed.cache, 0o755);
  });
  t.test('nor with a flipped bit', async (t) => {
    for (const name of installed.cached) {
      const bytes = readFileSync(join(installed.cache, name));
      bytes[bytes.length - 100] = (bytes.at(-100) ?? 0) ^ 4;
      writeFileSync(join(installed.cache, name), bytes);
    }
    t.strictSame(installed.start('run'), ran('won', 'certlet-run.cjs'));
    t.strictSame(installed.build(), { status: 0, out: '', err: '' }, 'and it is mended');
    t.strictSame(installed.start('run'), ran('won', 'certlet-run.cjs'));
  });
});

t.test(
  'a program of the same length in its place does not run as the one before',
  { skip: isRoot ? false : 'needs root' },
  async (t) => {
    const installed = new Installed('same length');
    installed.build();
    installed.program('certlet-run.cjs', 'won');
    t.strictSame(installed.start('run'), ran('won', 'certlet-run.cjs'));
  },
);

t.test(
  'what an ordinary user built is used by nobody, and it says so',
  { skip: isRoot ? 'needs an ordinary user' : false },
  async (t) => {
    const installed = new Installed('user');
    const { status, err } = installed.build();
    t.equal(status, 1);
    t.match(err, /no start will use what was written/);
    t.strictSame(installed.start('run'), ran('run', 'certlet-run.cjs'));
  },
);

t.test('a disk that is full is told, and left as it was', async (t) => {
  const installed = new Installed('full');
  const { status, err } = installed.build(['/bin/sh', '-c', 'ulimit -f 1; exec "$@"', 'sh']);
  t.equal(status, 1);
  t.match(err, /EFBIG[\s\S]*Mend what is named/);
  t.strictSame(installed.cached, []);
});

t.test('a folder that cannot be made is told, with what follows from it', async (t) => {
  const installed = new Installed('refused');
  writeFileSync(installed.cache, '');
  const { status, err } = installed.build();
  t.equal(status, 1);
  t.match(err, /EEXIST[\s\S]*certlet starts without it[\s\S]* \/usr\/lib\/certlet\/certlet-cache\n$/);
  t.strictSame(installed.start('run'), ran('run', 'certlet-run.cjs'));
});
