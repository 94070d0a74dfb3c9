import { X509Certificate } from 'node:crypto';
import * as real from 'node:fs';
import { basename, join } from 'node:path';
import t from 'tap';
import type { PendingRequest } from '../../../src/csr/pending.ts';
import { chainMatchesKey } from '../../../src/pki/certificate.ts';
import { encodePrivateKey } from '../../../src/pki/keys.ts';
import { Secret } from '../../../src/secret.ts';
import { Bench, newPair, pemOf } from './bench.ts';
import { StoppingFileSystem } from './stopping-file-system.ts';

const [p1, p2, p3, p4, p5] = [newPair(100), newPair(200), newPair(300), newPair(400), newPair(500)] as const;
const NOON = new Date(2030, 0, 2, 12, 0, 0);
const later = (seconds: number): Date => new Date(NOON.getTime() + seconds * 1000);
/** As the swap was an hour ago: beyond every grace time here. */
const hourAfterNow = (): Date => new Date(Date.now() + 3_600_000);

t.test('install writes a kubelet-named file and a relative link, private, and nothing else', async (t) => {
  const bench = new Bench(t.testdir());
  const before = process.umask(0);
  t.teardown(() => process.umask(before));
  const store = bench.store();
  const path = await store.install('client', p1, NOON);
  t.equal(path, bench.path('kubelet-client-2030-01-02-12-00-00.pem'));
  t.equal(store.currentPath('client'), bench.path('kubelet-client-current.pem'));
  t.equal(bench.target('client'), 'kubelet-client-2030-01-02-12-00-00.pem');
  t.equal(real.readFileSync(path, 'utf8'), pemOf(p1));
  t.match(
    pemOf(p1).match(/-----BEGIN [A-Z ]+-----/g),
    ['-----BEGIN CERTIFICATE-----', '-----BEGIN CERTIFICATE-----', '-----BEGIN EC PRIVATE KEY-----'],
    'leaf, intermediate, one key',
  );
  t.ok(new X509Certificate(real.readFileSync(path)).checkPrivateKey(p1.key.object), 'the leaf comes first');
  t.strictSame(bench.modes(), {
    '.': '755',
    '.certlet': '700',
    '.certlet/client-ledger.json': '600',
    'kubelet-client-2030-01-02-12-00-00.pem': '600',
  });
});

t.test('installing the current pair again changes nothing', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  const path = await store.install('client', p1, NOON);
  const names = bench.names();
  t.equal(await store.install('client', p1, later(100)), path);
  t.strictSame(bench.names(), names);
});

t.test('installs in the same second take the next free ones, whatever holds the name', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  await store.install('client', p1, NOON);
  real.mkdirSync(bench.path('kubelet-client-2030-01-02-12-00-01.pem'));
  bench.link('kubelet-client-2030-01-02-12-00-02.pem', 'nowhere');
  t.equal(basename(await store.install('client', p2, NOON)), 'kubelet-client-2030-01-02-12-00-03.pem');
  t.equal((await store.current('client'))?.chain.pem, p2.chain.pem);
  t.equal(real.readFileSync(bench.path('kubelet-client-2030-01-02-12-00-00.pem'), 'utf8'), pemOf(p1));
});

t.test('when summer time ends names go back, and nothing is overwritten or mistaken for older', async (t) => {
  const zone = process.env['TZ'];
  process.env['TZ'] = 'Europe/Berlin';
  t.teardown(() => {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  });
  const bench = new Bench(t.testdir());
  const store = bench.store();
  // 2030-10-27: 03:00 CEST becomes 02:00 CET, so 00:30 and 01:30 UTC are both 02:30.
  const names = [];
  for (const [pair, time] of [
    [p1, '2030-10-27T00:30:00Z'],
    [p2, '2030-10-27T00:59:59Z'],
    [p3, '2030-10-27T01:30:00Z'],
    [p4, '2030-10-27T01:30:00Z'],
  ] as const)
    names.push(
      basename(await store.install('serving', pair, new Date(time))).slice('kubelet-server-2030-10-27-'.length),
    );
  t.strictSame(names, ['02-30-00.pem', '02-59-59.pem', '02-30-01.pem', '02-30-02.pem']);
  t.equal((await store.current('serving'))?.chain.pem, p4.chain.pem);
  t.strictSame(await store.prune('serving', hourAfterNow()), [bench.path('kubelet-server-2030-10-27-02-30-00.pem')]);
});

