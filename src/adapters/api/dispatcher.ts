import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Agent, buildConnector, Client } from 'undici';
import type { Dispatcher } from 'undici';
import type { ProxyUrl } from '../../kubeconfig/proxy-url.ts';
import { hostPort, portOf } from '../../kubeconfig/url-host.ts';
import { bareHost } from '../../pki/ip-address.ts';
import { trustedPeer } from './peer-trust.ts';
import { aboutProxy } from './proxy-tls.ts';
import { proxyTls, serverTls } from './tls-options.ts';
import type { TlsTrust } from './tls-options.ts';

/** Where connections go, and how long their parts may take. */
export interface ConnectionOptions extends TlsTrust {
  /** Origin to connect to, such as `https://api:6443`. */
  readonly origin: string;
  readonly proxy: ProxyUrl | undefined;
  /** For TCP, and for each TLS handshake. */
  readonly connectTimeoutMs: number;
  /** Longest wait for the proxy's answer to CONNECT; undici itself would wait five minutes. */
  readonly tunnelTimeoutMs: number;
  /** By which certificates are judged where OpenSSL does not decide. */
  readonly now: () => Date;
  /** What a server that is believed calls itself; its proxy is not meant. */
  readonly onServer?: (alternativeNames: string) => void;
}

export interface PoolRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly signal: AbortSignal;
  /** Longest wait for the response head, and between two pieces of the body. */
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
}

export interface PoolResponse {
  readonly status: number;
  /** Names in lower case; every value of a name. */
  header(name: string): readonly string[];
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives an unfinished body up: its connection is closed. */
  discard(): void;
}

/** Connections of one credential to one server. Rejections are Node's and undici's own errors. */
export interface Pool {
  request(request: PoolRequest): Promise<PoolResponse>;
  /** Running requests finish, idle sockets close. */
  close(): Promise<void>;
}

/** A new pool without connections. HTTP/1.1 only: a watch on HTTP/2 hides a dead link behind pings. */
export function openPool(options: ConnectionOptions): Pool {
  const { dispatcher, origin, prefix, headers } = wayTo(options);
  return {
    async request(request) {
      const response = await dispatcher.request({
        origin,
        path: `${prefix}${request.path}`,
        method: request.method,
        headers: { ...request.headers, ...headers },
        ...(request.body === undefined ? {} : { body: request.body }),
        signal: request.signal,
        headersTimeout: request.headersTimeoutMs,
        bodyTimeout: request.bodyTimeoutMs,
      });
      if (prefix === '' || response.statusCode !== 407) return toPoolResponse(response);
      response.body.on('error', () => undefined).destroy();
      throw new Error('Proxy response (407)');
    },
    close: () => dispatcher.close(),
  };
}

