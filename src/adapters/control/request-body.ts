import type { IncomingMessage } from 'node:http';

/** Far above any order that a person gives. */
const MAX_BYTES = 16 * 1024;

/** A request that cannot be carried out, with the field or part that is at fault. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest';
  readonly status: number;
  readonly field: string;

  constructor(status: number, field: string, message: string) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

/** The JSON object in the body; an empty body is an empty object. Throws `BadRequest`, also when the client goes away. */
export async function readObject(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new BadRequest(413, 'body', `larger than ${String(MAX_BYTES)} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  const value = text.trim() === '' ? {} : parsed(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new BadRequest(400, 'body', 'expected a JSON object');
  }
  return value as Readonly<Record<string, unknown>>;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BadRequest(400, 'body', 'no JSON');
  }
}

/** Keys beyond `known` are mistakes: `{"purpose": "client"}` must not renew everything. */
export function refuseUnknown(body: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const extra = Object.keys(body).find((key) => !known.includes(key));
  if (extra !== undefined) throw new BadRequest(400, extra, `unknown field; there is ${known.join(', ') || 'none'}`);
}
