import { execFileSync } from 'node:child_process';
import * as real from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { encodePrivateKey } from '../../../src/pki/keys.ts';
import { Bench, newPair, pemOf } from './bench.ts';
import { StoppingFileSystem } from './stopping-file-system.ts';

const older = newPair(100);
const newer = newPair(200);
const third = newPair(300);
const keyOf = (pair: typeof older): string => encodePrivateKey(pair.key).reveal();
const serial = (pair: typeof older): string => pair.chain.leaf.serial;
const A = 'kubelet-client-2030-01-02-03-04-05.pem';
const B = 'kubelet-client-2031-01-02-03-04-05.pem';
const CURRENT = 'kubelet-client-current.pem';

interface Row {
  readonly name: string;
  readonly purpose?: string;
  readonly given: (bench: Bench) => void;
  /** Origin and certificate of each pair found, in order. */
  readonly pairs: readonly (readonly [string, typeof older])[];
  readonly quarantined?: readonly string[];
  /** Certificate that `current()` gives afterwards. */
  readonly current?: typeof older;
  /** Names in the cert-dir afterwards. */
  readonly left?: readonly string[];
  readonly warned?: RegExp;
}

const rows: readonly Row[] = [
  { name: 'a missing folder is made and is empty', given: () => undefined, pairs: [], left: [] },
  {
    name: 'a link and an older file: the current one first though it ends sooner',
    given: (bench) => {
      bench.put(A, pemOf(older));
      bench.put(B, pemOf(newer));
      bench.link(CURRENT, A);
    },
    pairs: [
      ['current', older],
      ['timestamped', newer],
    ],
    current: older,
  },
  {
    name: 'a dangling link counts as none and is left to the caller',
    given: (bench) => {
      bench.put(A, pemOf(older));
      bench.link(CURRENT, 'kubelet-client-2029-01-01-00-00-00.pem');
    },
    pairs: [['timestamped', older]],
    left: [A, CURRENT],
  },
  {
    name: 'a link to an empty file: the file is moved aside, the best other pair is first',
    given: (bench) => {
      bench.put(A, '');
      bench.put(B, pemOf(older));
      bench.put('kubelet-client-2028-01-01-00-00-00.pem', pemOf(newer));
      bench.link(CURRENT, A);
    },
    pairs: [
      ['timestamped', newer],
      ['timestamped', older],
    ],
    quarantined: [A],
  },
  {
    name: 'a link to garbage',
    given: (bench) => {
      bench.put(A, 'garbage');
      bench.link(CURRENT, A);
    },
    pairs: [],
    quarantined: [A],
    left: [CURRENT],
  },
  {
    name: 'a key that is not the one of the certificate',
    given: (bench) => {
      bench.put(A, older.chain.pem + keyOf(newer));
      bench.link(CURRENT, A);
    },
    pairs: [],
    quarantined: [A],
  },
  {
    name: 'a certificate without a key and one cut off in the middle',
    given: (bench) => {
      bench.put(A, older.chain.pem);
      bench.put(B, pemOf(newer).slice(0, -40));
    },
    pairs: [],
    quarantined: [A, B],
  },
  {
    name: 'a whole pair as a regular file in place of the link is adopted behind a link',
    given: (bench) => {
      bench.put(CURRENT, pemOf(older));
      real.utimesSync(bench.path(CURRENT), new Date(2029, 4, 6, 7, 8, 9), new Date(2029, 4, 6, 7, 8, 9));
    },
    pairs: [['current', older]],
    current: older,
    left: ['kubelet-client-2029-05-06-07-08-09.pem', CURRENT],
  },
  {
    name: 'garbage as a regular file in place of the link is moved aside',
    given: (bench) => {
      bench.put(CURRENT, 'garbage');
      bench.put(A, pemOf(older));
    },
    pairs: [['timestamped', older]],
    quarantined: [CURRENT],
    left: [A],
  },
  {
    name: 'a folder in place of the link is moved aside',
    given: (bench) => {
      bench.put(A, pemOf(older));
      real.mkdirSync(bench.path(CURRENT));
    },
    pairs: [['timestamped', older]],
    quarantined: [CURRENT],
  },
  {
    name: 'a folder under a timestamped name is no pair file',
    given: (bench) => {
      bench.put(B, pemOf(older));
      real.mkdirSync(bench.path(A));
    },
    pairs: [['timestamped', older]],
    left: [A, B],
  },
  {
    name: 'legacy files only',
    given: (bench) => {
      bench.put('kubelet-client.crt', older.chain.pem, 0o644);
      bench.put('kubelet-client.key', keyOf(older));
    },
    pairs: [['legacy', older]],
    left: ['kubelet-client.crt', 'kubelet-client.key'],
  },
  {
    name: 'a legacy certificate without its key is nothing',
    given: (bench) => void bench.put('kubelet-client.crt', older.chain.pem, 0o644),
    pairs: [],
    left: ['kubelet-client.crt'],
  },
  {
    name: 'legacy files that do not match are named and left where they are',
    given: (bench) => {
      bench.put('kubelet-client.crt', older.chain.pem, 0o644);
      bench.put('kubelet-client.key', keyOf(newer));
    },
    pairs: [],
    left: ['kubelet-client.crt', 'kubelet-client.key'],
    warned: /kubelet-client\.crt.*private key/,
  },
  {
    name: "legacy serving files count, the kubelet's own self-signed files do not",
    purpose: 'serving',
    given: (bench) => {
      bench.put('kubelet-server.crt', older.chain.pem, 0o644);
      bench.put('kubelet-server.key', keyOf(older));
      bench.put('kubelet.crt', newer.chain.pem, 0o644);
      bench.put('kubelet.key', keyOf(newer));
    },
    pairs: [['legacy', older]],
    left: ['kubelet-server.crt', 'kubelet-server.key', 'kubelet.crt', 'kubelet.key'],
  },
  {
    name: 'one certificate in three places is one pair',
    given: (bench) => {
      bench.put(A, pemOf(older));
      bench.put(B, pemOf(older));
      bench.put('kubelet-client.crt', older.chain.pem, 0o644);
      bench.put('kubelet-client.key', keyOf(older));
      bench.link(CURRENT, B);
    },
    pairs: [['current', older]],
    current: older,
  },
  {
    name: "a kubelet's absolute link into another folder is fine",
    given: (bench) => {
      const path = join(bench.beside('other'), A);
      real.writeFileSync(path, pemOf(older), { mode: 0o600 });
      bench.link(CURRENT, path);
    },
    pairs: [['current', older]],
    current: older,
    left: [CURRENT],
  },
  {
    name: 'garbage behind a link into another folder is left there',
    given: (bench) => {
      const path = join(bench.beside('other'), A);
      real.writeFileSync(path, 'garbage', { mode: 0o600 });
      bench.link(CURRENT, path);
    },
    pairs: [],
    left: [CURRENT],
    warned: /kubelet-client-current\.pem/,
  },
  {
    name: 'a loop of links is no pair',
    given: (bench) => bench.link(CURRENT, CURRENT),
    pairs: [],
    left: [CURRENT],
    warned: /ELOOP/,
  },
  {
    name: 'a swap that a kubelet left between remove and rename is finished',
    given: (bench) => {
      bench.put(A, pemOf(older));
      bench.put(B, pemOf(newer));
      bench.link('kubelet-client-updated.pem', bench.path(A));
    },
    pairs: [
      ['current', older],
      ['timestamped', newer],
    ],
    current: older,
    left: [A, B, CURRENT],
    warned: /half done/,
  },
  {
    name: 'a swap that a kubelet left half done onto garbage is undone',
    given: (bench) => {
      bench.put(A, '');
      bench.put(B, pemOf(newer));
      bench.link('kubelet-client-updated.pem', bench.path(A));
    },
    pairs: [['timestamped', newer]],
    quarantined: [A],
    left: [B],
  },
  {
    name: 'a swap helper beside a current link is left to the kubelet',
    given: (bench) => {
      bench.put(A, pemOf(older));
      bench.put(B, pemOf(newer));
      bench.link(CURRENT, A);
      bench.link('kubelet-client-updated.pem', B);
    },
    pairs: [
      ['current', older],
      ['timestamped', newer],
    ],
    current: older,
    left: [A, B, CURRENT, 'kubelet-client-updated.pem'],
  },
  {
    name: 'our own staged files of a killed run are swept, an empty one too',
    given: (bench) => {
      bench.put(`.${A}.fedcba9876543210.certlet-tmp`, '');
      bench.put(`.${A}.0123456789abcde0.certlet-tmp`, pemOf(older));
      bench.link(`.${CURRENT}.fedcba9876543210.certlet-tmp`, A);
    },
    pairs: [],
    left: [],
  },
  {
    name: 'an empty bootstrap key, at which a kubelet stops for good, is moved aside',
    given: (bench) => void bench.put('kubelet-client.key.tmp', ''),
    pairs: [],
    quarantined: ['kubelet-client.key.tmp'],
    left: [],
  },
  {
    name: 'a bootstrap key that can be parsed is left',
    given: (bench) => void bench.put('kubelet-client.key.tmp', keyOf(older)),
    pairs: [],
    left: ['kubelet-client.key.tmp'],
  },
  {
    name: 'a bootstrap key too large to read is left',
    given: (bench) => void bench.put('kubelet-client.key.tmp', 'x'.repeat(1024 * 1024 + 1)),
    pairs: [],
    left: ['kubelet-client.key.tmp'],
  },
  {
    name: 'a file that others can write is not trusted and not moved',
    given: (bench) => {
      bench.put(A, pemOf(newer), 0o666);
      bench.put(B, pemOf(older));
    },
    pairs: [['timestamped', older]],
    left: [A, B],
    warned: /others can write/,
  },
  {
    name: 'a planted link under a timestamped name is not read',
    given: (bench) => {
      const path = join(bench.beside('attacker'), 'pair.pem');
      real.writeFileSync(path, pemOf(newer), { mode: 0o600 });
      bench.put(B, pemOf(older));
      bench.link(A, path);
    },
    pairs: [['timestamped', older]],
  },
  {
    name: 'a FIFO in place of the link does not block the start',
    given: (bench) => {
      bench.put(A, pemOf(older));
      execFileSync('mkfifo', [bench.path(CURRENT)]);
    },
    pairs: [['timestamped', older]],
    quarantined: [CURRENT],
  },
  {
    name: 'a file of megabytes is no pair',
    given: (bench) => void bench.put(A, 'x'.repeat(1024 * 1024 + 1)),
    pairs: [],
    quarantined: [A],
  },
];

