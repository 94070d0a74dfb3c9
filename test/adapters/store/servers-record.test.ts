import { writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { createServersFile } from '../../../src/adapters/store/servers-record.ts';

const RECORD = {
  found: ['https://10.0.0.1:6443'],
  move: {
    at: new Date('2030-06-01T00:00:00Z'),
    from: 'https://a:6443',
    to: 'https://b:6443',
    home: 'https://a:6443',
    owed: true,
  },
};

t.test('what was written is read back, and is private', async (t) => {
  const folder = t.testdir({});
  const file = createServersFile(new NodeFileSystem(), folder);
  t.strictSame(await file.read(), { found: [] }, 'nothing yet');
  await file.write(RECORD);
  t.strictSame(await file.read(), RECORD);
  t.equal((await stat(join(folder, 'servers.json'))).mode & 0o777, 0o600);
});

for (const [name, text] of [
  ['no JSON', '{'],
  ['another form', '[1]'],
  ['servers that are none', '{"found":["http://a","x",7],"move":{"at":"x","from":"https://a","to":"https://b"}}'],
  ['a move without servers', '{"found":[],"move":{"at":"2030-06-01T00:00:00Z"}}'],
]) {
  t.test(`what cannot be understood counts as nothing: ${String(name)}`, async (t) => {
    const folder = t.testdir({});
    writeFileSync(join(folder, 'servers.json'), String(text));
    t.match(await createServersFile(new NodeFileSystem(), folder).read(), { found: [], move: undefined });
  });
}

t.test('nothing is written once the lock is lost', async (t) => {
  const folder = t.testdir({});
  const lost = createServersFile(new NodeFileSystem(), folder, async () => {
    throw new Error('lost');
  });
  await t.rejects(lost.write(RECORD), { message: 'lost' });
  t.strictSame(await lost.read(), { found: [] });
});
