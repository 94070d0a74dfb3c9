/** The parts of the store on a disk that refuses: what is read, how a key is made, what is warned of. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { FileFacts } from '../../../src/adapters/file-system.ts';
import { keyMode } from '../../../src/adapters/store/key-mode.ts';
import { readPair } from '../../../src/adapters/store/pair-reading.ts';
import { attempted, mapped } from '../../../src/adapters/store/store-context.ts';
import { CertletError } from '../../../src/errors.ts';
import { newPair, pemOf } from './bench.ts';
import { desk, errno, type OddFileSystem } from './desk.ts';

const STRANGER = 65_533;

const modes: readonly {
  readonly name: string;
  readonly facts: Partial<FileFacts> | Error | 'missing';
  readonly expected: { readonly code: string; readonly message?: RegExp; readonly remedy?: RegExp };
}[] = [
  { name: 'no setgid bit', facts: { mode: 0o750 }, expected: { code: 'ERR_STORE_UNSAFE', message: /no setgid bit/ } },
  {
    name: 'no folder at all',
    facts: 'missing',
    expected: { code: 'ERR_STORE_UNSAFE', remedy: /chgrp GROUP .* && chmod 2750/ },
  },
  { name: 'no look allowed', facts: errno('EACCES'), expected: { code: 'ERR_STORE_IO', message: /EACCES/ } },
  {
    name: "a stranger's folder",
    facts: { mode: 0o2750, uid: STRANGER },
    expected: { code: 'ERR_STORE_UNSAFE', message: /belongs to user 65533/, remedy: /^chown / },
  },
  {
    name: 'a folder that its group may write',
    facts: { mode: 0o2770 },
    expected: { code: 'ERR_STORE_UNSAFE', message: /other users can write it \(mode 2770\)/, remedy: /^chmod go-w / },
  },
  {
    name: 'a file',
    facts: { mode: 0o2750, kind: 'file' },
    expected: { code: 'ERR_STORE_IO', message: /is no folder/ },
  },
];
for (const { name, facts, expected } of modes) {
  t.test(`a key that a group is to read is not made in: ${name}`, async (t) => {
    const { context, fs } = desk(t, true);
    const folder = facts === 'missing' ? join(context.folder, 'missing') : context.folder;
    if (facts !== 'missing') fs.odd = { [folder]: facts };
    await t.rejects(keyMode(context, folder), expected);
  });
}

t.test(
  'how a key is made: for its owner alone, for the group of a setgid folder where the settings say so',
  async (t) => {
    const alone = desk(t);
    alone.fs.odd = { [alone.context.folder]: errno('EACCES') };
    t.equal(await keyMode(alone.context, alone.context.folder), 0o600, 'no folder is looked at');
    for (const mode of [0o2750, 0o2755, 0o3777]) {
      const { context, fs } = desk(t, true);
      fs.odd = { [context.folder]: { mode, gid: 1234 } };
      t.strictSame(await keyMode(context, context.folder), { mode: 0o640, gid: 1234 }, mode.toString(8));
    }
  },
);

const pair = newPair();
const readings: readonly {
  readonly name: string;
  readonly given: (path: string, fs: OddFileSystem) => void;
  readonly expected: object;
}[] = [
  { name: 'nothing', given: () => undefined, expected: { kind: 'absent' } },
  {
    name: 'gone between the look and the reading',
    given: (path, fs) => {
      writeFileSync(path, pemOf(pair), { mode: 0o600 });
      fs.unread = { [path]: 'gone' };
    },
    expected: { kind: 'absent' },
  },
  {
    name: "a stranger's",
    given: (path, fs) => {
      writeFileSync(path, pemOf(pair), { mode: 0o600 });
      fs.odd = { [path]: { uid: STRANGER } };
    },
    expected: { kind: 'unsafe', reason: 'it belongs to user 65533' },
  },
  {
    name: "root's",
    given: (path, fs) => {
      writeFileSync(path, pemOf(pair), { mode: 0o600 });
      fs.odd = { [path]: { uid: 0 } };
    },
    expected: { kind: 'whole' },
  },
  {
    name: 'writable by its group',
    given: (path) => {
      writeFileSync(path, pemOf(pair));
      chmodSync(path, 0o620);
    },
    expected: { kind: 'unsafe', reason: 'others can write it (mode 620)' },
  },
  { name: 'garbage', given: (path) => writeFileSync(path, 'x', { mode: 0o600 }), expected: { kind: 'broken' } },
  {
    name: 'a folder',
    given: (path) => mkdirSync(path, { mode: 0o755 }),
    expected: { kind: 'broken', reason: /EINVAL/ },
  },
  {
    name: 'a link that goes round',
    given: (path) => symlinkSync(path, path),
    expected: { kind: 'broken', reason: /ELOOP/ },
  },
  {
    name: 'too large',
    given: (path) => writeFileSync(path, 'x'.repeat(1024 * 1024 + 1), { mode: 0o600 }),
    expected: { kind: 'broken', reason: /larger than 1048576 bytes/ },
  },
  ...['EIO', 'EACCES', 'ESTALE'].map((code) => ({
    name: `a disk that says ${code}`,
    given: (path: string, fs: OddFileSystem): void => {
      fs.odd = { [path]: errno(code, { path, syscall: 'stat' }) };
    },
    expected: { kind: 'unreadable', reason: `stat PATH: said so (${code})`, error: { code: 'ERR_STORE_IO' } },
  })),
];
for (const { name, given, expected } of readings) {
  t.test(`reading a pair: ${name}`, async (t) => {
    const { context, fs } = desk(t);
    const path = join(context.folder, 'exporter-current.pem');
    given(path, fs);
    const reading = await readPair(context, [path]);
    t.match('reason' in reading ? { ...reading, reason: reading.reason.replaceAll(path, 'PATH') } : reading, expected);
  });
}

t.test('a certificate without its key file is no pair, and a defect is no broken pair', async (t) => {
  const { context, fs } = desk(t);
  const [cert, key] = [join(context.folder, 'tls.crt'), join(context.folder, 'tls.key')];
  writeFileSync(cert, pair.chain.pem, { mode: 0o600 });
  t.strictSame(await readPair(context, [cert, key]), { kind: 'absent' });
  writeFileSync(key, pemOf(pair).slice(pair.chain.pem.length), { mode: 0o600 });
  t.match(await readPair(context, [cert, key]), {
    kind: 'whole',
    pair: { chain: { leaf: { serial: pair.chain.leaf.serial } } },
  });
  fs.odd = { [key]: new TypeError('a defect') };
  await t.rejects(readPair(context, [cert, key]), TypeError);
});

t.test(
  'a repair that fails is told once, again when it fails for another reason, and again after it worked',
  async (t) => {
    const { context, warnings } = desk(t);
    const failing = (error: Error) => async (): Promise<never> => {
      throw error;
    };
    const full = failing(errno('ENOSPC', { syscall: 'write' }));
    for (const round of [1, 2, 3])
      t.equal(await attempted(context, '/certs/x', full), undefined, `round ${String(round)}`);
    t.match(warnings, [
      {
        event: 'Cannot repair a file',
        fields: {
          path: '/certs/x',
          code: 'ERR_STORE_FULL',
          error: 'write /certs/x: said so (ENOSPC)',
          remedy: /df -h/,
        },
      },
    ]);
    await attempted(context, '/certs/x', failing(new CertletError('ERR_STORE_UNSAFE', 'no remedy is known')));
    t.strictSame(warnings.at(-1)?.fields, { path: '/certs/x', code: 'ERR_STORE_UNSAFE', error: 'no remedy is known' });
    await attempted(context, '/certs/y', full);
    t.equal(warnings.length, 3, 'each file for itself');
    t.equal(await attempted(context, '/certs/y', async () => 'mended'), 'mended');
    await attempted(context, '/certs/y', full);
    t.equal(warnings.length, 4);
    await t.rejects(attempted(context, '/certs/x', failing(new TypeError('a defect'))), TypeError);
    t.equal(warnings.length, 4, 'a defect is no warning');
  },
);

t.test('what leaves the disk is named by its path; what is known already stays what it is', async (t) => {
  const known = new CertletError('ERR_LOCK_HELD', 'held');
  for (const [thrown, expected] of [
    [errno('EDQUOT'), { code: 'ERR_STORE_FULL', message: 'file operation /a: said so (EDQUOT)', remedy: /quota -v/ }],
    [errno('EROFS', { path: '/b' }), { code: 'ERR_STORE_READ_ONLY', message: /\/b: said so/ }],
    [known, known],
    [new RangeError('a defect'), RangeError],
  ] as const)
    await t.rejects(
      mapped('/a', async () => {
        throw thrown;
      }),
      expected,
    );
});