t.test('after the clock stepped back the link still names the pair installed last', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  await store.install('client', p1, new Date(2040, 0, 1));
  await store.install('client', p2, new Date(1970, 0, 1, 0, 0, 5));
  t.equal(bench.target('client'), 'kubelet-client-1970-01-01-00-00-05.pem');
  t.strictSame(
    (await bench.store().inspect('client')).map(({ pair }) => pair.chain.leaf.serial),
    [p2, p1].map((pair) => pair.chain.leaf.serial),
  );
});

t.test('install over what is no link keeps what was there', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  bench.put('kubelet-client-current.pem', pemOf(p1));
  await store.install('client', p2, NOON);
  t.equal((await store.current('client'))?.chain.pem, p2.chain.pem);
  t.ok(
    (await store.inspect('client')).some(({ pair }) => pair.chain.pem === p1.chain.pem),
    'adopted first',
  );
  bench.put('kubelet-server-current.pem', 'garbage');
  await store.install('serving', p2, NOON);
  t.strictSame(real.readdirSync(join(bench.stateDir, 'quarantine')), ['kubelet-server-current.pem.000001']);
});

t.test('install replaces a dangling link and one into another folder', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  bench.link('kubelet-client-current.pem', 'gone.pem');
  await store.install('client', p1, NOON);
  const outside = join(bench.beside('other'), 'kubelet-server-2029-01-01-00-00-00.pem');
  real.writeFileSync(outside, pemOf(p1), { mode: 0o600 });
  real.utimesSync(outside, 1, 1);
  bench.link('kubelet-server-current.pem', outside);
  t.equal(await store.install('serving', p1, NOON), outside, 'the same pair stays where it is');
  await store.install('serving', p2, NOON);
  t.equal(bench.target('serving'), 'kubelet-server-2030-01-02-12-00-00.pem');
  t.ok(real.statSync(outside).mtimeMs > 1000, 'a watcher of the old file is told');
});

t.test('a pair written before a kill is used, not written again', async (t) => {
  const bench = new Bench(t.testdir());
  await bench.store().install('client', p1, NOON);
  await bench.store().install('client', p2, later(1));
  real.unlinkSync(bench.path('kubelet-client-current.pem'));
  real.symlinkSync('kubelet-client-2030-01-02-12-00-00.pem', bench.path('kubelet-client-current.pem'));
  await bench.store().install('client', p2, later(100));
  t.equal(bench.target('client'), 'kubelet-client-2030-01-02-12-00-01.pem');
  t.equal(bench.names().length, 3);
});

t.test('relink points at a file on disk, copies a legacy pair, and refuses a file that changed', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  bench.put('kubelet-client-2029-01-01-00-00-00.pem', pemOf(p1));
  bench.put('kubelet-client.crt', p2.chain.pem, 0o644);
  bench.put('kubelet-client.key', encodePrivateKey(p2.key).reveal());
  const [legacy, stamped] = await store.inspect('client');
  await store.relink('client', stamped!);
  t.equal(bench.target('client'), 'kubelet-client-2029-01-01-00-00-00.pem');
  await store.relink('client', stamped!);
  t.equal(legacy?.origin, 'legacy');
  await store.relink('client', legacy!);
  t.equal((await store.current('client'))?.chain.pem, p2.chain.pem);
  t.match(bench.target('client'), /^kubelet-client-\d{4}-.*\.pem$/);
  bench.put('kubelet-client-2029-01-01-00-00-00.pem', pemOf(p3));
  await t.rejects(store.relink('client', stamped!), { code: 'ERR_STORE_IO', message: /not the pair any more/ });
  real.unlinkSync(bench.path('kubelet-client-2029-01-01-00-00-00.pem'));
  await t.rejects(store.relink('client', stamped!), { code: 'ERR_STORE_IO' });
  t.equal((await store.current('client'))?.chain.pem, p2.chain.pem);
});

