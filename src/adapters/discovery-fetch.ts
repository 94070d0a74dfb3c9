import { CertletError, defectIn, isDefect } from '../errors.ts';
import type { ProxyUrl } from '../kubeconfig/proxy-url.ts';
import { CONNECT_TIMEOUT } from './api/handshake.ts';
import { identityOf } from './api/identity.ts';
import { type ConnectionFacts, proxyError } from './api/network-errors.ts';
import { blameOf, DATE_CODES } from './api/peer-blame.ts';
import { openPool } from './api/dispatcher.ts';
import type { PoolResponse } from './api/dispatcher.ts';
import { chooseProxy } from './api/proxy-choice.ts';
import { plainText } from './api/response-headers.ts';
import { NO_NAMES, NO_NAMES_REMEDY } from './api/server-identity.ts';

/** How the far end is believed. `unverified` is only for text that carries its own signature. */
export type FetchTrust =
  | { readonly kind: 'unverified' }
  | { readonly kind: 'ca'; readonly caPem: string }
  | { readonly kind: 'system' };

export interface FetchedDocument {
  readonly status: number;
  readonly body: string;
}

/**
 * One anonymous GET on a connection of its own. Throws `ERR_API_UNREACHABLE`, `ERR_API_TLS`, `ERR_API_TLS_DATES`, `ERR_API_TLS_NO_NAMES`,
 * `ERR_API_PROTOCOL`, and the signal's reason.
 */
export type DiscoveryFetch = (url: string, trust: FetchTrust, signal: AbortSignal) => Promise<FetchedDocument>;

/** kubeadm asks with 10 s per request too; a whole answer must fit in. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A cluster-info ConfigMap is some kilobytes, and `join` runs with the small heap of the service. */
const BODY_LIMIT_BYTES = 512 * 1024;

const TOO_LATE: readonly string[] = ['TimeoutError', 'ABORT_ERR', CONNECT_TIMEOUT];

/** What a peer or the system says is quoted up to here, in characters. */
const MAX_WORDS = 300;

/**
 * A fetch over connections like those to an API server: no credential, no cookies, no redirects followed. `environment` may name a proxy
 * (`HTTPS_PROXY`, `NO_PROXY`), as client-go honours it. `timeoutMs` is for a whole answer.
 */
export function createDiscoveryFetch(
  environment: Readonly<Record<string, string | undefined>>,
  timeoutMs = REQUEST_TIMEOUT_MS,
): DiscoveryFetch {
  return async (text, trust, signal) => {
    const url = new URL(text);
    const proxy = chooseProxy(url, undefined, environment);
    const pool = openPool({
      origin: url.origin,
      proxy,
      caPem: trust.kind === 'ca' ? trust.caPem : undefined,
      insecureSkipTlsVerify: trust.kind === 'unverified',
      tlsServerName: undefined,
      pair: undefined,
      connectTimeoutMs: timeoutMs,
      tunnelTimeoutMs: timeoutMs,
      now: () => new Date(),
    });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const response = await pool.request({
        method: 'GET',
        path: `${url.pathname}${url.search}`,
        headers: { accept: 'application/json' },
        body: undefined,
        signal: limit,
        headersTimeoutMs: timeoutMs,
        bodyTimeoutMs: timeoutMs,
      });
      return { status: response.status, body: await readBody(response, text) };
    } catch (error) {
      signal.throwIfAborted();
      throw fetchError(error, text, proxy);
    } finally {
      pool.close().catch(() => undefined);
    }
  };
}

async function readBody(response: PoolResponse, url: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length;
    if (length > BODY_LIMIT_BYTES) {
      throw new CertletError('ERR_API_PROTOCOL', `${url}: the answer is larger than ${String(BODY_LIMIT_BYTES)} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function fetchError(error: unknown, url: string, proxy: ProxyUrl | undefined): CertletError {
  if (error instanceof CertletError) return error;
  if (isDefect(error)) return defectIn(url, error);
  const outer = error instanceof Error ? error : new Error(String(error));
  const failure = outer.cause instanceof Error ? outer.cause : outer;
  const code = 'code' in failure && typeof failure.code === 'string' ? failure.code : failure.name;
  const byProxy = proxy === undefined ? undefined : proxyError(error, factsOf(url, proxy));
  if (byProxy !== undefined) return byProxy;
  const tls = tlsError({ code, message: failure.message, error }, url);
  if (tls !== undefined) return tls;
  const reason = TOO_LATE.includes(code) ? 'no whole answer in time' : plainText(failure.message || code, MAX_WORDS);
  return new CertletError('ERR_API_UNREACHABLE', `${url}: ${reason}`, { cause: error });
}

function factsOf(url: string, proxy: ProxyUrl): ConnectionFacts {
  const { origin: server, pathname: what } = new URL(url);
  return { identity: identityOf({ kind: 'none' }), server, what, proxy: proxy.address };
}

function tlsError(
  { code, message, error }: { readonly code: string; readonly message: string; readonly error: unknown },
  url: string,
): CertletError | undefined {
  const blame = blameOf(error, `openssl s_client -connect ${new URL(url).host} </dev/null`);
  if (blame !== undefined)
    return new CertletError(blame.code, `${url}: ${blame.problem}`, { remedy: blame.remedy, cause: error });
  if (DATE_CODES.includes(code)) return new CertletError('ERR_API_TLS_DATES', `${url}: ${message}`, { cause: error });
  if (code === NO_NAMES) {
    const problem = `${url}: the server's ${message}`;
    return new CertletError('ERR_API_TLS_NO_NAMES', problem, { remedy: NO_NAMES_REMEDY, cause: error });
  }
  return isTlsCode(code)
    ? new CertletError('ERR_API_TLS', `${url}: ${tlsWords(message)}`, { cause: error })
    : undefined;
}

/** OpenSSL's own line is for its developers and ends with a line break; its reason stands between the colons. */
function tlsWords(message: string): string {
  const reason = /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1];
  return reason === undefined ? plainText(message, MAX_WORDS) : `the TLS handshake failed (${reason})`;
}

/** Node names verification failures after OpenSSL's, and handshake failures ERR_SSL_ or EPROTO. */
function isTlsCode(code: string): boolean {
  return /^(?:ERR_TLS_|ERR_SSL_|EPROTO$|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|CERT_|CRL_|ERROR_IN_CERT_|PATH_LENGTH_|UNSPECIFIED$|UNHANDLED_|HOSTNAME_MISMATCH|INVALID_)/u.test(
    code,
  );
}
