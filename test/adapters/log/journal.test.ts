import { closeSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fileIdentity, isJournalStream } from '../../../src/adapters/log/journal.ts';

const file = { dev: 9n, ino: 12345n };

for (const row of [
  { name: 'device and inode match', variable: '9:12345', file, journal: true },
  { name: 'the stream was redirected', variable: '9:54321', file, journal: false },
  { name: 'there is no journal', variable: undefined, file, journal: false },
  { name: 'standard error is closed', variable: '9:12345', file: undefined, journal: false },
]) {
  t.test(`journal or not: ${row.name}`, async (t) => {
    t.equal(isJournalStream(row.variable, row.file), row.journal);
  });
}

t.test('identity of an open file is that of its inode, and none when closed', async (t) => {
  const path = join(t.testdir({ file: '' }), 'file');
  const descriptor = openSync(path, 'r');
  const { dev, ino } = statSync(path, { bigint: true });
  t.strictSame(fileIdentity(descriptor), { dev, ino });
  closeSync(descriptor);
  t.equal(fileIdentity(1_000_000), undefined);
});
