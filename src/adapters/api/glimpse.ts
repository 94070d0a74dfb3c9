import type { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { isCertletError } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { oneLine } from '../../pki/certificate.ts';
import { issuerKeyIdOf } from '../../pki/key-ids.ts';
import { readCertificate } from '../../pki/x509-reader.ts';
import type { ServerGlimpse } from '../../ports.ts';
import type { Asked } from './api-errors.ts';
import { rawConnectionsTo } from './dispatcher.ts';
import { handshake } from './handshake.ts';
import { identityOf } from './credential-label.ts';
import { networkError } from './network-errors.ts';
import { chooseProxy } from './proxy-choice.ts';
import { httpDate, plainText } from './response-headers.ts';
import { serverNameIndication } from './server-identity.ts';
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
    const { timeouts, now } = options;
    const open = rawConnectionsTo(
      {
        ...trustOf(cluster),
        origin: url.origin,
        proxy,
        connectTimeoutMs: timeouts.connectMs,
        tunnelTimeoutMs: timeouts.connectMs,
        now,
      },
      limit,
    );
    const servername = serverNameIndication(cluster.tlsServerName ?? url.hostname);
    socket = await handshake(await orAborted(open(), limit), { servername, rejectUnauthorized: false }, limit);
    const certificate = certificateOf(socket);
    const date = await dateOf(socket, url, options.version, limit);
    signal.throwIfAborted();
    return { ...certificate, ...date };
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

/** What comes after the signal is closed. */
function orAborted(connecting: Promise<Duplex>, signal: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    connecting
      .then((raw) => (signal.aborted ? raw.on('error', () => undefined).destroy() : resolve(raw)), reject)
      .finally(() => signal.removeEventListener('abort', abort));
  });
}

function certificateOf(socket: TLSSocket): Pick<ServerGlimpse, 'certificate'> {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return {};
  const shown = (text: string | undefined): string => plainText(oneLine(text), 500);
  const issuerKeyId = keyIdOf(certificate);
  return {
    certificate: {
      subject: shown(certificate.subject),
      issuer: shown(certificate.issuer),
      notBefore: certificate.validFromDate,
      notAfter: certificate.validToDate,
      names: shown(certificate.subjectAltName),
      serial: certificate.serialNumber,
      fingerprint: certificate.fingerprint256,
      ...(issuerKeyId === undefined ? {} : { issuerKeyId }),
      ...(certificate.issuerCertificate === undefined
        ? {}
        : { issuerFingerprint: certificate.issuerCertificate.fingerprint256 }),
    },
  };
}

/** Every cluster's CA is called the same: the key tells them apart. */
function keyIdOf(certificate: X509Certificate): string | undefined {
  try {
    return issuerKeyIdOf(readCertificate(certificate.raw));
  } catch (error) {
    if (isCertletError(error)) return undefined;
    throw error;
  }
}

/** `GET /version` by hand: the head of any answer, also of a 401, has the Date. */
async function dateOf(
  socket: TLSSocket,
  url: URL,
  version: string,
  limit: AbortSignal,
): Promise<Pick<ServerGlimpse, 'serverDate'>> {
  socket.write(
    `GET /version HTTP/1.1\r\nHost: ${url.host}\r\nUser-Agent: certlet/${version}\r\nConnection: close\r\n\r\n`,
  );
  const value = /^date:[ \t]*(.*)$/im.exec(await headOf(socket, limit))?.[1];
  const serverDate = httpDate(value);
  return serverDate === undefined ? {} : { serverDate };
}

/** What came of a head when it is whole, too long, or the connection or its time has ended. */
function headOf(socket: TLSSocket, limit: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    let head = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      head += chunk;
      if (head.includes('\r\n\r\n') || head.length > MAX_HEAD_BYTES) resolve(head);
    });
    socket.once('close', () => resolve(head));
    // A server that stalls after the handshake must not hold up who asks for its certificate.
    limit.addEventListener('abort', () => void socket.destroy(), { once: true });
    if (limit.aborted) socket.destroy();
  });
}
