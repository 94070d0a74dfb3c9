import type { Duplex } from 'node:stream';
import { connect, createSecureContext } from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';

/** `code` of the error for a peer that took too long; undici's own name for it. */
export const CONNECT_TIMEOUT = 'UND_ERR_CONNECT_TIMEOUT';

/**
 * Groups for the key exchange. OpenSSL would send a key share of the post-quantum one, and so a first packet of 1580 bytes that some middleboxes
 * drop; a star marks those whose share is sent. A server that wants another of the list asks for it.
 */
const KEY_EXCHANGE = { ecdhCurve: '*X25519/*P-256:P-384:P-521:X448:X25519MLKEM768' } as const;

/** What may be asked of a handshake: whom to trust, what to show, and whether OpenSSL's refusal ends it. */
export type HandshakeOptions = Required<Pick<ConnectionOptions, 'rejectUnauthorized'>> &
  Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'ciphers'>;

/**
 * TLS over an open connection: the one place that begins it. Resolves before anything was written. With `rejectUnauthorized` OpenSSL has
 * accepted the chain; names are for the caller to judge. Rejects with Node's error, or with the signal's reason; the connection is closed then.
 *
 * No session is ever offered, so no handshake is shortened past a verdict.
 */
export function handshake(raw: Duplex, options: HandshakeOptions, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = begin(raw, options);
    const abort = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    socket.once('secureConnect', () => {
      signal.removeEventListener('abort', abort);
      resolve(socket);
    });
    socket.on('error', reject);
    socket.once('close', () => {
      signal.removeEventListener('abort', abort);
      // Node leaves the connection below open where the handshake had not ended.
      raw.on('error', () => undefined).destroy();
      reject(new Error('the connection was closed during the TLS handshake'));
    });
    if (signal.aborted) abort();
  });
}

let rootsAreLeft = false;

/**
 * To be called before any context is made. Under `--use-openssl-ca` the first one of a process has OpenSSL read its own file of roots (145 on a
 * Fedora: 8 ms, 0.8 MB), for a store that no connection of ours goes by. It is shown an empty one.
 */
export function leaveOwnRoots(): void {
  if (rootsAreLeft || !process.execArgv.includes('--use-openssl-ca')) return;
  rootsAreLeft = true;
  const before = process.env['SSL_CERT_FILE'];
  process.env['SSL_CERT_FILE'] = '/dev/null';
  try {
    createSecureContext();
  } finally {
    if (before === undefined) delete process.env['SSL_CERT_FILE'];
    else process.env['SSL_CERT_FILE'] = before;
  }
}

/** Throws where our own certificate or key cannot be used. */
function begin(raw: Duplex, options: HandshakeOptions): TLSSocket {
  try {
    leaveOwnRoots();
    const socket = connect({
      ...options,
      ...KEY_EXCHANGE,
      socket: raw,
      allowPartialTrustChain: true,
      ALPNProtocols: ['http/1.1'],
      // The caller judges names, by the certificate that Node gives without a legacy object.
      checkServerIdentity: () => undefined,
    });
    withoutLegacyCertificate(socket);
    return socket;
  } catch (error) {
    raw.on('error', () => undefined).destroy();
    throw error;
  }
}

/**
 * After each handshake that OpenSSL accepts Node asks the socket for `getPeerCertificate(true)`, whatever `rejectUnauthorized` and
 * `checkServerIdentity` say, and Node 26.10 dies by SIGSEGV where any certificate of the chain has a key on a curve without a NIST name.
 * Nobody here reads that object.
 */
function withoutLegacyCertificate(socket: TLSSocket): void {
  Object.defineProperty(socket, 'getPeerCertificate', { value: () => ({}) });
}

/** Runs `work` with a signal that aborts after `ms`, with an error that tells a connection that took too long. */
export async function withinConnectTime<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new ConnectTimeoutError()), ms);
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
  }
}

class ConnectTimeoutError extends Error {
  override readonly name = 'ConnectTimeoutError';
  readonly code = CONNECT_TIMEOUT;

  constructor() {
    super('no connection in time');
  }
}
