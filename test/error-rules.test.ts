import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { failuresPage } from '../config/tooling/failures.ts';
import { ERROR_RULES, type ErrorCode, isOnTheWay } from '../src/error-rules.ts';
import { asCertletError, CertletError, isCertletError } from '../src/errors.ts';
import { Secret } from '../src/secret.ts';
import { inspect } from 'node:util';

t.test('docs/failures.md says what the table of error codes says', async (t) => {
  t.equal(readFileSync(resolve(import.meta.dirname, '../docs/failures.md'), 'utf8'), failuresPage());
});

t.test('every code tells what it means and what a person should do, in sentences', async (t) => {
  for (const [code, { meaning, person }] of Object.entries(ERROR_RULES)) {
    t.match(meaning, /^[A-Z'`][^|]*\.$/, `${code}: meaning`);
    t.match(person, /^[A-Z'`][^|]*[.`)]$/, `${code}: person`);
  }
});

t.test('an answer of the cluster ends what kept it away, and no refusal and no trouble of the disk', async (t) => {
  for (const code of [
    'ERR_API_UNREACHABLE',
    'ERR_API_TLS',
    'ERR_CREDENTIAL_MISSING',
    'ERR_EXEC_PLUGIN',
    'ERR_KUBECONFIG_INVALID',
  ] as const)
    t.ok(isOnTheWay(code), code);
  const others = Object.keys(ERROR_RULES).filter((code) =>
    /^ERR_(?:CSR|ISSUED|STORE|NAMES|KEY|HOOK|INTERNAL)/.test(code),
  );
  t.ok(others.length > 10);
  for (const code of others) t.notOk(isOnTheWay(code as ErrorCode), code);
});

t.test('an error carries code, remedy, status, pause and cause', async (t) => {
  const cause = new Error('ECONNRESET');
  const error = new CertletError('ERR_API_THROTTLED', 'slow down', {
    remedy: '# Wait.',
    retryAfterMs: 5,
    status: 429,
    cause,
  });
  t.match(error, {
    code: 'ERR_API_THROTTLED',
    remedy: '# Wait.',
    retryAfterMs: 5,
    status: 429,
    cause,
    name: 'CertletError',
  });
  t.equal(new CertletError('ERR_HOOK', 'x').cause, undefined);
});

t.test('isCertletError tells codes apart', async (t) => {
  const error = new CertletError('ERR_HOOK', 'x');
  t.ok(isCertletError(error));
  t.ok(isCertletError(error, 'ERR_TIMEOUT', 'ERR_HOOK'));
  t.notOk(isCertletError(error, 'ERR_TIMEOUT'));
  t.notOk(isCertletError(new Error('ERR_HOOK')));
});

t.test('whatever is thrown becomes an error of ours, and ours stays itself', async (t) => {
  const ours = new CertletError('ERR_HOOK', 'x');
  t.equal(asCertletError(ours), ours);
  const defect = new TypeError('x is undefined');
  t.match(asCertletError(defect), { code: 'ERR_INTERNAL', message: 'unexpected: x is undefined', cause: defect });
  t.match(asCertletError('text'), { code: 'ERR_INTERNAL', message: 'unexpected: text' });
});

t.test('a secret prints as nothing on every road', async (t) => {
  const secret = new Secret('hunter2');
  const shown = [
    String(secret),
    secret.toString(),
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ a: [secret] }),
  ];
  for (const text of shown) {
    t.notMatch(text, /hunter2/);
    t.match(text, /\[secret\]/);
  }
  t.equal(secret.reveal(), 'hunter2');
});
