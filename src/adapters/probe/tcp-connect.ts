import { connect } from 'node:net';
import { errnoOf } from '../file-errors.ts';

/** What came of one attempt to open a TCP connection. */
export type Connected =
  | { readonly kind: 'open'; readonly address: string }
  | { readonly kind: 'failed'; readonly address: string; readonly code: string };

/** Opens a TCP connection to one address and closes it again without sending anything. Never rejects. */
export function connectOnce(address: string, port: number, timeoutMs: number): Promise<Connected> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout: timeoutMs });
    const end = (result: Connected): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end({ kind: 'open', address }));
    socket.once('timeout', () => end({ kind: 'failed', address, code: 'ETIMEDOUT' }));
    socket.once('error', (error) => end({ kind: 'failed', address, code: errnoOf(error) ?? 'UNKNOWN' }));
  });
}
