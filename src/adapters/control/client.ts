import type { Remedy } from '../../remedy.ts';
import { type IncomingMessage, request } from 'node:http';
import { CertletError, defectIn, isDefect } from '../../errors.ts';
import { errnoOf } from '../file-errors.ts';
import { STATUS_LIMIT_BYTES } from '../status-file.ts';
import { isSocketPath } from './socket-file.ts';

/** What came of a call. */
export type ControlReply =
  | { readonly kind: 'answer'; readonly status: number; readonly text: string }
  /** Nobody listens there: no file, or the file of a dead daemon. */
  | { readonly kind: 'absent' }
  /** The socket is its owner's and root's alone. */
  | { readonly kind: 'forbidden' };

export interface ControlCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: unknown;
  /** Who asks, for the journal. */
  readonly by?: string;
}

/** The daemon answers from memory; longer silence means that it hangs. */
const ANSWER_LIMIT_MS = 10_000;

/** One call over the control socket. Throws `ERR_CONTROL` when a daemon is there and does not answer. */
export async function callControl(socketPath: string, call: ControlCall): Promise<ControlReply> {
  if (!isSocketPath(socketPath)) return { kind: 'absent' };
  try {
    return await exchange(socketPath, call).catch((error: unknown) => {
      if (call.method !== 'GET' || !isBrokenOff(error)) throw error;
      // The daemon ended, or began, while it was asked: another look tells which.
      return exchange(socketPath, call);
    });
  } catch (error) {
    const reply = refusal(error);
    if (reply !== undefined) return reply;
    if (isDefect(error)) throw defectIn(`control socket ${socketPath}`, error);
    const why = error instanceof Error ? error.message : String(error);
    throw new CertletError('ERR_CONTROL', `no answer at ${socketPath}: ${why}`, {
      cause: error,
      remedy: 'systemctl status certlet',
    });
  }
}

/** What went wrong, of an answer that is not the one asked for. */
export interface AnsweredError {
  readonly code?: string;
  readonly field?: string;
  readonly message?: string;
  readonly remedy?: Remedy;
}

/** The error in an answer of `answerControl`. Throws `ERR_CONTROL` for the answer of anything else. */
export function answeredError(text: string): AnsweredError {
  try {
    return (JSON.parse(text) as { readonly error?: AnsweredError } | null)?.error ?? {};
  } catch (cause) {
    throw new CertletError('ERR_CONTROL', 'what answers on the control socket is no certlet', { cause });
  }
}

function exchange(
  socketPath: string,
  { method, path, body: value, by = 'certlet' }: ControlCall,
): Promise<ControlReply> {
  const body = value === undefined ? undefined : JSON.stringify(value);
  return new Promise((done, failed) => {
    const headers = { host: 'certlet', 'user-agent': by, ...(body === undefined ? {} : bodyHeaders(body)) };
    const asked = request({ socketPath, method, path, agent: false, headers });
    const tooLate = new Error(`not within ${String(ANSWER_LIMIT_MS / 1000)} s`);
    const limit = setTimeout(() => asked.destroy(tooLate), ANSWER_LIMIT_MS);
    asked.on('close', () => clearTimeout(limit));
    asked.on('error', failed);
    asked.on('response', (answer) => done(readAnswer(answer)));
    asked.end(body);
  });
}

const bodyHeaders = (body: string): Readonly<Record<string, string | number>> => ({
  'content-type': 'application/json',
  'content-length': Buffer.byteLength(body),
});

async function readAnswer(answer: IncomingMessage): Promise<ControlReply> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > STATUS_LIMIT_BYTES) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return { kind: 'answer', status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}

const isBrokenOff = (error: unknown): boolean => ['ECONNRESET', 'EPIPE'].includes(errnoOf(error) ?? '');

function refusal(error: unknown): ControlReply | undefined {
  const errno = errnoOf(error) ?? '';
  if (['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(errno)) return { kind: 'absent' };
  return ['EACCES', 'EPERM'].includes(errno) ? { kind: 'forbidden' } : undefined;
}
