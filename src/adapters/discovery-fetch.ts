import { CertletError } from '../errors.ts';
import type { ProxyUrl } from '../kubeconfig/proxy-url.ts';
import { identityOf } from './api/credential-label.ts';
import { type ConnectionFacts, networkError, placeOf } from './api/network-errors.ts';
import { openPool, type PoolResponse } from './api/dispatcher.ts';
import { chooseProxy } from './api/proxy-choice.ts';
import { DISCOVERY_URL, JOIN_ENDPOINT } from './api/trust-words.ts';

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
 * `ERR_API_UNAUTHORIZED` (a client certificate is demanded), `ERR_API_PROTOCOL`, and the signal's reason.
 */
export type DiscoveryFetch = (url: string, trust: FetchTrust, signal: AbortSignal) => Promise<FetchedDocument>;

/** kubeadm asks with 10 s per request too; a whole answer must fit in. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A cluster-info ConfigMap is some kilobytes, and `join` runs with the small heap of the service. */
const BODY_LIMIT_BYTES = 512 * 1024;

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
    const facts = factsOf(url, trust, proxy);
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
      return { status: response.status, body: await readBody(response, facts) };
    } catch (error) {
      signal.throwIfAborted();
      throw networkError(error, facts);
    } finally {
      pool.close().catch(() => undefined);
    }
  };
}

async function readBody(response: PoolResponse, facts: ConnectionFacts): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length;
    if (length > BODY_LIMIT_BYTES) {
      throw new CertletError(
        'ERR_API_PROTOCOL',
        `${placeOf(facts)}: the answer is larger than ${String(BODY_LIMIT_BYTES)} bytes`,
        { remedy: `# Check ${(facts.words ?? JOIN_ENDPOINT).address}: something else than cluster-info is there.` },
      );
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function factsOf(url: URL, trust: FetchTrust, proxy: ProxyUrl | undefined): ConnectionFacts {
  return {
    identity: identityOf({ kind: 'none' }),
    server: url.origin,
    what: `GET ${url.pathname}`,
    proxy: proxy?.address,
    words: trust.kind === 'system' ? DISCOVERY_URL : JOIN_ENDPOINT,
  };
}
