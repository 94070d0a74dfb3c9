import type { CertletError, ErrorCode } from '../errors.ts';
import { EXIT } from '../errors.ts';
import { ERROR_RULES } from '../error-rules.ts';

/** Codes whose exit code is not that of their action. */
const BY_CODE: Readonly<Partial<Record<ErrorCode, number>>> = {
  ERR_USAGE: EXIT.usage,
  ERR_CONFIG_INVALID: EXIT.config,
  ERR_NODE_NAME: EXIT.config,
  ERR_KUBECONFIG_INVALID: EXIT.config,
  ERR_KUBECONFIG_UNSAFE: EXIT.config,
  ERR_CREDENTIAL_MISSING: EXIT.tempFail,
  ERR_INTERNAL: EXIT.failed,
  ERR_HOOK: EXIT.failed,
  ERR_CONTROL: EXIT.failed,
};

/** What the process ends with after this error. */
export function exitCodeOf(error: CertletError): number {
  if (isNotPermitted(error.cause)) return EXIT.noPermission;
  const fixed = BY_CODE[error.code];
  if (fixed !== undefined) return fixed;
  switch (ERROR_RULES[error.code].action) {
    case 'retrySoon':
    case 'retrySlowly':
    case 'fallBackToBootstrap':
    case 'waitForHours':
    case 'waitForClock':
    // Whoever holds the lock does the work; a later try finds it free.
    case 'waitForHolder':
      return EXIT.tempFail;
    case 'waitForPerson':
    case 'stop':
      return EXIT.failed;
  }
}

function isNotPermitted(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'EACCES' || cause.code === 'EPERM');
}
