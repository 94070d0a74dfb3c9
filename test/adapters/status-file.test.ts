import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

function setting(t: Test, path = join(t.testdir({}), 'run', 'status.json')): Setting {
  const clock = new FakeClock();
  const errors: CertletError[] = [];
  const written: string[] = [];
  const onError = (error: CertletError): void => void errors.push(error);
  const file = new PublishedFile({ fs: new NodeFileSystem(), clock, path, spacingMs: 1000, onError });
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

/** Disk writes take a few turns of the event loop; the fake clock stands still meanwhile. */
async function untilWritten(s: Setting, count: number): Promise<void> {
  for (let turn = 0; turn < 2000 && s.written.length < count; turn += 1) await s.clock.settle();
  for (let turn = 0; turn < 50; turn += 1) await s.clock.settle();
}

t.test('the file is readable for everyone, in a folder that is made', async (t) => {
  const s = setting(t);
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  s.publish('one');
  await untilWritten(s, 1);
  await s.file.close();
  t.equal(s.content(), 'one');
  t.equal(statSync(s.path).mode & 0o7777, 0o644);
  t.equal(statSync(join(s.path, '..')).mode & 0o7777, 0o755);
});

t.test('what did not change is not written again, and nothing wakes the process', async (t) => {
  const s = setting(t);
  s.publish('one', 'same');
  await untilWritten(s, 1);
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
  await untilWritten(s, 1);
  for (const text of ['two', 'three', 'four']) s.publish(text);
  await s.clock.settle();
  t.strictSame(s.written, ['one']);
  t.equal(s.clock.sleeping, 1);
  await s.clock.advance(1000);
  await untilWritten(s, 2);
  t.strictSame(s.written, ['one', 'four']);
  t.equal(s.clock.sleeping, 0);
  await s.file.close();
});

t.test('a clock that was set back holds nothing up', async (t) => {
  const s = setting(t);
  s.publish('one');
  await untilWritten(s, 1);
  await s.clock.step(-3_600_000);
  s.publish('two');
  await untilWritten(s, 2);
  t.strictSame(s.written, ['one', 'two']);
  await s.file.close();
});

t.test('closing writes what came too soon after the last write; later publications are nothing', async (t) => {
  const s = setting(t);
  s.publish('one');
  await untilWritten(s, 1);
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

t.test('a file that cannot be written is told once, tried again, and told again after a success', async (t) => {
  const folder = t.testdir({ file: 'in the way' });
  const s = setting(t, join(folder, 'file', 'status.json'));
  for (const [index, text] of ['one', 'two', 'three'].entries()) {
    s.publish(text);
    await untilWritten(s, index + 1);
    await s.clock.advance(2000);
  }
  t.match(s.errors, [{ code: 'ERR_STORE_IO' }]);
  t.equal(s.errors.length, 1);
  rmSync(join(folder, 'file'));
  s.publish('four');
  await untilWritten(s, 4);
  t.equal(s.content(), 'four');
  rmSync(join(folder, 'file'), { recursive: true });
  writeFileSync(join(folder, 'file'), '');
  await s.clock.advance(2000);
  s.publish('five');
  await untilWritten(s, 5);
  t.equal(s.errors.length, 2);
  await s.file.close();
});
