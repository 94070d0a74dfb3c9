import t from 'tap';
import { exitCodeOf } from '../../src/cli/exit-code.ts';
import { ERROR_RULES } from '../../src/error-rules.ts';
import { CertletError } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';

const rows: readonly (readonly [ErrorCode, number])[] = [
  ['ERR_USAGE', 64],
  ['ERR_CONFIG_INVALID', 78],
  ['ERR_NODE_NAME', 78],
  ['ERR_KUBECONFIG_INVALID', 78],
  ['ERR_KUBECONFIG_UNSAFE', 78],
  ['ERR_LOCK_HELD', 75],
  ['ERR_TIMEOUT', 75],
  ['ERR_API_UNREACHABLE', 75],
  ['ERR_API_UNAUTHORIZED', 75],
  ['ERR_API_FORBIDDEN', 75],
  ['ERR_CREDENTIAL_MISSING', 75],
  ['ERR_CSR_DENIED', 75],
  ['ERR_STORE_UNSAFE', 1],
  ['ERR_DISCOVERY', 1],
  ['ERR_HOOK', 1],
  ['ERR_INTERNAL', 1],
];
for (const [code, exit] of rows) {
  t.test(`${code} ends the program with ${String(exit)}`, async (t) => {
    t.equal(exitCodeOf(new CertletError(code, 'x')), exit);
  });
}

t.test('every code has one of the documented exit codes', async (t) => {
  for (const code of Object.keys(ERROR_RULES) as ErrorCode[]) {
    t.ok([1, 64, 75, 77, 78].includes(exitCodeOf(new CertletError(code, 'x'))), code);
  }
});

t.test('what the system does not permit ends with 77 whatever the code', async (t) => {
  for (const errno of ['EACCES', 'EPERM']) {
    const cause = Object.assign(new Error('denied'), { code: errno });
    t.equal(exitCodeOf(new CertletError('ERR_STORE_IO', 'x', { cause })), 77);
  }
  const other = Object.assign(new Error('gone'), { code: 'EIO' });
  t.equal(exitCodeOf(new CertletError('ERR_STORE_IO', 'x', { cause: other })), 75);
});