t.test(
  'a link is as it was left after each swap of the store, and not after one by hand until it was looked at',
  async (t) => {
    const bench = new Bench(t.testdir());
    const store = bench.store();
    const swap = (target: string): void => {
      real.rmSync(bench.path('kubelet-client-current.pem'), { force: true });
      real.symlinkSync(target, bench.path('kubelet-client-current.pem'));
    };
    bench.put('kubelet-client-2029-01-01-00-00-00.pem', pemOf(p1));
    t.equal(await store.isLinkAsLeft('client'), false, 'nobody has looked yet');
    const [stamped] = await store.inspect('client');
    t.equal(await store.isLinkAsLeft('client'), true, 'there is none');
    bench.put('kubelet-client-current.pem', pemOf(p3));
    t.equal(await store.isLinkAsLeft('client'), false, 'a pair was put as a plain file where there was no link');
    real.rmSync(bench.path('kubelet-client-current.pem'));
    await store.install('client', p2, later(1));
    t.equal(await store.isLinkAsLeft('client'), true, 'installed');
    const mine = bench.target('client') ?? '';
    await store.relink('client', stamped!);
    t.equal(await store.isLinkAsLeft('client'), true, 'relinked');
    swap(mine);
    t.equal(await store.isLinkAsLeft('client'), false, 'by hand');
    await store.inspect('client');
    t.equal(await store.isLinkAsLeft('client'), true, 'looked at');
    real.rmSync(bench.path('kubelet-client-current.pem'));
    t.equal(await store.isLinkAsLeft('client'), false, 'removed');
  },
);

t.test(
  'folders that somebody made in the place of those of this process were not synced at the first look',
  async (t) => {
    const bench = new Bench(t.testdir());
    const fs = new StoppingFileSystem();
    const syncsOfLook = async (): Promise<readonly string[]> => {
      const before = fs.operations.length;
      await bench.store({ fs }).inspect('client');
      return fs.operations.slice(before).filter((operation) => /^syncFolder .*(pki|certlet)$/.test(operation));
    };
    await bench.store({ fs }).install('client', p1, NOON);
    t.strictSame(await syncsOfLook(), [], 'made and synced by this process');
    const identities = (): readonly string[] =>
      [bench.certDir, bench.stateDir].map(
        (path) => `${path} ${String(real.statSync(path).ino)} ${String(real.statSync(path).birthtimeMs)}`,
      );
    const ours = identities();
    // The inode is given again at once, and the clock of the file system has ticks.
    do {
      real.rmSync(bench.certDir, { recursive: true });
      bench.put('kubelet-client-2029-01-01-00-00-00.pem', pemOf(p1));
      real.mkdirSync(bench.stateDir, { mode: 0o700 });
    } while (identities().some((identity) => ours.includes(identity)));
    t.strictSame([...(await syncsOfLook())].sort(), [`syncFolder ${bench.certDir}`, `syncFolder ${bench.stateDir}`]);
  },
);

t.test('relink to a pair in another folder brings it into ours', async (t) => {
  const bench = new Bench(t.testdir());
  const outside = join(bench.beside('other'), 'pair.pem');
  real.writeFileSync(outside, pemOf(p1), { mode: 0o600 });
  const store = bench.store();
  await store.relink('client', { path: outside, origin: 'timestamped', pair: p1 });
  t.equal((await store.current('client'))?.chain.pem, p1.chain.pem);
  t.not(bench.target('client'), outside);
});

t.test(
  'prune deletes beyond the last two by certificate dates, after the grace time, never the live one',
  async (t) => {
    const bench = new Bench(t.testdir());
    const store = bench.store();
    // Names in the opposite order of the dates, as after a clock step.
    const order = [p1, p2, p3, p4, p5];
    for (const [index, pair] of order.entries()) await store.install('client', pair, later(1000 - index * 10));
    t.strictSame(await store.prune('client', new Date(Date.now() + 1000)), [], 'in the grace time');
    const deleted = await store.prune('client', hourAfterNow());
    t.strictSame(
      deleted.map((path) => basename(path)),
      ['kubelet-client-2030-01-02-12-16-30.pem', 'kubelet-client-2030-01-02-12-16-40.pem'],
    );
    t.strictSame(
      (await store.inspect('client')).map(({ pair }) => pair.chain.leaf.serial),
      [p5, p4, p3].map((pair) => pair.chain.leaf.serial),
    );
    t.strictSame(await store.prune('client', hourAfterNow()), []);
  },
);