for (const row of rows) {
  t.test(`inspect: ${row.name}`, async (t) => {
    const bench = new Bench(t.testdir());
    row.given(bench);
    const purpose = row.purpose ?? 'client';
    const store = bench.store();
    const found = await store.inspect(purpose);
    t.strictSame(
      found.map(({ origin, pair }) => [origin, serial(pair)]),
      row.pairs.map(([origin, pair]) => [origin, serial(pair)]),
    );
    t.strictSame(
      bench.movedAside.map(({ path }) => path),
      (row.quarantined ?? []).map((name) => bench.path(name)),
    );
    for (const { to, reason } of bench.movedAside) {
      t.ok(real.lstatSync(to ?? ''), 'it lies in the quarantine');
      t.not(reason, '');
    }
    const current = await store.current(purpose);
    t.equal(current && serial(current), row.current && serial(row.current));
    if (row.left !== undefined) t.strictSame(bench.names(), [...row.left].sort());
    if (row.warned !== undefined) t.match(JSON.stringify(bench.warnings), row.warned);
    for (const { path, origin, pair } of found)
      if (origin !== 'legacy') t.equal(real.readFileSync(path, 'utf8'), pemOf(pair), 'path names the file itself');
    t.equal(real.statSync(bench.certDir).mode & 0o777, 0o755);
    t.equal(real.statSync(bench.stateDir).mode & 0o777, 0o700);

    const again = await bench.store().inspect(purpose);
    t.equal(bench.movedAside.length, row.quarantined?.length ?? 0, 'a second look moves nothing');
    t.strictSame(
      again.map(({ pair }) => serial(pair)),
      found.map(({ pair }) => serial(pair)),
    );
  });
}

