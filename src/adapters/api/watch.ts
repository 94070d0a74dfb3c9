import { decodeWatchEvent } from '../../csr/wire.ts';
import type { CsrWatchEvent } from '../../csr/wire.ts';
import { CertletError } from '../../errors.ts';
import { checkJsonType, connectionFree, decoded, parseJson } from './body.ts';
import { splitLines } from './line-splitter.ts';
import type { Answer, Transport } from './transport.ts';

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
  const query = new URLSearchParams({
    watch: 'true',
    fieldSelector: `metadata.name=${watch.name}`,
    resourceVersion: watch.resourceVersion,
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(SERVER_TIMEOUT_SECONDS),
  });
  let answer: Answer;
  try {
    answer = await transport.send({
      method: 'GET',
      path: `${watch.path}?${query.toString()}`,
      signal: watch.signal,
      watch: true,
    });
  } catch (error) {
    if (!(error instanceof CertletError) || error.status !== 410) throw error;
    yield { type: 'ERROR', code: 410, message: error.message };
    return;
  }
  try {
    checkJsonType(answer.response, answer.what);
    for await (const line of splitLines(answer.response.body, answer.what)) {
      yield decoded(parseJson(line, answer.what), answer.what, decodeWatchEvent);
    }
    await connectionFree();
  } catch (error) {
    throw answer.describe(error);
  } finally {
    // Whoever stops reading early frees the connection.
    answer.response.discard();
  }
}
