import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { acquireLock } from '../../src/adapters/lock.ts';
import { type CertletError, isCertletError } from '../../src/errors.ts';

const MODULE = pathToFileURL(join(import.meta.dirname, '../../src/adapters/lock.ts')).href;
const CHILD = `
const { acquireLock } = await import(${JSON.stringify(MODULE)});
for await (const _ of process.stdin) break;
try {
  await acquireLock(process.argv[1], { label: 'certlet run' });
  console.log('won');
  setInterval(() => {}, 60_000);
} catch (error) {
  console.log(error.code + ' ' + error.message);
  process.exit(0);
}`;

interface Starter {
  readonly child: ChildProcess;
  go(): void;
  readonly verdict: Promise<string>;
}

/** A process that waits for a byte, then tries to take the lock, says what came of it, and holds it for as long as it lives. */
function starter(t: { teardown(work: () => unknown): void }, certDir: string): Starter {
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', CHILD, certDir];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout! });
  const verdict = new Promise<string>((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve('closed'));
  });
  return { child, go: () => child.stdin!.end('x'), verdict };
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

t.test('of ten processes that start together exactly one gets the lock, the others learn who', async (t) => {
  const certDir = t.testdir();
  const starters = Array.from({ length: 10 }, () => starter(t, certDir));
  for (const each of starters) each.go();
  const verdicts = await Promise.all(starters.map(async (each) => ({ each, line: await each.verdict })));
  const winners = verdicts.filter(({ line }) => line === 'won');
  t.equal(winners.length, 1);
  const winner = winners[0]!.each.child;
  for (const { line } of verdicts.filter(({ line }) => line !== 'won'))
    t.match(line, new RegExp(`^ERR_LOCK_HELD .* is managed by process ${String(winner.pid)} \\(certlet run, since `));

  await kill(winner);
  t.ok(existsSync(join(certDir, '.certlet.lock.holder')), 'the killed holder left its note');
  const next = await acquireLock(certDir, { label: 'certlet once' });
  t.equal(JSON.parse(readFileSync(join(certDir, '.certlet.lock.holder'), 'utf8')).pid, process.pid);
  await next.release();
});

t.test('after a kill of the holder exactly one of several waiting starters wins at once', async (t) => {
  const certDir = t.testdir();
  const first = starter(t, certDir);
  first.go();
  t.equal(await first.verdict, 'won');
  const others = Array.from({ length: 4 }, () => starter(t, certDir));
  await kill(first.child);
  for (const each of others) each.go();
  const lines = await Promise.all(others.map((each) => each.verdict));
  t.equal(lines.filter((line) => line === 'won').length, 1, lines.join('; '));
});

t.test('a folder that does not exist is made, and the files are private', async (t) => {
  const certDir = join(t.testdir(), 'a/pki');
  const lock = await acquireLock(certDir, { label: 'certlet run' });
  t.equal(statSync(certDir).mode & 0o777, 0o755);
  t.equal(lock.path, join(certDir, '.certlet.lock'));
  for (const name of ['.certlet.lock', '.certlet.lock.holder'])
    t.equal(statSync(join(certDir, name)).mode & 0o777, 0o600, name);
  t.equal(statSync(lock.path).size, 0, 'the database is never written');
  await lock.release();
  t.notOk(existsSync(join(certDir, '.certlet.lock.holder')));
});

t.test('a second taker in the same process is refused, by whatever path, and does not loosen the first', async (t) => {
  const dir = t.testdir({ pki: {} });
  symlinkSync('pki', join(dir, 'link'));
  const lock = await acquireLock(join(dir, 'pki'), { label: 'certlet run' });
  const error = await acquireLock(join(dir, 'link'), { label: 'certlet renew' }).catch((error: unknown) => error);
  t.ok(isCertletError(error, 'ERR_LOCK_HELD'));
  t.match((error as CertletError).message, `process ${String(process.pid)} (certlet run`);
  t.match((error as CertletError).remedy, 'certlet status');
  const child = starter(t, join(dir, 'pki'));
  child.go();
  t.match(await child.verdict, 'ERR_LOCK_HELD');
  await lock.release();
  await lock.release();
  const again = await acquireLock(join(dir, 'link'), { label: 'certlet once' });
  await again.release();
});

for (const row of [
  { name: 'moved away', change: (pki: string) => renameSync(pki, `${pki}.old`) },
  {
    name: 'moved away and made anew',
    change: (pki: string) => {
      renameSync(pki, `${pki}.old`);
      mkdirSync(pki);
    },
  },
  { name: 'emptied', change: (pki: string) => rmSync(join(pki, '.certlet.lock')) },
]) {
  t.test(`a cert-dir that was ${row.name} is not taken for locked, and its next holder keeps its note`, async (t) => {
    const pki = join(t.testdir({ pki: {} }), 'pki');
    const lock = await acquireLock(pki, { label: 'certlet run' });
    await lock.confirm();
    row.change(pki);
    await t.rejects(lock.confirm(), { code: 'ERR_STORE_DETACHED', message: /moved, emptied or replaced/ });
    const next = starter(t, pki);
    next.go();
    t.equal(await next.verdict, 'won', 'as expected: nothing keeps another one out');
    await t.rejects(lock.confirm(), {
      code: 'ERR_STORE_DETACHED',
      message: /is not the file that this certlet locked/,
    });
    await lock.release();
    const { pid } = JSON.parse(readFileSync(join(pki, '.certlet.lock.holder'), 'utf8')) as { pid: number };
    t.equal(pid, next.child.pid);
  });
}

