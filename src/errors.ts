import type { Remedy } from './remedy.ts';
import type { ErrorCode } from './error-rules.ts';

export type { ErrorCode } from './error-rules.ts';

/**
 * What is told apart within one code. `other name`, `not signed`: a server's certificate (`ERR_API_TLS`). `no requests`: no role lets the identity
 * work with signing requests (`ERR_API_FORBIDDEN`), and the remedy is the binding that does. `too large`: an answer above the limits
 * (`ERR_API_PROTOCOL`), of which a part may be asked for. `in vain`: a flag was taken and what it asked for failed (`ERR_HOOK`), so it is raised anew.
 */
export type ErrorReason = 'other name' | 'not signed' | 'no requests' | 'too large' | 'in vain';

export interface ErrorDetails {
  /** What a person should do, with the exact command where there is one. Printed after the message. */
  readonly remedy?: Remedy;
  /** The server's `Retry-After`, in milliseconds. */
  readonly retryAfterMs?: number;
  /** HTTP status, where an answer came. */
  readonly status?: number;
  /** The file or folder that an operation failed on. */
  readonly path?: string;
  /** The system's name for why (`EACCES`), where the system refused. */
  readonly errno?: string;
  readonly reason?: ErrorReason | undefined;
  readonly cause?: unknown;
}

/**
 * The only error class. The message names what failed, for which object, and why; the code says what to do next
 * (see `ERROR_RULES`). Messages and remedies never hold a secret.
 */
export class CertletError extends Error {
  override readonly name = 'CertletError';
  readonly code: ErrorCode;
  readonly remedy: Remedy | undefined;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;
  readonly path: string | undefined;
  readonly errno: string | undefined;
  readonly reason: ErrorReason | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.remedy = details.remedy;
    this.retryAfterMs = details.retryAfterMs;
    this.status = details.status;
    this.path = details.path;
    this.errno = details.errno;
    this.reason = details.reason;
  }
}

/** True for a `CertletError`, of one of `codes` where any are given. */
export function isCertletError(error: unknown, ...codes: readonly ErrorCode[]): error is CertletError {
  return error instanceof CertletError && (codes.length === 0 || codes.includes(error.code));
}

/** Any thrown value as a `CertletError`: what is not one yet becomes `ERR_INTERNAL` with the original as cause. */
export function asCertletError(error: unknown): CertletError {
  if (error instanceof CertletError) return error;
  const text = error instanceof Error ? error.message : String(error);
  return new CertletError('ERR_INTERNAL', `unexpected: ${text}`, { cause: error });
}

/** What a log line says of an error: the one way to log one. */
export const errorFields = ({
  code,
  message,
  remedy,
}: Pick<CertletError, 'code' | 'message' | 'remedy'>): {
  readonly code: ErrorCode;
  readonly error: string;
  readonly remedy: Remedy | undefined;
} => ({ code, error: message, remedy });

/** What stands against `work`, undefined when it is done: for what may fail without stopping what follows. A defect is thrown. */
export async function problemOf(work: () => Promise<unknown>): Promise<CertletError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return error;
  }
}

/**
 * Whether an error tells of a mistake in a program and not of the world: a `TypeError`, `ReferenceError` or `RangeError`, also where a library
 * has wrapped it. No server, network or disk is to blame for it.
 */
export function isDefect(error: unknown): boolean {
  const root = rootOf(error);
  return root instanceof TypeError || root instanceof ReferenceError || root instanceof RangeError;
}

/** For `.catch`: `value` in place of what failed in the world. A mistake in a program (`isDefect`) is thrown on. */
export function unlessDefect<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (isDefect(error)) throw error;
    return value;
  };
}

/** What was thrown first, before anything wrapped it. */
function rootOf(error: unknown): unknown {
  const inner: unknown = error instanceof AggregateError ? error.errors[0] : error instanceof Error && error.cause;
  return inner instanceof Error ? rootOf(inner) : error;
}

/** A defect as `ERR_INTERNAL` that says what was being done when it showed. */
export function defectIn(what: string, error: unknown): CertletError {
  return new CertletError('ERR_INTERNAL', `${what}: ${asCertletError(rootOf(error)).message}`, { cause: error });
}

/**
 * Process exit codes, as documented in `docs/exit-codes.md`; 64, 75, 77 and 78 are sysexits' EX_USAGE, EX_TEMPFAIL, EX_NOPERM and EX_CONFIG.
 * 3 to 6 are the states that `certlet status` tells.
 */
export const EXIT = {
  ok: 0,
  failed: 1,
  waiting: 3,
  expiring: 4,
  expired: 5,
  unknown: 6,
  usage: 64,
  tempFail: 75,
  noPermission: 77,
  config: 78,
} as const;
