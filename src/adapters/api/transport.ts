import { CertletError } from '../../errors.ts';
import type { ClusterAccess, Credential } from '../../kubeconfig/client-config.ts';
import { parseAlternativeNames } from '../../pki/alternative-names.ts';
import { bareHost, canonicalIpAddress } from '../../pki/ip-address.ts';
import type { HostNames } from '../../pki/server-names.ts';
import { apiError } from './api-errors.ts';
import { readText } from './body.ts';
import { credentialSource, samePair, type CredentialSource, type Presented } from './credential-source.ts';
import { openPool, type Pool, type PoolResponse } from './dispatcher.ts';
import type { ClientPair } from './tls-options.ts';
import { identityOf, type Identity } from './credential-label.ts';
import { networkError, placeOf, type ConnectionFacts } from './network-errors.ts';
import { chooseProxy, type Environment } from './proxy-choice.ts';
import { httpDate, retryAfterMs, warningTexts } from './response-headers.ts';
import { KUBECONFIG, KUBECONFIG_WITHOUT_CA } from './trust-words.ts';

export interface ApiTimeouts {
  readonly connectMs: number;
  /** Until the response head. */
  readonly headersMs: number;
  /** Between two pieces of an answer. */
  readonly bodyMs: number;
  /** The whole of a request that is no watch. */
  readonly totalMs: number;
  /** `bodyMs` for a watch: longer silence than this is a dead link. */
  readonly watchSilenceMs: number;
  readonly execMs: number;
}

/** What all connections of a process share. */
export interface ApiOptions {
  /** Program version for the User-Agent. */
  readonly version: string;
  readonly environment: Environment;
  readonly now: () => Date;
  readonly timeouts: ApiTimeouts;
  /** Texts of the server's `Warning` headers, as they come; the caller keeps them from repeating. */
  readonly onWarning: (text: string) => void;
  /** What a failed exec plugin wrote to its error output: for the journal alone, it may hold anything. */
  readonly onPluginOutput: (plugin: string, text: string) => void;
  /** The `Date` header of each answer and when its head was read. */
  readonly onServerDate: (serverDate: Date, receivedAt: Date) => void;
}

export type ApiMethod = 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';

export interface Call {
  readonly method: ApiMethod;
  /** With query. */
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly signal: AbortSignal;
  /** A watch: its body may be silent for `watchSilenceMs`. */
  readonly watch?: boolean;
}

/** A successful answer; `describe` turns errors of its body into `CertletError`. */
export interface Answer {
  readonly response: PoolResponse;
  readonly what: string;
  describe(error: unknown): unknown;
}

/** Certificates behind one address whose names are kept: a server that has another one for each connection must not fill the memory. */
const MAX_SERVERS = 32;

/** Requests of one credential to one server: credential, pool, 401 renewal, common headers and errors. */
export class Transport {
  readonly identity: Identity;
  readonly #cluster: ClusterAccess;
  readonly #options: ApiOptions;
  readonly #source: CredentialSource;
  /** As Node tells them: a text for each certificate, of which a cluster has one an API server. */
  readonly #servers = new Set<string>();
  #pool: { readonly pool: Pool; readonly pair: ClientPair | undefined; readonly proxy: string | undefined } | undefined;

  constructor(cluster: ClusterAccess, credential: Credential, options: ApiOptions) {
    this.identity = identityOf(credential);
    this.#cluster = cluster;
    this.#options = options;
    const { environment, now, timeouts, onPluginOutput } = options;
    const execTimeoutMs = timeouts.execMs;
    this.#source = credentialSource(credential, { cluster, environment, now, execTimeoutMs, onPluginOutput });
  }

