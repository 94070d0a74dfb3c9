import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { cacheName, readCache, removeOtherCaches, writeCache } from '../../src/launch/code-cache.ts';
import { cacheFolder, programFor } from '../../src/launch/places.ts';

const SELF = process.geteuid?.() ?? 0;
const DATA = Buffer.from('what V8 made of it');
const root = mkdtempSync(join(tmpdir(), 'certlet cache '));
t.teardown(() => rmSync(root, { recursive: true, force: true }));
let made = 0;

/** A folder with one cache, of this user. */
function folder(): string {
  const path = join(root, String((made += 1)), 'certlet');
  mkdirSync(path, { recursive: true, mode: 0o755 });
  chmodSync(path, 0o755);
  writeCache(path, 'a.v8-cache', DATA);
  return path;
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

t.test('what was written is read, whatever the umask of the writer', async (t) => {
  const before = process.umask(0o077);
  const path = folder();
  process.umask(before);
  t.strictSame(readCache(path, 'a.v8-cache', SELF), { data: DATA });
});

for (const row of [
  { name: 'no such file', spoil: (_path: string) => undefined, file: 'b.v8-cache', verdict: 'absent' },
  { name: 'no such folder', spoil: (path: string) => rmSync(path, { recursive: true }), verdict: 'absent' },
  {
    name: 'a flipped bit of the first byte',
    spoil: (path: string) => flip(join(path, 'a.v8-cache'), 32),
    verdict: 'damaged',
  },
  {
    name: 'a flipped bit of the last byte',
    spoil: (path: string) => flip(join(path, 'a.v8-cache'), 31 + DATA.length),
    verdict: 'damaged',
  },
  {
    name: 'a flipped bit of its digest',
    spoil: (path: string) => flip(join(path, 'a.v8-cache'), 0),
    verdict: 'damaged',
  },
  {
    name: 'a file that a full disk cut short',
    spoil: (path: string) => truncateSync(join(path, 'a.v8-cache'), 40),
    verdict: 'damaged',
  },
  { name: 'an empty file', spoil: (path: string) => truncateSync(join(path, 'a.v8-cache'), 0), verdict: 'damaged' },
  {
    name: 'a file that its group can write',
    spoil: (path: string) => chmodSync(join(path, 'a.v8-cache'), 0o664),
    verdict: 'open to others',
  },
  {
    name: 'a file that everybody can write',
    spoil: (path: string) => chmodSync(join(path, 'a.v8-cache'), 0o646),
    verdict: 'open to others',
  },
  {
    name: 'a folder that everybody can write',
    spoil: (path: string) => chmodSync(path, 0o777),
    verdict: 'open to others',
  },
  {
    name: 'a sticky folder, in which others can put a file first',
    spoil: (path: string) => chmodSync(path, 0o1777),
    verdict: 'open to others',
  },
  {
    name: 'a folder above that everybody can write',
    spoil: (path: string) => chmodSync(join(path, '..'), 0o777),
    verdict: 'open to others',
  },
  {
    name: 'a link',
    spoil: (path: string) => {
      writeFileSync(join(path, 'elsewhere'), readFileSync(join(path, 'a.v8-cache')));
      rmSync(join(path, 'a.v8-cache'));
      symlinkSync('elsewhere', join(path, 'a.v8-cache'));
    },
    verdict: 'absent',
  },
  {
    name: 'a folder of that name',
    spoil: (path: string) => {
      rmSync(join(path, 'a.v8-cache'));
      mkdirSync(join(path, 'a.v8-cache'));
    },
    verdict: 'open to others',
  },
])
  t.test(`${row.name} is not run: ${row.verdict}`, async (t) => {
    const path = folder();
    row.spoil(path);
    t.strictSame(readCache(path, row.file ?? 'a.v8-cache', SELF), { verdict: row.verdict });
  });

t.test("another user's file is not run", { skip: SELF === 0 ? false : 'needs a file of root' }, async (t) => {
  t.strictSame(readCache(folder(), 'a.v8-cache', 12_345), { data: DATA }, 'root may own what a user runs');
});

t.test(
  'a file of an ordinary user is not run by others',
  { skip: SELF === 0 ? 'needs an ordinary user' : false },
  async (t) => {
    t.strictSame(readCache(folder(), 'a.v8-cache', 0), { verdict: 'open to others' });
  },
);

t.test('the name changes with program, Node and flags', async (t) => {
  const by = { node: ['v26'], flags: ['--a'] };
  const names = [
    cacheName(Buffer.from('abc'), by),
    cacheName(Buffer.from('abd'), by),
    cacheName(Buffer.from('abc'), { ...by, node: ['v27'] }),
    cacheName(Buffer.from('abc'), { ...by, flags: [] }),
    cacheName(Buffer.from('abc'), { ...by, flags: ['--b'] }),
  ];
  t.equal(new Set(names).size, names.length);
  t.equal(cacheName(Buffer.from('abc'), by), names[0]);
});

t.test('what other versions and a crash left goes, and nothing else', async (t) => {
  const path = folder();
  for (const name of ['b.v8-cache', '.c.v8-cache.17', 'README']) writeFileSync(join(path, name), '');
  for (const name of ['d.v8-cache', '.e.v8-cache.17']) mkdirSync(join(path, name, 'in it'), { recursive: true });
  removeOtherCaches(path, ['a.v8-cache']);
  t.strictSame(readCache(path, 'a.v8-cache', SELF), { data: DATA });
  t.equal(readFileSync(join(path, 'README'), 'utf8'), '');
  t.strictSame(readCache(path, 'b.v8-cache', SELF), { verdict: 'absent' });
  t.strictSame(readdirSync(path).sort(), ['README', 'a.v8-cache'], 'folders of such names, too');
});

t.test('what a crash of the same process id left behind stopped every later run', async (t) => {
  const path = folder();
  const left = join(path, `.b.v8-cache.${String(process.pid)}`);
  for (const plant of [
    () => writeFileSync(left, 'cut sh'),
    () => mkdirSync(join(left, 'in it'), { recursive: true }),
  ]) {
    plant();
    writeCache(path, 'b.v8-cache', DATA);
    t.strictSame(readCache(path, 'b.v8-cache', SELF), { data: DATA });
    t.strictSame(readdirSync(path).sort(), ['a.v8-cache', 'b.v8-cache']);
  }
});

t.test('a link under the name of what is being written is not followed', async (t) => {
  const path = folder();
  writeFileSync(join(path, 'elsewhere'), 'theirs');
  symlinkSync('elsewhere', join(path, `.b.v8-cache.${String(process.pid)}`));
  writeCache(path, 'b.v8-cache', DATA);
  t.equal(readFileSync(join(path, 'elsewhere'), 'utf8'), 'theirs');
});

t.test('a folder that has the name of a cache gives way to it', async (t) => {
  const path = folder();
  mkdirSync(join(path, 'b.v8-cache/in it'), { recursive: true });
  writeCache(path, 'b.v8-cache', DATA);
  t.strictSame(readCache(path, 'b.v8-cache', SELF), { data: DATA });
});

t.test('a cache lies in /var/cache/certlet, and the daemon has a program of its own', async (t) => {
  t.equal(cacheFolder('/usr/lib/certlet'), '/var/cache/certlet');
  t.equal(programFor(['run', '--config', 'x']), 'certlet-run.cjs');
  t.equal(programFor(['once']), 'certlet-run.cjs');
  for (const argv of [[], ['status'], ['--help'], ['--config', 'run']]) t.equal(programFor(argv), 'certlet.cjs');
});
