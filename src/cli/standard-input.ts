import type { Readable } from 'node:stream';
import { CertletError } from '../errors.ts';

/** A token is a line; a person who pipes the wrong file in is told before it fills the memory. */
const INPUT_LIMIT_BYTES = 64 * 1024;

/** Everything on standard input, as text. Throws `ERR_USAGE` above 64 KiB. */
export async function readAllInput(input: Readable): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of input as AsyncIterable<Buffer | string>) {
    const bytes = typeof part === 'string' ? Buffer.from(part, 'utf8') : part;
    length += bytes.length;
    if (length > INPUT_LIMIT_BYTES)
      throw new CertletError('ERR_USAGE', 'standard input: larger than 64 KiB, which is no token');
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString('utf8');
}
