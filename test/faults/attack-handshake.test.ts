/** A TLS handshake that is meant to hurt: time and memory are bounded, the failure has a code, and the next attempt works. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import t, { type Test } from 'tap';
import { createApiConnector } from '../../src/adapters/api/connector.ts';
import { createDiscoveryFetch } from '../../src/adapters/discovery-fetch.ts';
import { ERROR_RULES } from '../../src/error-rules.ts';
import { type CertletError, isCertletError } from '../../src/errors.ts';
import type { ClusterAccess } from '../../src/kubeconfig/client-config.ts';
import { Secret } from '../../src/secret.ts';
import { createAuthority, generateTestKey } from '../fixtures/cluster/authority.ts';
import { ChainMaker } from './fixtures/hostile-chains.ts';

const signal = new AbortController().signal;
const TIMEOUTS = { connectMs: 5000, headersMs: 5000, bodyMs: 5000, totalMs: 6000, watchSilenceMs: 5000, execMs: 5000 };
const LIMIT_MS = 8000;
/** Far above what a handshake takes, far below what the service may use. */
const LIMIT_BYTES = 48 * 1024 * 1024;

const chains = new ChainMaker();
const trustedPem = chains.top();

const connector = createApiConnector({
  version: 'test',
  environment: {},
  now: () => new Date(),
  onWarning: () => undefined,
  onServerDate: () => undefined,
  timeouts: TIMEOUTS,
});

interface Row {
  readonly tls: () => SecureContextOptions & { readonly requestCert?: boolean };
  /** The CA of the kubeconfig is the one above the chain; else it is another. */
  readonly trusted?: true;
  /** Nothing is wrong with it but its size. */
  readonly accepted?: true;
  readonly words?: RegExp;
}

const shown = (chain: { readonly chainPem: string; readonly keyPem: string }): SecureContextOptions => ({
  cert: chain.chainPem,
  key: chain.keyPem,
});

function authorities(count: number): string[] {
  const key = generateTestKey();
  return Array.from({ length: count }, (_, index) => createAuthority({ name: `authority ${String(index)}`, key }).pem);
}

const ROWS: Readonly<Record<string, Row>> = {
  'two hundred certificates that lead nowhere': { tls: () => shown(chains.deep(200)) },
  'two hundred certificates that lead to the CA': {
    tls: () => shown(chains.deep(200)),
    trusted: true,
  },
  'two thousand certificates': { tls: () => shown(chains.deep(2000)), trusted: true, words: /EXCESSIVE_MESSAGE_SIZE/ },
  'two authorities that have signed each other a hundred times': { tls: () => shown(chains.circular(100)) },
  'a certificate with four thousand names': { tls: () => shown(chains.wide(4000)), trusted: true, accepted: true },
  'a certificate of a megabyte': {
    tls: () => shown(chains.wide(60_000)),
    trusted: true,
    words: /EXCESSIVE_MESSAGE_SIZE/,
  },
  'two thousand names against two thousand forbidden ones': {
    tls: () => shown(chains.constrained(2000)),
    trusted: true,
  },
  'a thousand names against a thousand forbidden ones': {
    tls: () => shown(chains.constrained(1000)),
    trusted: true,
    accepted: true,
  },
  'a thousand names against a thousand forbidden ones, of a stranger': { tls: () => shown(chains.constrained(1000)) },
  // TLS itself has room for 64 KB of these names (RFC 8446 4.2.4).
  'a wish for a certificate of any of two thousand authorities': {
    tls: () => ({ ...shown(chains.deep(1)), ca: authorities(2000), requestCert: true }),
    trusted: true,
    accepted: true,
  },
};

const strangerPem = createAuthority({ name: 'kubernetes' }).pem;

async function serve(t: Test, tls: ReturnType<Row['tls']>): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer({ ...tls, rejectUnauthorized: false }, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', connection: 'close' });
    response.end('{}');
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`, server };
}

/** What one attempt throws; undefined where it goes well. */
async function failureOf(attempt: () => Promise<unknown>): Promise<unknown> {
  try {
    await attempt();
    return undefined;
  } catch (error) {
    return error;
  }
}

function ask(cluster: ClusterAccess): () => Promise<unknown> {
  return async () => {
    const api = connector.connect(cluster, { kind: 'token', token: new Secret('abcdef.0123456789abcdef') });
    try {
      return await api.request('GET', '/version', undefined, signal);
    } finally {
      await api.close();
    }
  };
}

let costliest = { name: '', ms: 0, bytes: 0 };

async function bounded(t: Test, name: string, attempt: () => Promise<unknown>): Promise<CertletError | undefined> {
  const before = process.memoryUsage.rss();
  const started = performance.now();
  const failure = await failureOf(attempt);
  const ms = performance.now() - started;
  const bytes = process.memoryUsage.rss() - before;
  t.ok(ms < LIMIT_MS, `${name}: ${ms.toFixed(0)} ms`);
  t.ok(bytes < LIMIT_BYTES, `${name}: ${String(bytes)} bytes`);
  if (ms > costliest.ms) costliest = { name, ms, bytes };
  if (failure === undefined) return undefined;
  if (!isCertletError(failure)) throw new Error('not one of our errors', { cause: failure });
  const { message } = failure;
  t.notMatch(message, /\p{Cc}|0123456789abcdef/u);
  t.ok(message.length < 1000, `${name}: ${message}`);
  return failure;
}

for (const [name, row] of Object.entries(ROWS)) {
  t.test(`a server that shows ${name}`, async (t) => {
    const { url, server } = await serve(t, row.tls());
    const caPem = row.trusted === true ? trustedPem : strangerPem;
    const cluster = { server: url, caPem, insecureSkipTlsVerify: false };
    const error = await bounded(t, `${name}, a request`, ask(cluster));
    t.equal(error?.code, row.accepted === true ? undefined : 'ERR_API_TLS');
    if (error !== undefined) t.equal(ERROR_RULES[error.code].action, 'retrySlowly', 'it is tried again, and not often');
    if (row.words !== undefined) t.match(error?.message, row.words);
    await bounded(t, `${name}, a look at the server`, () => connector.glimpse(cluster, signal));
    const fetch = createDiscoveryFetch({});
    await bounded(t, `${name}, join without a CA`, () => fetch(url, { kind: 'unverified' }, signal));
    const joining = await bounded(t, `${name}, join with the CA`, () => fetch(url, { kind: 'ca', caPem }, signal));
    t.equal(joining?.code, row.accepted === true ? undefined : 'ERR_API_TLS');
    server.setSecureContext({ ...shown(chains.deep(1)) });
    t.equal(await failureOf(ask({ ...cluster, caPem: trustedPem })), undefined, 'the next attempt finds a good server');
  });
}

t.test('join quoted a line of OpenSSL with its line break when the handshake failed', async (t) => {
  const { url } = await serve(t, shown(chains.wide(60_000)));
  const failure = await failureOf(() => createDiscoveryFetch({})(url, { kind: 'unverified' }, signal));
  t.equal((failure as Error).message, `GET / at ${url}: the TLS handshake failed (ERR_SSL_EXCESSIVE_MESSAGE_SIZE)`);
});

t.teardown(() => {
  const { name, ms, bytes } = costliest;
  const count = 4 * Object.keys(ROWS).length;
  console.log(
    `# figure hostile handshakes: ${String(count)}, the costliest (${name}) ${ms.toFixed(0)} ms, ${(bytes / 1024).toFixed(0)} KiB`,
  );
});
