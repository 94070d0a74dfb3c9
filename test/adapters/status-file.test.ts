import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { PublishedFile } from '../../src/adapters/status-file.ts';
import type { CertletError } from '../../src/errors.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';

interface Setting {
  readonly file: PublishedFile;
  readonly clock: FakeClock;
  readonly path: string;
  readonly errors: CertletError[];
  /** Texts that were asked for, in order: one for each write. */
  readonly written: string[];
  readonly publish: (text: string, mark?: string) => void;
  readonly content: () => string;
}

function setting(t: Test, path = join(t.testdir({}), 'run', 'status.json'), fs = new NodeFileSystem()): Setting {
  const clock = new FakeClock();
  const errors: CertletError[] = [];
  const written: string[] = [];
  const onError = (error: CertletError): void => void errors.push(error);
  const file = new PublishedFile({ fs, clock, path, spacingMs: 1000, onError });
  return {
    file,
    clock,
    path,
    errors,
    written,
    publish: (text, mark = text) => {
      file.publish({
        mark,
        text: () => {
          written.push(text);
          return text;
        },
      });
    },
    content: () => readFileSync(path, 'utf8'),
  };
}

/** Disk writes take some turns of the event loop; the fake clock stands still meanwhile. */
async function until(s: Setting, condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn += 1) {
    if (turn > 20_000) throw new Error('did not come to pass');
    await s.clock.settle();
  }
}

/** The text of this publication is on the disk. */
const untilHolds = (s: Setting, text: string): Promise<void> =>
  until(s, () => existsSync(s.path) && s.content() === text);

t.test('the file is readable for everyone, in a folder that is made', async (t) => {
  const s = setting(t);
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  s.publish('one');
  await untilHolds(s, 'one');
  await s.file.close();
  t.equal(s.content(), 'one');
  t.equal(statSync(s.path).mode & 0o7777, 0o644);
  t.equal(statSync(join(s.path, '..')).mode & 0o7777, 0o755);
});

t.test('what did not change is not written again, and nothing wakes the process', async (t) => {
  const s = setting(t);
  s.publish('one', 'same');
  await untilHolds(s, 'one');
  s.publish('two', 'same');
  await s.clock.settle();
  t.strictSame(s.written, ['one']);
  t.equal(s.clock.sleeping, 0);
  await s.file.close();
  t.strictSame(s.written, ['one']);
});

t.test('a burst of changes is two writes: the first at once, the last a second later', async (t) => {
  const s = setting(t);
  s.publish('one');
  await untilHolds(s, 'one');
  for (const text of ['two', 'three', 'four']) s.publish(text);
  await until(s, () => s.clock.sleeping === 1);
  t.strictSame(s.written, ['one']);
  await s.clock.advance(1000);
  await untilHolds(s, 'four');
  t.strictSame(s.written, ['one', 'four']);
  t.equal(s.clock.sleeping, 0);
  await s.file.close();
});

t.test('a clock that was set back holds nothing up', async (t) => {
  const s = setting(t);
  s.publish('one');
  await untilHolds(s, 'one');
  await s.clock.step(-3_600_000);
  s.publish('two');
  await untilHolds(s, 'two');
  t.strictSame(s.written, ['one', 'two']);
  await s.file.close();
});

t.test('closing writes what came too soon after the last write; later publications are nothing', async (t) => {
  const s = setting(t);
  s.publish('one');
  await untilHolds(s, 'one');
  s.publish('last');
  await s.file.close();
  t.equal(s.content(), 'last');
  s.publish('too late');
  await s.clock.settle();
  t.equal(s.content(), 'last');
});

t.test('closing without a publication writes nothing', async (t) => {
  const s = setting(t);
  await s.file.close();
  t.throws(() => s.content(), { code: 'ENOENT' });
});

/** Fails at its first operation while it is broken, without any real disk in between. */
class BreakableFileSystem extends NodeFileSystem {
  broken = true;

  override async lstat(path: string): ReturnType<NodeFileSystem['lstat']> {
    if (this.broken) throw Object.assign(new Error('EROFS: read-only file system, lstat'), { code: 'EROFS', path });
    return super.lstat(path);
  }
}

t.test('a file that cannot be written is told once, tried again, and told again after a success', async (t) => {
  const fs = new BreakableFileSystem();
  const s = setting(t, join(t.testdir({}), 'status.json'), fs);
  for (const text of ['one', 'two', 'three']) {
    s.publish(text);
    await s.clock.advance(2000);
  }
  t.match(s.errors, [{ code: 'ERR_STORE_READ_ONLY' }]);
  t.equal(s.errors.length, 1);
  fs.broken = false;
  s.publish('four');
  await untilHolds(s, 'four');
  await s.clock.advance(2000);
  fs.broken = true;
  s.publish('five');
  await until(s, () => s.errors.length === 2);
  await s.file.close();
  t.equal(s.content(), 'four');
});
