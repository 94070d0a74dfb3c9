/** A token file is read again between two looks at the kubeconfig: whatever stands there by then. */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { credentialSource } from '../../../src/adapters/api/credential-source.ts';

const OPTIONS = {
  cluster: { server: 'https://api.test', insecureSkipTlsVerify: false },
  environment: {},
  now: () => new Date('2030-06-01T00:00:00Z'),
  execTimeoutMs: 1000,
  onPluginOutput: () => undefined,
} as const;

t.test('a pipe in the place of a token file takes a thread of the process for good', async (t) => {
  const path = join(t.testdir({ token: 'abc' }), 'token');
  const source = credentialSource({ kind: 'tokenFile', path }, OPTIONS);
  const { signal } = new AbortController();
  const first = await source.present(signal);
  t.equal(first.token?.reveal(), 'abc');
  unlinkSync(path);
  t.equal(spawnSync('mkfifo', [path]).status, 0);
  let released = false;
  const release = setTimeout(() => {
    released = true;
    closeSync(openSync(path, constants.O_RDWR | constants.O_NONBLOCK));
  }, 5000);
  await t.rejects(source.renew(first, signal), { code: 'ERR_CREDENTIAL_INVALID', message: /cannot be read/ });
  clearTimeout(release);
  t.equal(released, false, 'nobody had to write into it');
});

t.test('a token file without end is not read into memory', async (t) => {
  const path = join(t.testdir({}), 'token');
  writeFileSync(path, 'a'.repeat(1024 * 1024 + 1));
  const source = credentialSource({ kind: 'tokenFile', path }, OPTIONS);
  await t.rejects(source.present(new AbortController().signal), {
    code: 'ERR_CREDENTIAL_INVALID',
    message: /cannot be read/,
  });
});
