import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { findLeaks } from '../../config/tooling/find-secrets.ts';

const program = join(import.meta.dirname, '../../config/tooling/find-secrets.ts');
const SECRETS = ['0123456789abcdef', 'hunter2-password', '0123456789zzzzzz'];

for (const row of [
  { name: 'a secret in the middle of a line', text: 'ok\nlevel=info token=abcdef.0123456789abcdef x', at: 2 },
  { name: 'a secret at the end of a text', text: 'x hunter2-password', at: 1 },
  { name: 'any private key', text: '-----BEGIN EC PRIVATE KEY-----', at: 1 },
  { name: 'a secret in what a failed test shows', text: '    +  "0123456789abcdef"', at: 1 },
] as const) {
  t.test(`found: ${row.name}`, async (t) => {
    const leaks = findLeaks('f', row.text, SECRETS);
    t.strictSame(
      leaks.map(({ line }) => line),
      [row.at],
    );
    t.notMatch(leaks[0]?.text ?? '', /0123456789abcdef|hunter2/, 'and not shown again');
  });
}

for (const row of [
  { name: 'the beginning of a secret', text: '0123456789abcde' },
  { name: 'the name of a test', text: '    ok 3 - join --token abcdef.0123456789abcdef' },
  { name: 'the title of a test', text: '    # Subtest: join --token abcdef.0123456789abcdef' },
  { name: 'a certificate', text: '-----BEGIN CERTIFICATE-----' },
]) {
  t.test(`not a leak: ${row.name}`, async (t) => t.strictSame(findLeaks('f', row.text, SECRETS), []));
}

function search(folder: string): { readonly status: number | null; readonly stdout: string } {
  return spawnSync(process.execPath, [program, folder], { encoding: 'utf8' });
}

t.test('the program fails on a leak, and where it had nothing to look for', async (t) => {
  const clean = { secrets: `${SECRETS.join('\n')}\n`, 'output-1.log': 'all well\n' };
  const found = search(t.testdir(clean));
  t.equal(found.status, 0, found.stdout);
  t.match(found.stdout, /secrets looked for: 3 in 9 characters of 1 files, 0 found/);
  t.equal(search(t.testdir({ ...clean, 'output-2.log': 'hunter2-password' })).status, 1);
  t.equal(search(t.testdir({ ...clean, secrets: '' })).status, 1, 'no secret');
  t.equal(search(t.testdir({ secrets: clean.secrets })).status, 1, 'no output');
});