t.test('prune keeps the live pair though all others are newer, and files of others', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store({ keepOldFiles: 0 });
  for (const [index, pair] of [p2, p3, p1].entries()) await store.install('serving', pair, later(index));
  bench.put('kubelet-server-2031-01-01-00-00-00.pem', pemOf(p4));
  bench.put('kubelet-server-2031-01-01-00-00-01.pem', '');
  t.equal((await store.prune('serving', hourAfterNow())).length, 2);
  t.strictSame(bench.names(), [
    'kubelet-server-2030-01-02-12-00-02.pem',
    'kubelet-server-2031-01-01-00-00-00.pem',
    'kubelet-server-2031-01-01-00-00-01.pem',
    'kubelet-server-current.pem',
  ]);
});

t.test('prune does nothing without a live pair, and a swap in the future does not stop it for years', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store({ keepOldFiles: 0 });
  t.strictSame(await store.prune('client', NOON), [], 'no folder');
  await store.install('client', p1, NOON);
  await store.install('client', p2, later(1));
  t.equal((await store.prune('client', new Date(Date.now() - 86_400_000))).length, 1, 'the clock went back a day');
  await store.install('client', p3, later(2));
  real.unlinkSync(bench.path('kubelet-client-2030-01-02-12-00-02.pem'));
  t.strictSame(await store.prune('client', hourAfterNow()), [], 'the link dangles');
});

t.test('a failing delete is told with its path', async (t) => {
  const bench = new Bench(t.testdir());
  const failing = new StoppingFileSystem((line) =>
    /^unlink .*kubelet-client-2/.test(line)
      ? Object.assign(new Error('EPERM: no, unlink'), { code: 'EPERM' })
      : undefined,
  );
  const store = bench.store({ keepOldFiles: 0, fs: failing });
  await store.install('client', p1, NOON);
  await store.install('client', p2, later(1));
  await t.rejects(store.prune('client', hourAfterNow()), { code: 'ERR_STORE_IO' });
});

t.test('foreign: nothing before the folder is taken over, nothing of ours, what a kubelet writes then', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  const old = bench.put('kubelet-client-2029-01-01-00-00-00.pem', pemOf(p1));
  t.strictSame(await store.foreign('client'), []);
  await store.install('client', p2, NOON);
  await store.install('client', p3, later(1));
  t.strictSame(await bench.store().foreign('client'), [], 'what was there at the first install is known');
  const path = bench.put('kubelet-client-2031-01-01-00-00-00.pem', pemOf(p4));
  const serving = bench.put('kubelet-server-2031-01-01-00-00-00.pem', pemOf(p4));
  t.strictSame(await store.foreign('client'), [path]);
  t.strictSame(await store.foreign('serving'), [], 'the other prefix is not taken over');
  await store.install('client', p5, later(2));
  t.strictSame(await store.foreign('client'), [path], 'an install of ours does not hide it');
  await store.acceptAll('client');
  t.strictSame(await bench.store().foreign('client'), []);
  await store.acceptAll('serving');
  t.strictSame(await store.foreign('serving'), []);
  t.ok(real.existsSync(old) && real.existsSync(serving));
});

t.test('foreign: a link that now names a file elsewhere, until accepted', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  await store.install('client', p1, NOON);
  const outside = join(bench.beside('other'), 'kubelet-client-2031-01-01-00-00-00.pem');
  real.writeFileSync(outside, pemOf(p2), { mode: 0o600 });
  real.unlinkSync(store.currentPath('client'));
  real.symlinkSync(outside, store.currentPath('client'));
  t.strictSame(await store.foreign('client'), [outside]);
  await store.acceptAll('client');
  t.strictSame(await store.foreign('client'), []);
});

t.test('our own files do not look foreign after a cert-dir that was not there for a moment', async (t) => {
  const bench = new Bench(t.testdir());
  const stateDir = bench.beside('state');
  const store = bench.store({ stateDir });
  const ours = await store.install('client', p1, NOON);
  const mounted = `${bench.certDir}.mounted`;
  real.renameSync(bench.certDir, mounted);
  await bench.store({ stateDir }).acceptAll('client');
  await bench.store({ stateDir }).install('client', p2, later(1));
  for (const name of real.readdirSync(bench.certDir)) {
    if (!real.existsSync(join(mounted, name))) real.renameSync(bench.path(name), join(mounted, name));
  }
  real.rmSync(bench.certDir, { recursive: true });
  real.renameSync(mounted, bench.certDir);
  t.ok(real.existsSync(ours));
  t.strictSame(await bench.store({ stateDir }).foreign('client'), []);
});

