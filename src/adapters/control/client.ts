import { type IncomingMessage, request } from 'node:http';
import { CertletError } from '../../errors.ts';
import { errnoOf } from '../file-errors.ts';

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
}

/** The daemon answers from memory; longer silence means that it hangs. */
const ANSWER_LIMIT_MS = 10_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** One call over the control socket. Throws `ERR_CONTROL` when a daemon is there and does not answer. */
export function callControl(socketPath: string, call: ControlCall): Promise<ControlReply> {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  return new Promise((done, failed) => {
    const asked = request({
      socketPath,
      method: call.method,
      path: call.path,
      agent: false,
      headers: { host: 'certlet', ...(body === undefined ? {} : bodyHeaders(body)) },
    });
    const limit = setTimeout(
      () => asked.destroy(new Error(`not within ${String(ANSWER_LIMIT_MS / 1000)} s`)),
      ANSWER_LIMIT_MS,
    );
    asked.on('close', () => clearTimeout(limit));
    asked.on('error', (error) => {
      const reply = refusal(error);
      if (reply === undefined) failed(silent(socketPath, error));
      else done(reply);
    });
    asked.on('response', (answer) => {
      readAnswer(answer).then(done, (error: unknown) => failed(silent(socketPath, error)));
    });
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
    if (bytes > MAX_BYTES) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return { kind: 'answer', status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}

function refusal(error: unknown): ControlReply | undefined {
  const errno = errnoOf(error) ?? '';
  if (['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(errno)) return { kind: 'absent' };
  return ['EACCES', 'EPERM'].includes(errno) ? { kind: 'forbidden' } : undefined;
}

function silent(socketPath: string, cause: unknown): CertletError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CertletError('ERR_CONTROL', `no answer at ${socketPath}: ${why}`, {
    cause,
    remedy: 'systemctl status certlet',
  });
}
