import type { X509Certificate } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { setTimeout as delay } from 'node:timers/promises';
import type { PairInUse } from '../../kubelet/restart-window.ts';
import type { Endpoint, Look } from '../../kubelet/served.ts';
import { certificateMarks } from '../../pki/certificate.ts';
import { handshake } from '../api/handshake.ts';
import { errnoOf } from '../file-errors.ts';

/** Looks at what a server shows: once without SNI, and once for each of these DNS names. */
export type LookServed = (
  endpoint: Endpoint,
  names: readonly string[],
  signal: AbortSignal,
) => Promise<readonly Look[]>;

/** On this host a connection takes milliseconds. */
const CONNECT_MS = 3_000;
/** How long a server has for its goodbye. */
const GOODBYE_MS = 1_000;
/** What says that nobody listens there, or that there is no such address on this host. */
const ABSENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'ETIMEDOUT',
]);

/**
 * Handshakes that verify nothing and carry no credential, each ended by a clean close: so no line comes into the log of a kubelet (facts C7). The first
 * address at which somebody listens is asked. Rejects with the signal's reason and nothing else.
 */
export async function lookServed(
  { addresses, port }: Endpoint,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly Look[]> {
  for (const host of addresses) {
    const first = await lookOnce({ host, port }, undefined, signal);
    if (first.kind === 'absent') continue;
    const looks: Look[] = [first];
    for (const name of names) looks.push(await lookOnce({ host, port }, name, signal));
    return looks;
  }
  return [{ kind: 'absent' }];
}

async function lookOnce(
  to: { readonly host: string; readonly port: number },
  name: string | undefined,
  signal: AbortSignal,
): Promise<Look> {
  signal.throwIfAborted();
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]);
  const about = name === undefined ? {} : { name };
  let raw: Socket;
  try {
    raw = await opened(to, limit);
  } catch (error) {
    signal.throwIfAborted();
    return ABSENT.has(errnoOf(error) ?? '') || limit.aborted
      ? { kind: 'absent' }
      : { kind: 'failed', ...about, error: wordsOf(error) };
  }
  try {
    const socket = await handshake(raw, { servername: name ?? '', rejectUnauthorized: false }, limit);
    const certificate = socket.getPeerX509Certificate();
    await close(socket, signal);
    if (certificate === undefined) return { kind: 'failed', ...about, error: 'the server showed no certificate' };
    return { kind: 'served', ...about, ...certificateMarks(certificate), ...datesOf(certificate) };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: 'failed', ...about, error: limit.aborted ? 'no TLS handshake in time' : wordsOf(error) };
  }
}

function datesOf({ validFromDate, validToDate, subject, issuer }: X509Certificate): { readonly dates?: PairInUse } {
  if (Number.isNaN(validFromDate.getTime()) || Number.isNaN(validToDate.getTime())) return {};
  return { dates: { notBefore: validFromDate, notAfter: validToDate, selfSigned: subject === issuer } };
}

function opened(
  { host, port }: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const abort = (): void => void socket.destroy(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort);
      socket.off('error', reject);
      resolve(socket);
    });
    socket.once('error', reject);
    if (signal.aborted) abort();
  });
}

/** Session tickets are read before the end is answered: a connection that is closed with bytes unread is a reset to the other side. */
async function close(socket: TLSSocket, signal: AbortSignal): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  socket.resume().end();
  await Promise.race([closed, delay(GOODBYE_MS, undefined, { signal, ref: false }).catch(() => undefined)]);
  socket.destroy();
}

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
