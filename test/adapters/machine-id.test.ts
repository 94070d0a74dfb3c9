import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { machineDigest } from '../../src/adapters/machine-id.ts';

const ID = '0123456789abcdef0123456789abcdef';

for (const { name, text, known } of [
  { name: 'an id', text: `${ID}\n`, known: true },
  { name: 'a first boot', text: 'uninitialized\n', known: false },
  { name: 'empty, as in images', text: '', known: false },
]) {
  t.test(`machineDigest: ${name}`, async (t) => {
    const folder = t.testdir({ 'machine-id': text });
    chmodSync(folder, 0o755);
    const digest = await machineDigest(join(folder, 'machine-id'));
    t.equal(digest !== undefined, known);
    t.notMatch(digest ?? '', ID.slice(0, 8), 'the id itself is not shown');
  });
}

t.test('machineDigest: none, or no file', async (t) => {
  t.equal(await machineDigest(join(t.testdir({}), 'machine-id')), undefined);
  t.equal(await machineDigest(t.testdir({})), undefined);
});
