import type { CommandText, Remedy } from '../../remedy.ts';
import type { ErrorReason } from '../../errors.ts';
import { blameOf, DATE_CODES } from './peer-blame.ts';
import { plainText } from './response-headers.ts';
import { NO_NAMES, OTHER_NAMES } from './server-identity.ts';
import type { TrustWords } from './trust-words.ts';

/** The handshake with an https proxy failed; the cause says how. Without it the server's certificate would get the blame. */
class ProxyTlsError extends Error {
  override readonly name = 'ProxyTlsError';
}

/** What a connection to an https proxy failed with; errors of TLS say that they are about the proxy. */
export function aboutProxy(error: unknown): unknown {
  return error instanceof Error && isTls(error) ? new ProxyTlsError(error.message, { cause: error }) : error;
}

/** Errors of sockets and name look-ups have a `syscall`; those of undici are about time. */
function isTls(error: Error): boolean {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return code === 'EPROTO' || (code !== '' && !('syscall' in error) && !code.startsWith('UND_ERR_'));
}

/** Whether an error of a request is about the proxy's certificate. */
export function isAboutProxyTls(error: unknown): boolean {
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    if (current instanceof ProxyTlsError) return true;
    current = current.cause;
  }
  return false;
}

/** What is wrong with the proxy's certificate, and what to do; `proxy` is its `host:port`, `error` the whole of what happened. */
export function proxyTlsProblem(
  fault: { readonly code: string; readonly message: string },
  proxy: string,
  error: unknown,
  words: TrustWords,
): { readonly problem: string; readonly remedy: Remedy; readonly reason?: ErrorReason | undefined } {
  const { code, message } = fault;
  const look: CommandText = `openssl s_client -connect ${proxy} </dev/null`;
  const whose = `the certificate of the proxy ${proxy}`;
  const blame = blameOf(error, look, words);
  if (blame !== undefined) {
    const { remedy, reason } = blame;
    return { problem: `${whose}: ${blame.problem}`, remedy, reason };
  }
  if (DATE_CODES.includes(code)) {
    const state = code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not yet valid';
    const remedy: Remedy = `date -u; ${look} | openssl x509 -noout -dates   # compares the clock with the certificate`;
    return { problem: `${whose} ${state} by this node's clock`, remedy };
  }
  if (code === OTHER_NAMES) {
    const problem = `${whose} is for another name: ${plainText(message, 500)}`;
    return { problem, remedy: '# Name the proxy as its certificate does.', reason: 'other name' };
  }
  if (code === NO_NAMES) {
    return {
      problem: `${whose}: ${message}`,
      remedy: '# Give the proxy a certificate with subject alternative names.',
    };
  }
  if (/^(ERR_SSL_|EPROTO$)/.test(code)) {
    const remedy: Remedy = `${look}   # shows what answers; check scheme, host and port of the proxy`;
    return { problem: `the TLS handshake with the proxy ${proxy} failed (${code})`, remedy };
  }
  return {
    problem: `${whose} ${words.unsignedProxy} (${code})`,
    remedy: `${look} | openssl x509 -noout -subject -issuer   # who signed it; add the CA of the proxy to those that this host trusts`,
  };
}
