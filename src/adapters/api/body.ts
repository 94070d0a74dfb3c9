import type { Remedy } from '../../remedy.ts';
import { setImmediate } from 'node:timers/promises';
import { CertletError, type ErrorReason, isCertletError } from '../../errors.ts';
import { ByteBuffer } from './byte-buffer.ts';
import type { PoolResponse } from './dispatcher.ts';

/** The API server's own limit for one object is about 1.5 MB; nothing that certlet asks for comes near. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Real objects nest some twenty levels and have some thousand values; eight megabytes of `{},` would fill the memory of a small host. */
const MAX_DEPTH = 100;
const MAX_VALUES = 100_000;

/** The whole body as text. Throws `ERR_API_PROTOCOL` above 8 MiB; the connection's own errors pass. */
export async function readText(response: PoolResponse, what: string): Promise<string> {
  const bytes = new ByteBuffer();
  for await (const part of response.body) {
    if (bytes.length + part.length > MAX_BODY_BYTES) {
      response.discard();
      throw protocolError(what, 'the answer is larger than 8 MiB', 'too large');
    }
    bytes.append(part);
  }
  await connectionFree();
  return bytes.takeText();
}

/** undici frees a connection just after the body has ended: the next request must find it free, or it opens another one. */
export async function connectionFree(): Promise<void> {
  await setImmediate();
}

/** Throws `ERR_API_PROTOCOL` unless the answer says that it is JSON; login pages and proxies say text/html. */
export function checkJsonType(response: PoolResponse, what: string): void {
  const type = response.header('content-type')[0] ?? '';
  if (/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type)) return;
  throw protocolError(
    what,
    `the answer is ${type === '' ? 'of no type' : (type.split(';', 1)[0] ?? type)} instead of JSON`,
  );
}

/** `JSON.parse` with a bound on nesting and on the number of values. Throws `ERR_API_PROTOCOL`; the text is not quoted. */
export function parseJson(text: string, what: string): unknown {
  const excess = excessOf(text);
  if (excess !== undefined) throw protocolError(what, `the answer ${excess}`, 'too large');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CertletError('ERR_API_PROTOCOL', `${what}: the answer is broken JSON`, {
      cause: error,
      remedy: PROTOCOL_REMEDY,
    });
  }
}

/** What `decode` makes of an answer. Its `ERR_API_PROTOCOL` is told with the request and the server that gave the answer. */
export function decoded<T>(json: unknown, what: string, decode: (json: unknown) => T): T {
  try {
    return decode(json);
  } catch (error) {
    if (!isCertletError(error, 'ERR_API_PROTOCOL')) throw error;
    throw new CertletError('ERR_API_PROTOCOL', `${what}: ${error.message}`, { cause: error, remedy: PROTOCOL_REMEDY });
  }
}

const PROTOCOL_REMEDY: Remedy =
  '# Check that server in the kubeconfig names the API server: a proxy, load balancer or login page may answer there.';

function protocolError(what: string, problem: string, reason?: ErrorReason): CertletError {
  return new CertletError('ERR_API_PROTOCOL', `${what}: ${problem}`, { remedy: PROTOCOL_REMEDY, reason });
}

/** Looked for before parsing: what walks the result later might not take any depth, and the result takes many times the memory of its text. */
function excessOf(text: string): string | undefined {
  let depth = 0;
  let values = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) quoted = false;
    } else if (code === QUOTE) quoted = true;
    else if (code === COMMA) values += 1;
    else depth += DEPTH_STEPS[code] ?? 0;
    if (depth > MAX_DEPTH) return 'nests too deeply';
    if (values > MAX_VALUES) return 'has too many values';
  }
  return undefined;
}

const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Braces and brackets. */
const DEPTH_STEPS: Readonly<Record<number, number>> = { 0x7b: 1, 0x7d: -1, 0x5b: 1, 0x5d: -1 };
