import { CertletError } from '../../errors.ts';
import { ByteBuffer } from './byte-buffer.ts';

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
        remedy: 'Check that server in the kubeconfig names the API server.',
      });
    }
  }
  const last = open.takeText().trim();
  if (last !== '') yield last;
}

const NEWLINE = 0x0a;