  /**
   * Sends one request and resolves with a 2xx answer. A 401 is tried once more where the credential has a newer form (token file,
   * exec plugin). Rejects with `CertletError`, or with the signal's reason when it was aborted.
   */
  async send(call: Call): Promise<Answer> {
    const { signal } = call;
    signal.throwIfAborted();
    const presented = await this.#source.present(signal);
    const first = await this.#attempt(call, presented);
    if (!(first instanceof CertletError)) return first;
    if (first.code !== 'ERR_API_UNAUTHORIZED' || !(await this.#source.renew(presented, signal))) throw first;
    const second = await this.#attempt(call, await this.#source.present(signal));
    if (second instanceof CertletError) throw second;
    return second;
  }

  /** Host of the URL, and the names of the certificates that believed servers have shown behind it. */
  serverNames(): HostNames {
    const host = bareHost(new URL(this.#cluster.server).hostname);
    const address = canonicalIpAddress(host);
    const shown = [...this.#servers].map(parseAlternativeNames);
    return {
      dnsNames: [...(address === undefined ? [host] : []), ...shown.flatMap(({ dnsNames }) => dnsNames)],
      ipAddresses: [...(address === undefined ? [] : [address]), ...shown.flatMap(({ ipAddresses }) => ipAddresses)],
    };
  }

  async close(): Promise<void> {
    const open = this.#pool;
    this.#pool = undefined;
    await open?.pool.close();
  }

  /** An answer, or the refusal as a value so that the caller may try with a newer credential. */
  async #attempt(call: Call, presented: Presented): Promise<Answer | CertletError> {
    const { pool, proxy } = this.#poolFor(presented.pair);
    const what = `${call.method} ${call.path.split('?', 1)[0] ?? ''}`;
    const { server, caPem } = this.#cluster;
    const words = caPem === undefined ? KUBECONFIG_WITHOUT_CA : KUBECONFIG;
    const facts: ConnectionFacts = { identity: this.identity, server, what, proxy, words };
    const describe = (error: unknown): unknown =>
      call.signal.aborted ? (call.signal.reason as unknown) : networkError(error, facts);
    try {
      const response = await pool.request(this.#request(call, presented.token));
      this.#noteHeaders(response);
      if (response.status >= 200 && response.status < 300) return { response, what: placeOf(facts), describe };
      return await this.#refusal(response, facts);
    } catch (error) {
      throw describe(error);
    }
  }

  #request(call: Call, token: Presented['token']): Parameters<Pool['request']>[0] {
    const { timeouts, version } = this.#options;
    return {
      method: call.method,
      // client-go cleans the path of the server's URL; a Go server would answer `//` with a redirect.
      path: `${new URL(this.#cluster.server).pathname.replaceAll(/\/+/g, '/').replace(/\/$/, '')}${call.path}`,
      headers: {
        accept: 'application/json',
        'user-agent': `certlet/${version}`,
        ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
      },
      body: call.body,
      signal: call.watch === true ? call.signal : AbortSignal.any([call.signal, AbortSignal.timeout(timeouts.totalMs)]),
      headersTimeoutMs: timeouts.headersMs,
      bodyTimeoutMs: call.watch === true ? timeouts.watchSilenceMs : timeouts.bodyMs,
    };
  }

  #noteServer(alternativeNames: string): void {
    if (this.#servers.size < MAX_SERVERS) this.#servers.add(alternativeNames);
  }

  #noteHeaders(response: PoolResponse): void {
    const serverDate = httpDate(response.header('date')[0]);
    if (serverDate !== undefined) this.#options.onServerDate(serverDate, this.#options.now());
    for (const text of warningTexts(response.header('warning'))) this.#options.onWarning(text);
  }

  async #refusal(response: PoolResponse, asked: ConnectionFacts): Promise<CertletError> {
    const body = await readText(response, placeOf(asked));
    const retry = retryAfterMs(response.header('retry-after')[0], this.#options.now());
    const [location] = response.header('location');
    return apiError(asked, { status: response.status, body, retryAfterMs: retry, location });
  }

  /** One pool as long as the certificate stays the same; a renewed one (exec plugin) gets connections of its own. */
  #poolFor(pair: ClientPair | undefined): { readonly pool: Pool; readonly proxy: string | undefined } {
    if (this.#pool !== undefined && samePair(this.#pool.pair, pair)) return this.#pool;
    this.#pool?.pool.close().catch(() => undefined);
    const url = new URL(this.#cluster.server);
    const proxy = chooseProxy(url, this.#cluster.proxyUrl, this.#options.environment);
    const pool = openPool({
      origin: url.origin,
      caPem: this.#cluster.caPem,
      insecureSkipTlsVerify: this.#cluster.insecureSkipTlsVerify,
      tlsServerName: this.#cluster.tlsServerName,
      proxy,
      pair,
      connectTimeoutMs: this.#options.timeouts.connectMs,
      tunnelTimeoutMs: this.#options.timeouts.headersMs,
      now: this.#options.now,
      onServer: (names) => this.#noteServer(names),
    });
    this.#pool = { pool, pair, proxy: proxy?.address };
    return this.#pool;
  }
}