t.test('a dropped lock object keeps the lock: the garbage collector does not give it away', async (t) => {
  const certDir = t.testdir();
  await acquireLock(certDir, { label: 'certlet run' });
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  for (let round = 0; round < 5; round += 1) {
    collect();
    await setImmediate();
  }
  const child = starter(t, certDir);
  child.go();
  t.match(await child.verdict, 'ERR_LOCK_HELD');
});

for (const row of [
  {
    name: 'a lock file that is no database',
    make: (path: string) => writeFileSync(path, 'x'.repeat(4096)),
    says: 'rm ',
  },
  {
    name: 'a link in place of the lock file',
    make: (path: string) => symlinkSync('/etc/passwd', path),
    says: 'ls -ld',
  },
  { name: 'a folder in place of the lock file', make: (path: string) => mkdirSync(path), says: 'ls -ld' },
  { name: 'a folder in place of the note', make: (path: string) => mkdirSync(`${path}.holder`), says: 'ls -ld' },
]) {
  t.test(`${row.name} is an error with a remedy, and leaves nothing locked`, async (t) => {
    const certDir = t.testdir();
    const path = join(certDir, '.certlet.lock');
    row.make(path);
    const error = await acquireLock(certDir, { label: 'certlet run' }).catch((error: unknown) => error);
    t.ok(isCertletError(error, 'ERR_STORE_IO'), String(error));
    t.match((error as CertletError).remedy, row.says);
    const again = await acquireLock(certDir, { label: 'certlet run' }).catch((error: unknown) => error);
    t.ok(isCertletError(again, 'ERR_STORE_IO'), 'not ERR_LOCK_HELD');
  });
}

for (const row of [
  { name: 'goes on in a folder that is ours alone', mode: 0o755, refused: false },
  { name: 'is told, with its number of names, in one that others can write', mode: 0o1777, refused: true },
]) {
  t.test(`a backup by hard links locks certlet out: a second name of the lock file ${row.name}`, async (t) => {
    const certDir = t.testdir();
    const path = join(certDir, '.certlet.lock');
    await (await acquireLock(certDir, { label: 'certlet run' })).release();
    linkSync(path, join(certDir, 'backup'));
    chmodSync(certDir, row.mode);
    const taken = acquireLock(certDir, { label: 'certlet run' });
    if (row.refused) {
      const message = /it has 2 names \(a backup by hard links\?\)/;
      await t.rejects(taken, {
        code: 'ERR_STORE_UNSAFE',
        message,
        remedy: /^rm .* {3}# its other names: find .*-samefile /,
      });
      return;
    }
    const lock = await taken;
    await t.resolves(lock.confirm());
    await t.rejects(acquireLock(certDir, { label: 'certlet once' }), { code: 'ERR_LOCK_HELD' });
    await lock.release();
  });
}

for (const row of [
  { name: 'another name of a file of somebody', make: (path: string, other: string) => linkSync(other, path) },
  {
    name: 'a file of another user',
    make: (path: string) => {
      writeFileSync(path, '');
      chownSync(path, 65_534, 65_534);
    },
    rootOnly: true,
  },
]) {
  const skip = row.rootOnly === true && process.geteuid?.() !== 0 && 'only root can give files away';
  t.test(`planted in place of the lock file: ${row.name} is refused and left as it is`, { skip }, async (t) => {
    const certDir = t.testdir({ other: 'x' });
    const path = join(certDir, '.certlet.lock');
    chmodSync(join(certDir, 'other'), 0o644);
    row.make(path, join(certDir, 'other'));
    await t.rejects(acquireLock(certDir, { label: 'certlet run' }), {
      code: 'ERR_STORE_UNSAFE',
      message: /another user may have put it there/,
      remedy: /^rm .* {3}# what it is: ls -l /,
    });
    t.equal(statSync(join(certDir, 'other')).mode & 0o777, 0o644);
  });
}

t.test('a holder whose note is missing or no JSON is named as another process', async (t) => {
  const notes = ['', '{', 'null', '{"pid":"x"}'];
  const dir = t.testdir(Object.fromEntries(notes.map((_, index) => [String(index), {}])));
  const check = async (note: string, certDir: string): Promise<void> => {
    const holder = starter(t, certDir);
    holder.go();
    t.equal(await holder.verdict, 'won');
    const path = join(certDir, '.certlet.lock.holder');
    writeFileSync(path, note);
    chmodSync(path, 0o600);
    const error = await acquireLock(certDir, { label: 'certlet once' }).catch((error: unknown) => error);
    t.match(error, { code: 'ERR_LOCK_HELD', message: /managed by another process/, remedy: /fuser -v/ });
    await kill(holder.child);
  };
  await Promise.all(notes.map((note, index) => check(note, join(dir, String(index)))));
});