t.test(
  'a file of another user is not trusted',
  { skip: process.geteuid!() !== 0 && 'needs root to give a file away' },
  async (t) => {
    const bench = new Bench(t.testdir());
    real.chownSync(bench.put(A, pemOf(older)), 65_534, 65_534);
    bench.link(CURRENT, A);
    t.strictSame(await bench.store().inspect('client'), []);
    t.equal(await bench.store().current('client'), undefined);
    t.match(JSON.stringify(bench.warnings), /belongs to user 65534/);
  },
);

t.test('a file that the disk cannot give is skipped, not moved', async (t) => {
  const bench = new Bench(t.testdir());
  bench.put(A, pemOf(older));
  bench.put(CURRENT, pemOf(newer));
  const failing = new StoppingFileSystem((line) =>
    line.startsWith('read ') ? Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }) : undefined,
  );
  const found = await bench.store({ fs: failing }).inspect('client');
  t.strictSame([found, bench.movedAside], [[], []]);
  t.strictSame(bench.names(), [A, CURRENT]);
  t.match(JSON.stringify(bench.warnings), /EIO/);
  t.equal((await bench.store().inspect('client'))[0]?.pair.chain.leaf.serial, serial(newer));
});

t.test('on a full or read-only disk the pairs are still found; what cannot be repaired is named', async (t) => {
  for (const code of ['ENOSPC', 'EROFS']) {
    const bench = new Bench(t.testdir());
    await bench.store().inspect('client');
    bench.put(A, '');
    bench.put(B, pemOf(older));
    bench.put(CURRENT, pemOf(newer));
    bench.link('kubelet-server-updated.pem', B);
    const failing = new StoppingFileSystem((line) =>
      /^(create|rename|mkdir|utimes|symlink|chmod|unlink) /.test(line)
        ? Object.assign(new Error(`${code}: no, write`), { code })
        : undefined,
    );
    const store = bench.store({ fs: failing });
    t.strictSame(
      (await store.inspect('client')).map(({ pair }) => serial(pair)),
      [newer, older].map(serial),
    );
    t.strictSame(await store.inspect('serving'), []);
    t.match(JSON.stringify(bench.warnings), code === 'EROFS' ? /certlet allow|never opened/ : /df -h/);
    real.rmSync(bench.certDir, { recursive: true });
  }
});