t.test('the ledger does not grow with the years: of files that have gone it keeps the latest names', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store({ keepOldFiles: 0, pruneGraceMs: 0 });
  for (let count = 0; count < 40; count += 1) {
    await store.install('client', count % 2 === 0 ? p1 : p2, later(count));
    await store.prune('client', hourAfterNow());
  }
  const { files } = JSON.parse(real.readFileSync(join(bench.stateDir, 'client-ledger.json'), 'utf8')) as {
    files: string[];
  };
  t.ok(files.length <= 34 && files.includes(bench.target('client') ?? ''), `${String(files.length)} names`);
  t.strictSame(await store.foreign('client'), []);
});

t.test(
  'a ledger that cannot be read counts as none: no false alarm, and the next install starts a new one',
  async (t) => {
    for (const text of ['', '{', '[]', 'null', '{"files":"x"}', '{"files":[1]}']) {
      const bench = new Bench(t.testdir());
      const store = bench.store();
      await store.install('client', p1, NOON);
      real.writeFileSync(join(bench.stateDir, 'client-ledger.json'), text);
      t.strictSame(await store.foreign('client'), []);
      await store.install('client', p2, later(1));
      t.strictSame(await store.foreign('client'), []);
      t.match(JSON.stringify(bench.warnings), /no ledger/);
      real.rmSync(bench.certDir, { recursive: true });
    }
  },
);

t.test('a ledger that somebody removed while certlet ran made its own files look foreign', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  await store.acceptAll('client');
  await store.install('client', p1, NOON);
  real.rmSync(join(bench.stateDir, 'client-ledger.json'));
  t.strictSame(await store.foreign('client'), []);
});

t.test('installs of both purposes at once do not disturb each other', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store();
  await Promise.all([
    store.install('client', p1, NOON),
    store.inspect('serving'),
    store.install('serving', p2, NOON),
    store.inspect('client'),
    store.install('client', p3, NOON),
  ]);
  t.equal((await store.current('client'))?.chain.pem, p3.chain.pem);
  t.equal((await store.current('serving'))?.chain.pem, p2.chain.pem);
  t.strictSame(await store.foreign('client'), []);
});

t.test('plain files: certificate 0644, key 0600, only written when they differ, mended at the next look', async (t) => {
  const bench = new Bench(t.testdir());
  const certFile = join(bench.certDir, 'kubelet.crt');
  const keyFile = join(bench.certDir, 'private/kubelet.key');
  const plainFiles = { serving: { certFile, keyFile } };
  const store = bench.store({ plainFiles });
  await store.install('client', p1, NOON);
  t.notOk(real.existsSync(certFile), 'only where configured');
  await store.install('serving', p1, NOON);
  const match = (pair: typeof p1): void => {
    t.equal(real.readFileSync(certFile, 'utf8'), pair.chain.pem);
    t.equal(real.readFileSync(keyFile, 'utf8'), encodePrivateKey(pair.key).reveal());
    t.equal(real.statSync(certFile).mode & 0o777, 0o644);
    t.equal(real.statSync(keyFile).mode & 0o777, 0o600);
  };
  match(p1);
  const inode = real.statSync(certFile).ino;
  await store.install('serving', p1, NOON);
  t.equal(real.statSync(certFile).ino, inode, 'unchanged files are not replaced');
  await store.install('serving', p2, later(1));
  match(p2);
  real.writeFileSync(keyFile, 'half');
  real.chmodSync(certFile, 0o600);
  await bench.store({ plainFiles }).inspect('serving');
  match(p2);
  real.rmSync(certFile);
  real.symlinkSync('/etc/hostname', certFile);
  await bench.store({ plainFiles }).inspect('serving');
  match(p2);
  t.notOk(real.lstatSync(certFile).isSymbolicLink(), 'a planted link is replaced');
});

