import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { withoutFinalDots } from '../../pki/server-names.ts';
import type { ServerGlimpse } from '../../ports.ts';
import type { Asked } from './api-errors.ts';
import { openTunnel } from './dispatcher.ts';
import { identityOf } from './identity.ts';
import { networkError } from './network-errors.ts';
import { chooseProxy } from './proxy-choice.ts';
import { httpDate, plainText } from './response-headers.ts';
import { KEY_EXCHANGE } from './tls-options.ts';
import type { TlsTrust } from './tls-options.ts';
import type { ApiOptions } from './transport.ts';

/** A response head is well below this. */
const MAX_HEAD_BYTES = 16 * 1024;

/**
 * Looks at the server's certificate and `Date` header over a connection that is not verified and carries no credential. For messages
 * only. Rejects with `ERR_API_UNREACHABLE` or `ERR_API_TLS` when there is no handshake; a server that sends no Date gives the certificate alone.
 */
export async function glimpseServer(
  cluster: ClusterAccess,
  options: ApiOptions,
  signal: AbortSignal,
): Promise<ServerGlimpse> {
  const url = new URL(cluster.server);
  const proxy = chooseProxy(url, cluster.proxyUrl, options.environment);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(options.timeouts.connectMs)]);
  const facts: Asked = { identity: identityOf({ kind: 'none' }), server: cluster.server, what: 'a look' };
  let socket: TLSSocket | undefined;
  try {
    const port = url.port === '' ? 443 : Number(url.port);
    const target = `${url.hostname}:${String(port)}`;
    const tunnel =
      proxy === undefined
        ? undefined
        : await openTunnel(proxy, target, {
            trust: trustOf(cluster),
            connectTimeoutMs: options.timeouts.connectMs,
            signal: limit,
          });
    socket = await handshake({ host: bareHost(url), port, serverName: cluster.tlsServerName, tunnel }, limit);
    return { ...certificateOf(socket), ...(await dateOf(socket, url, options.version)) };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw networkError(error, { ...facts, proxy: proxy?.address });
  } finally {
    socket?.destroy();
  }
}

function trustOf(cluster: ClusterAccess): TlsTrust {
  const { caPem, insecureSkipTlsVerify } = cluster;
  return { caPem, insecureSkipTlsVerify, tlsServerName: undefined, pair: undefined };
}

interface Peer {
  readonly host: string;
  readonly port: number;
  readonly serverName: string | undefined;
  readonly tunnel: Duplex | undefined;
}

function handshake(peer: Peer, limit: AbortSignal): Promise<TLSSocket> {
  const name = peer.serverName ?? peer.host;
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...(peer.tunnel === undefined ? { host: peer.host, port: peer.port } : { socket: peer.tunnel }),
      // RFC 6066 3: no addresses in SNI.
      servername: isIP(name) === 0 ? withoutFinalDots(name) : '',
      rejectUnauthorized: false,
      ...KEY_EXCHANGE,
      ALPNProtocols: ['http/1.1'],
    });
    const abort = (): void => void socket.destroy(limit.reason as Error);
    limit.addEventListener('abort', abort, { once: true });
    socket.once('secureConnect', () => resolve(socket));
    socket.on('error', reject);
    socket.once('close', () => {
      limit.removeEventListener('abort', abort);
      reject(new Error('the connection was closed during the TLS handshake'));
    });
    if (limit.aborted) abort();
  });
}

function certificateOf(socket: TLSSocket): Pick<ServerGlimpse, 'certificate'> {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return {};
  const oneLine = (text: string): string => plainText(text.replaceAll('\n', ', '), 500);
  return {
    certificate: {
      subject: oneLine(certificate.subject),
      issuer: oneLine(certificate.issuer),
      notBefore: certificate.validFromDate,
      notAfter: certificate.validToDate,
      names: oneLine(certificate.subjectAltName ?? ''),
    },
  };
}

/** `GET /version` by hand: the head of any answer, also of a 401, has the Date. */
async function dateOf(socket: TLSSocket, url: URL, version: string): Promise<Pick<ServerGlimpse, 'serverDate'>> {
  socket.write(
    `GET /version HTTP/1.1\r\nHost: ${url.host}\r\nUser-Agent: certlet/${version}\r\nConnection: close\r\n\r\n`,
  );
  const value = /^date:[ \t]*(.*)$/im.exec(await headOf(socket))?.[1];
  const serverDate = httpDate(value);
  return serverDate === undefined ? {} : { serverDate };
}

/** What came of a head when it is whole, too long, or the connection has ended. */
function headOf(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    let head = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      head += chunk;
      if (head.includes('\r\n\r\n') || head.length > MAX_HEAD_BYTES) resolve(head);
    });
    socket.once('close', () => resolve(head));
  });
}

function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}
