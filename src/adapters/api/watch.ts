import { decodeWatchEvent, type CsrWatchEvent } from '../../csr/wire.ts';
import { CertletError } from '../../errors.ts';
import { checkJsonType, connectionFree, decoded, parseJson } from './body.ts';
import type { Answer, Transport } from './transport.ts';
import { ByteBuffer } from './byte-buffer.ts';

export interface WatchRequest {
  readonly path: string;
  readonly name: string;
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
}

/**
 * Every server ends the watch after this time by itself, also one that sends no bookmarks (before 1.16, or without changes to any
 * object). It is below the three minutes of silence that count as a dead link, so that a quiet healthy watch is never taken for one.
 */
const SERVER_TIMEOUT_SECONDS = 170;

/** Events of one object until the server ends the watch. A server that answers 410 to the request gives one ERROR event. */
export async function* watchEvents(transport: Transport, watch: WatchRequest): AsyncGenerator<CsrWatchEvent> {
  const { path, name, resourceVersion, signal } = watch;
  const query = { fieldSelector: `metadata.name=${name}`, resourceVersion };
  yield* watchLines(transport, { path, query, signal }, decodeWatchEvent);
}

/** Any watch, from the query's resourceVersion; what `decode` makes of each line. */
export async function* watchLines<T>(
  transport: Transport,
  watch: { readonly path: string; readonly query: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  decode: (json: unknown) => T,
): AsyncGenerator<T> {
  const query = new URLSearchParams({
    watch: 'true',
    ...watch.query,
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(SERVER_TIMEOUT_SECONDS),
  });
  const { path, signal } = watch;
  let answer: Answer;
  try {
    answer = await transport.send({ method: 'GET', path: `${path}?${query.toString()}`, signal, watch: true });
  } catch (error) {
    if (!(error instanceof CertletError) || error.status !== 410) throw error;
    yield decode({ type: 'ERROR', object: { code: 410, message: error.message } });
    return;
  }
  try {
    checkJsonType(answer.response, answer.what);
    for await (const line of splitLines(answer.response.body, answer.what)) {
      yield decoded(parseJson(line, answer.what), answer.what, decode);
    }
    await connectionFree();
  } catch (error) {
    throw answer.describe(error);
  } finally {
    // Whoever stops reading early frees the connection.
    answer.response.discard();
  }
}

/** One watch line holds one object; the API server's limit for an object is about 1.5 MB. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;

/**
 * Lines out of a byte stream, however it is cut, also inside a character. Blank lines are dropped; a last line without
 * line break is given too. Throws `ERR_API_PROTOCOL` for a line above 4 MiB.
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<string> {
  const open = new ByteBuffer();
  for await (const chunk of chunks) {
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to >= 0; to = chunk.indexOf(NEWLINE, from)) {
      open.append(chunk.subarray(from, to));
      from = to + 1;
      const line = open.takeText().trim();
      if (line !== '') yield line;
    }
    open.append(chunk.subarray(from));
    if (open.length > MAX_LINE_BYTES) {
      throw new CertletError('ERR_API_PROTOCOL', `${what}: a line of the watch is longer than 4 MiB`, {
        remedy: '# Check that server in the kubeconfig names the API server.',
      });
    }
  }
  const last = open.takeText().trim();
  if (last !== '') yield last;
}

const NEWLINE = 0x0a;