t.test('the quarantine is private, keeps names and the last twenty files', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  for (let round = 1; round <= 23; round += 1) {
    bench.put(A, `garbage ${String(round)}`, 0o644);
    await store.inspect('client');
  }
  const folder = join(bench.stateDir, 'quarantine');
  const names = real.readdirSync(folder).sort();
  t.equal(names.length, 20);
  t.equal(names.at(-1), `${A}.000023`);
  t.equal(real.readFileSync(join(folder, names[0]!), 'utf8'), 'garbage 4');
  t.equal(real.statSync(folder).mode & 0o777, 0o700);
  for (const name of names) t.equal(real.statSync(join(folder, name)).mode & 0o777, 0o600);
});

t.test('with the state on another file system a file is moved aside beside itself', async (t) => {
  const bench = new Bench(t.testdir());
  bench.put(A, 'garbage');
  const other = new StoppingFileSystem((line) =>
    line.startsWith(`rename ${bench.stateDir}/quarantine`)
      ? Object.assign(new Error('EXDEV: cross-device link not permitted, rename'), { code: 'EXDEV' })
      : undefined,
  );
  await bench.store({ fs: other }).inspect('client');
  t.equal(bench.movedAside[0]?.['to'], bench.path(`.certlet-quarantine/${A}.000001`));
  t.equal(real.statSync(bench.path('.certlet-quarantine')).mode & 0o777, 0o700);
});

for (const row of [
  {
    name: 'a cert-dir that the group can write',
    make: (bench: Bench) => real.chmodSync(bench.certDir, 0o775),
    says: 'chmod go-w',
  },
  {
    name: 'a state folder that others can write',
    make: (bench: Bench) => real.chmodSync(bench.stateDir, 0o703),
    says: 'chmod go-w',
  },
  { name: 'a sticky state folder', make: (bench: Bench) => real.chmodSync(bench.stateDir, 0o1777), says: 'chmod go-w' },
  {
    name: 'a folder above that everybody can write',
    make: (bench: Bench) => real.chmodSync(join(bench.certDir, '..'), 0o777),
    says: 'chmod o-w',
  },
]) {
  t.test(`${row.name} is refused with the command that mends it`, async (t) => {
    const bench = new Bench(t.testdir());
    const store = bench.store();
    await store.inspect('client');
    row.make(bench);
    const unsafe = { code: 'ERR_STORE_UNSAFE', remedy: new RegExp(row.says) };
    await t.rejects(store.inspect('client'), unsafe);
    await t.rejects(store.install('client', third, new Date()), unsafe);
    await t.rejects(store.readPending('client'), unsafe);
    t.equal(real.existsSync(store.currentPath('client')), false);
    real.chmodSync(join(bench.certDir, '..'), 0o755);
  });
}

t.test(
  'a sticky cert-dir is taken, one of another user is not',
  { skip: process.geteuid!() !== 0 && 'needs root' },
  async (t) => {
    const bench = new Bench(t.testdir());
    await bench.store().inspect('client');
    real.chmodSync(bench.certDir, 0o1777);
    await bench.store().inspect('client');
    real.chmodSync(bench.certDir, 0o755);
    real.chownSync(bench.certDir, 65_534, 65_534);
    await t.rejects(bench.store().inspect('client'), { code: 'ERR_STORE_UNSAFE', remedy: `chown 0 ${bench.certDir}` });
  },
);

t.test('a file in place of the cert-dir is told as such', async (t) => {
  const dir = t.testdir({ pki: 'file' });
  await t.rejects(new Bench(dir).store().inspect('client'), { code: 'ERR_STORE_IO', message: /is no folder/ });
});