t.test('plain files that cannot be written hold no rotation up: told once, and tried at each look', async (t) => {
  const folder = t.testdir({ plain: 'a file' });
  const bench = new Bench(folder);
  const [certFile, keyFile] = [join(folder, 'plain/a.crt'), join(folder, 'plain/a.key')];
  const plainFiles = { client: { certFile, keyFile } };
  const store = bench.store({ plainFiles });
  await store.install('client', p1, NOON);
  t.equal(bench.warnings.length, 1);
  t.equal((await store.current('client'))?.chain.pem, p1.chain.pem);
  t.equal((await store.inspect('client')).length, 1);
  t.equal(bench.warnings.length, 1);
  t.match(JSON.stringify(bench.warnings), /Cannot repair a file.*plain.a\.crt/);
  real.rmSync(join(folder, 'plain'));
  await store.inspect('client');
  t.equal(real.readFileSync(certFile, 'utf8'), p1.chain.pem);
  real.rmSync(join(folder, 'plain'), { recursive: true });
  real.writeFileSync(join(folder, 'plain'), 'a file again');
  await store.inspect('client');
  t.equal(bench.warnings.length, 2, 'and told again when it comes back');
});

const record: PendingRequest = {
  purpose: 'client',
  name: 'node-csr-x',
  keyPem: new Secret(encodePrivateKey(p1.key).reveal()),
  requestPem: '-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n',
  template: {
    purpose: 'client',
    signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    dnsNames: [],
    ipAddresses: [],
    usages: ['digital signature', 'client auth'],
  },
  templateDigest: 'digest',
  nodeName: 'n1',
  certDir: '/var/lib/kubelet/pki',
  createdAt: NOON,
};

t.test('pending record and history survive a restart, private, and go for good', async (t) => {
  const bench = new Bench(t.testdir());
  t.equal(await bench.store().readPending('client'), undefined);
  t.strictSame(await bench.store().readHistory('client'), {});
  await bench.store().writePending('client', record);
  await bench.store().writeHistory('client', { lastIssuedAt: NOON });
  const read = await bench.store().readPending('client');
  t.equal(read?.keyPem.reveal(), record.keyPem.reveal());
  t.strictSame({ ...read, keyPem: undefined }, { ...record, keyPem: undefined });
  t.strictSame(await bench.store().readHistory('client'), { lastIssuedAt: NOON });
  t.equal(await bench.store().readPending('serving'), undefined);
  t.match(bench.modes(), { '.certlet/client-pending.json': '600', '.certlet/client-history.json': '600' });
  await bench.store().removePending('client');
  await bench.store().removePending('client');
  t.equal(await bench.store().readPending('client'), undefined);
});

for (const row of [
  { name: 'empty', text: '' },
  { name: 'garbage', text: '{"version":1' },
  { name: 'megabytes', text: ' '.repeat(1024 * 1024 + 1) },
]) {
  t.test(`a record that is ${row.name} is moved aside and counts as none`, async (t) => {
    const bench = new Bench(t.testdir());
    const store = bench.store();
    await store.inspect('client');
    for (const kind of ['pending', 'history'])
      real.writeFileSync(join(bench.stateDir, `client-${kind}.json`), row.text);
    t.equal(await store.readPending('client'), undefined);
    t.strictSame(await store.readHistory('client'), {});
    t.equal(real.readdirSync(join(bench.stateDir, 'quarantine')).length, 2);
    t.equal(bench.warnings.length, 2);
    t.notMatch(JSON.stringify(bench.warnings), /PRIVATE KEY/);
  });
}

t.test('the record of the other purpose is no record; a disk error is no absence', async (t) => {
  const bench = new Bench(t.testdir());
  await bench.store().writePending('client', record);
  real.renameSync(join(bench.stateDir, 'client-pending.json'), join(bench.stateDir, 'serving-pending.json'));
  t.equal(await bench.store().readPending('serving'), undefined);
  await bench.store().writePending('client', record);
  const failing = new StoppingFileSystem((line) =>
    line.startsWith('read ') ? Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }) : undefined,
  );
  await t.rejects(bench.store({ fs: failing }).readPending('client'), {
    code: 'ERR_STORE_IO',
    message: /client-pending\.json/,
  });
  t.ok(await bench.store().readPending('client'));
});

t.test('an error in one call does not hold up the next', async (t) => {
  const bench = new Bench(t.testdir());
  let full = true;
  const fs = new StoppingFileSystem((line) =>
    full && line.startsWith('create') ? Object.assign(new Error('ENOSPC: full, open'), { code: 'ENOSPC' }) : undefined,
  );
  const store = bench.store({ fs });
  await t.rejects(store.install('client', p1, NOON), { code: 'ERR_STORE_FULL' });
  full = false;
  await store.install('client', p1, NOON);
  const pair = await store.current('client');
  t.ok(pair !== undefined && chainMatchesKey(pair.chain, pair.key));
});
