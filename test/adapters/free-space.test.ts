import { join } from 'node:path';
import t from 'tap';
import { hasNoRoom, isFull } from '../../src/adapters/probe/free-space.ts';

const SPACE = { bsize: 4096, bfree: 1000, bavail: 1000, files: 1000, ffree: 1000 };

for (const row of [
  { name: 'room', space: {}, uid: 0, full: false },
  { name: 'no block', space: { bfree: 0, bavail: 0 }, uid: 0, full: true },
  { name: 'too few blocks for one rotation', space: { bfree: 15, bavail: 15 }, uid: 0, full: true },
  { name: 'just enough', space: { bfree: 16, bavail: 16 }, uid: 0, full: false },
  { name: 'what is kept for root, as root', space: { bavail: 0 }, uid: 0, full: false },
  { name: 'what is kept for root, as another', space: { bavail: 0 }, uid: 990, full: true },
  { name: 'no inode', space: { ffree: 0 }, uid: 0, full: true },
  { name: 'a file system that counts no inodes', space: { files: 0, ffree: 0 }, uid: 0, full: false },
]) {
  t.test(row.name, async (t) => {
    t.equal(hasNoRoom({ ...SPACE, ...row.space }, row.uid), row.full);
  });
}

t.test('a folder that is not there is none that is full', async (t) => {
  t.equal(await isFull(join(t.testdir({}), 'none'), 0), false);
});
