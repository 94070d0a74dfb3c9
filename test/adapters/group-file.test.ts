import * as disk from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { letGroupRead } from '../../src/adapters/group-file.ts';

t.test('the group may read, nobody else, and the owner stays', async (t) => {
  const path = join(t.testdir({ file: 'x' }), 'file');
  disk.chmodSync(path, 0o600);
  const { uid, gid } = disk.statSync(path);
  await letGroupRead(path, gid);
  const after = disk.statSync(path);
  t.strictSame([after.mode & 0o777, after.uid, after.gid], [0o640, uid, gid]);
});

t.test('a link is not followed, and what is missing is told', async (t) => {
  const folder = t.testdir({ file: 'x', link: t.fixture('symlink', 'file') });
  const { mode, gid } = disk.statSync(join(folder, 'file'));
  await t.rejects(letGroupRead(join(folder, 'link'), gid), { code: 'ERR_STORE_IO', message: /ELOOP/ });
  t.equal(disk.statSync(join(folder, 'file')).mode, mode);
  await t.rejects(letGroupRead(join(folder, 'none'), gid), { code: 'ERR_STORE_IO', message: /ENOENT/ });
});
