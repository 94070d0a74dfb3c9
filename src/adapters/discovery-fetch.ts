import type { IncomingMessage } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';
import type { SecureContextOptions } from 'node:tls';
import { CertletError, defectIn, isDefect } from '../errors.ts';
import { chooseProxy } from './api/proxy-choice.ts';
import { plainText } from './api/response-headers.ts';
import { KEY_EXCHANGE } from './api/tls-options.ts';
import { NO_NAMES, NO_NAMES_REMEDY, serverIdentity } from './api/server-identity.ts';

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

/** What a peer or the system says is quoted up to here, in characters. */
const MAX_WORDS = 300;

const DATE_CODES = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'];

/**
 * A fetch over plain `node:https`: no credential, no cookies, no redirects followed. `environment` may name a proxy
 * (`HTTPS_PROXY`, `NO_PROXY`), as client-go honours it. `timeoutMs` is for a whole answer.
 */
export function createDiscoveryFetch(
  environment: Readonly<Record<string, string | undefined>>,
  timeoutMs = REQUEST_TIMEOUT_MS,
): DiscoveryFetch {
  return async (url, trust, signal) => {
    // Chosen here by Go's rules, as for every other connection; Node's own would read the variables in another way.
    const proxy = chooseProxy(new URL(url), undefined, environment);
    const proxyEnv = proxy === undefined ? {} : { HTTPS_PROXY: proxy.normal.reveal() };
    const agent = new Agent({ keepAlive: false, maxCachedSessions: 0, proxyEnv });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const names = serverIdentity(new URL(url).hostname, new URL(url).hostname);
      const options = {
        ...trustOptions(trust),
        ...names,
        ...KEY_EXCHANGE,
        agent,
        signal: limit,
        headers: { accept: 'application/json' },
      };
      const response = await connect(url, options);
      return { status: response.statusCode ?? 0, body: await readBody(response, url) };
    } catch (error) {
      signal.throwIfAborted();
      throw fetchError(error, url);
    } finally {
      agent.destroy();
    }
  };
}

/** As client-go, an intermediate or a leaf that is given as CA is trusted too. */
function trustOptions(trust: FetchTrust): SecureContextOptions & { readonly rejectUnauthorized: boolean } {
  if (trust.kind === 'ca') return { rejectUnauthorized: true, ca: trust.caPem, allowPartialTrustChain: true };
  return { rejectUnauthorized: trust.kind === 'system' };
}

function connect(url: string, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end();
  });
}

async function readBody(response: IncomingMessage, url: string): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > BODY_LIMIT_BYTES) {
      throw new CertletError('ERR_API_PROTOCOL', `${url}: the answer is larger than ${String(BODY_LIMIT_BYTES)} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function fetchError(error: unknown, url: string): CertletError {
  if (error instanceof CertletError) return error;
  if (isDefect(error)) return defectIn(url, error);
  const failure = error instanceof Error ? error : new Error(String(error));
  const code = 'code' in failure && typeof failure.code === 'string' ? failure.code : failure.name;
  if (DATE_CODES.includes(code)) {
    return new CertletError('ERR_API_TLS_DATES', `${url}: ${failure.message}`, { cause: error });
  }
  if (code === NO_NAMES) {
    const message = `${url}: the server's ${failure.message}`;
    return new CertletError('ERR_API_TLS_NO_NAMES', message, { remedy: NO_NAMES_REMEDY, cause: error });
  }
  if (isTlsCode(code)) {
    return new CertletError('ERR_API_TLS', `${url}: ${tlsWords(failure.message)}`, { cause: error });
  }
  const reason =
    code === 'TimeoutError' || code === 'ABORT_ERR'
      ? 'no whole answer in time'
      : plainText(failure.message || code, MAX_WORDS);
  return new CertletError('ERR_API_UNREACHABLE', `${url}: ${reason}`, { cause: error });
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
