import type { Duplex } from 'node:stream';
import { Agent, buildConnector, Client, Pool as UndiciPool, ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';
import type { ProxyUrl } from '../../kubeconfig/proxy-url.ts';
import { toHttpsProxy } from './proxy-tls.ts';
import { proxyTls, serverTls } from './tls-options.ts';
import type { TlsTrust } from './tls-options.ts';

export interface PoolOptions extends TlsTrust {
  /** Origin to connect to, such as `https://api:6443`. */
  readonly origin: string;
  readonly proxy: ProxyUrl | undefined;
  readonly connectTimeoutMs: number;
  /** Longest wait for the proxy's answer to CONNECT; undici itself would wait five minutes. */
  readonly tunnelTimeoutMs: number;
}

export interface PoolRequest {
  readonly method: 'GET' | 'POST' | 'PATCH';
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
export function openPool(options: PoolOptions): Pool {
  const dispatcher = createDispatcher(options);
  return {
    async request(request) {
      const response = await dispatcher.request({
        origin: options.origin,
        path: request.path,
        method: request.method,
        headers: { ...request.headers },
        ...(request.body === undefined ? {} : { body: request.body }),
        signal: request.signal,
        headersTimeout: request.headersTimeoutMs,
        bodyTimeout: request.bodyTimeoutMs,
      });
      return toPoolResponse(response);
    },
    close: () => dispatcher.close(),
  };
}

/** A raw connection through a proxy's CONNECT to `target` (`host:port`), for a look without verification. */
export async function openTunnel(
  proxy: ProxyUrl,
  target: string,
  limits: { readonly trust: TlsTrust; readonly connectTimeoutMs: number; readonly signal: AbortSignal },
): Promise<Duplex> {
  const connect = connectToProxy(proxy, limits.trust, limits.connectTimeoutMs);
  const client = new Client(proxy.origin, { allowH2: false, connect });
  const basic = proxy.authorization?.reveal();
  try {
    const { socket, statusCode } = await client.connect({
      path: target,
      signal: limits.signal,
      headers: { host: target, ...(basic === undefined ? {} : { 'proxy-authorization': basic }) },
    });
    if (statusCode === 200) return socket;
    socket.on('error', () => undefined).destroy();
    throw new Error(`Proxy response (${String(statusCode)}) !== 200`);
  } finally {
    client.close().catch(() => undefined);
  }
}

function createDispatcher(options: PoolOptions): Dispatcher {
  const { hostname } = new URL(options.origin);
  const tls = {
    ...serverTls(options, hostname),
    timeout: options.connectTimeoutMs,
    allowH2: false,
    maxCachedSessions: 0,
  };
  const { proxy } = options;
  if (proxy === undefined) return new Agent({ allowH2: false, connect: keepingFirstError(tls) });
  const toProxy = connectToProxy(proxy, options, options.connectTimeoutMs);
  const token = proxy.authorization?.reveal();
  return new ProxyAgent({
    uri: proxy.origin,
    ...(token === undefined ? {} : { token }),
    allowH2: false,
    connectTimeout: options.connectTimeoutMs,
    clientFactory: (origin) => new UndiciPool(origin, { connect: toProxy, headersTimeout: options.tunnelTimeoutMs }),
    requestTls: tls,
    // The tunnel asks for this server name; the rest of it is in `toProxy`.
    proxyTls: proxyTls(proxy, options),
  });
}

function connectToProxy(proxy: ProxyUrl, trust: TlsTrust, timeoutMs: number): buildConnector.connector {
  const connect = buildConnector({ ...proxyTls(proxy, trust), timeout: timeoutMs, allowH2: false });
  return proxy.scheme === 'https' ? toHttpsProxy(connect) : connect;
}

/**
 * In TLS 1.3 a server refuses our certificate after the handshake. Node tells the alert and then the end of the stream, and undici keeps
 * only the latter ("other side closed"). Ending the socket on its first error keeps the alert.
 */
function keepingFirstError(tls: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(tls);
  return (options, callback) => {
    connect(options, (...result) => {
      const [, socket] = result;
      socket?.once('error', (error: Error) => socket.destroy(error));
      callback(...result);
    });
  };
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
