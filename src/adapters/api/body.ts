import { setImmediate } from 'node:timers/promises';
import { CertletError } from '../../errors.ts';
import type { PoolResponse } from './dispatcher.ts';

/** The API server's own limit for one object is about 1.5 MB; nothing that certlet asks for comes near. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Real objects nest some twenty levels. */
const MAX_DEPTH = 100;

/** The whole body as text. Throws `ERR_API_PROTOCOL` above 8 MiB; the connection's own errors pass. */
export async function readText(response: PoolResponse, what: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length;
    if (length > MAX_BODY_BYTES) {
      response.discard();
      throw protocolError(what, 'the answer is larger than 8 MiB');
    }
    parts.push(part);
  }
  await connectionFree();
  return Buffer.concat(parts).toString('utf8');
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

/** `JSON.parse` with a bound on nesting. Throws `ERR_API_PROTOCOL`; the text is not quoted. */
export function parseJson(text: string, what: string): unknown {
  if (nestsDeeperThan(text, MAX_DEPTH)) throw protocolError(what, 'the answer nests too deeply');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CertletError('ERR_API_PROTOCOL', `${what}: the answer is broken JSON`, {
      cause: error,
      remedy: PROTOCOL_REMEDY,
    });
  }
}

const PROTOCOL_REMEDY =
  'Check that server in the kubeconfig names the API server: a proxy, load balancer or login page may answer there.';

function protocolError(what: string, problem: string): CertletError {
  return new CertletError('ERR_API_PROTOCOL', `${what}: ${problem}`, { remedy: PROTOCOL_REMEDY });
}

/** `JSON.parse` itself takes any depth; what walks its result later might not. */
function nestsDeeperThan(text: string, limit: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) quoted = false;
    } else if (code === QUOTE) quoted = true;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1;
    if (depth > limit) return true;
  }
  return false;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