interface WayTo {
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  /** What a path begins with. */
  readonly prefix: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** To a server without TLS a proxy passes whole requests on instead of a connection (RFC 9112 3.2.2), as Go has it. */
function wayTo(options: ConnectionOptions): WayTo {
  const { origin, proxy } = options;
  const dispatcher = new Agent({ allowH2: false, connect: asConnector(connectionsTo(options)) });
  if (proxy === undefined || origin.startsWith('https:')) return { dispatcher, origin, prefix: '', headers: {} };
  const headers = { host: new URL(origin).host, ...proxyAuthorization(proxy) };
  return { dispatcher, origin: proxy.origin, prefix: origin, headers };
}

/** Connections that are ready for HTTP: where there is TLS, the peer is trusted and named as wanted. */
function connectionsTo(options: ConnectionOptions): () => Promise<Socket> {
  const { origin, proxy, connectTimeoutMs, now, onServer } = options;
  const url = new URL(origin);
  if (url.protocol !== 'https:')
    return proxy === undefined
      ? () => connectTcp(addressOf(url), connectTimeoutMs)
      : connectionsToProxy(proxy, options);
  const open = rawConnectionsTo(options);
  const told = onServer === undefined ? {} : { onPeer: onServer };
  const trusted = trustedPeer({ tls: serverTls(options, url.hostname), handshakeMs: connectTimeoutMs, now, ...told });
  return () => trusted(open);
}

/** Connections to an https server before TLS, through the proxy where there is one. `signal` ends a wait for the proxy's answer. */
export function rawConnectionsTo(options: ConnectionOptions, signal?: AbortSignal): () => Promise<Duplex> {
  const { origin, proxy, connectTimeoutMs } = options;
  const url = new URL(origin);
  if (proxy === undefined) return () => connectTcp(addressOf(url), connectTimeoutMs);
  const open = connectionsToProxy(proxy, options);
  return async () => {
    try {
      return await tunnel(proxy, open, { target: url, answerMs: options.tunnelTimeoutMs, signal });
    } catch (error) {
      // undici asks again for ever where a connector fails with UND_ERR_SOCKET: there it means a connection that was made.
      throw isLost(error) ? new Error(error.message, { cause: error }) : error;
    }
  };
}

function isLost(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'UND_ERR_SOCKET';
}

function connectionsToProxy(proxy: ProxyUrl, options: ConnectionOptions): () => Promise<Socket> {
  const { connectTimeoutMs, now } = options;
  const open = (): Promise<Socket> => connectTcp(proxy, connectTimeoutMs);
  if (proxy.scheme !== 'https') return open;
  const trusted = trustedPeer({ tls: proxyTls(proxy, options), handshakeMs: connectTimeoutMs, now });
  return async () => {
    try {
      return await trusted(open);
    } catch (error) {
      throw aboutProxy(error);
    }
  };
}

/** CONNECT on a connection of its own, which is the tunnel afterwards. */
async function tunnel(
  proxy: ProxyUrl,
  open: () => Promise<Socket>,
  asked: { readonly target: URL; readonly answerMs: number; readonly signal: AbortSignal | undefined },
): Promise<Duplex> {
  const client = new Client(proxy.origin, {
    allowH2: false,
    connect: asConnector(open),
    headersTimeout: asked.answerMs,
  });
  const path = hostPort(asked.target);
  try {
    const { socket, statusCode } = await client.connect({
      path,
      headers: { host: path, ...proxyAuthorization(proxy) },
      ...(asked.signal === undefined ? {} : { signal: asked.signal }),
    });
    if (statusCode === 200) return socket;
    socket.on('error', () => undefined).destroy();
    throw new Error(`Proxy response (${String(statusCode)}) !== 200`);
  } finally {
    client.close().catch(() => undefined);
  }
}

function proxyAuthorization({ authorization }: ProxyUrl): Readonly<Record<string, string>> {
  return authorization === undefined ? {} : { 'proxy-authorization': authorization.reveal() };
}

/** Where something listens; an IPv6 address without brackets. */
interface Address {
  readonly host: string;
  readonly port: number;
}

function addressOf(url: URL): Address {
  return { host: bareHost(url.hostname), port: portOf(url) };
}

function connectTcp({ host, port }: Address, timeout: number): Promise<Socket> {
  const connect = buildConnector({ timeout, allowH2: false });
  return new Promise((resolve, reject) => {
    connect({ protocol: 'http:', hostname: host, host, port: String(port) }, (...[error, socket]) => {
      if (error === null) resolve(socket);
      else reject(error);
    });
  });
}

/**
 * In TLS 1.3 a server refuses our certificate after the handshake. Node tells the alert and then the end of the stream, and undici keeps
 * only the latter ("other side closed"). Ending the socket on its first error keeps the alert.
 */
function asConnector(open: () => Promise<Socket>): buildConnector.connector {
  return (_options, callback) => void hand(open, callback);
}

async function hand(open: () => Promise<Socket>, callback: buildConnector.Callback): Promise<void> {
  let socket: Socket;
  try {
    socket = await open();
  } catch (error) {
    callback(error instanceof Error ? error : new Error(String(error)), null);
    return;
  }
  socket.once('error', (error: Error) => socket.destroy(error));
  callback(null, socket);
}

function toPoolResponse(response: Dispatcher.ResponseData): PoolResponse {
  const { body, headers, statusCode } = response;
  // A body that nobody reads any more still reports how its connection ended.
  body.on('error', () => undefined);
  return {
    status: statusCode,
    header(name) {
      const value = headers[name];
      return value === undefined ? [] : Array.isArray(value) ? value : [value];
    },
    body,
    discard() {
      if (!body.readableEnded) body.destroy();
    },
  };
}
