import { CertletError } from '../../errors.ts';

/** One watch line holds one object; the API server's limit for an object is about 1.5 MB. */
const MAX_LINE_BYTES = 4 * 1024 * 1024;

/**
 * Lines out of a byte stream, however it is cut, also inside a character. Blank lines are dropped; a last line without
 * line break is given too. Throws `ERR_API_PROTOCOL` for a line above 4 MiB.
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<string> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let to = chunk.indexOf(NEWLINE); to >= 0; to = chunk.indexOf(NEWLINE, from)) {
      const line = joinText(parts, chunk.subarray(from, to));
      parts = [];
      length = 0;
      from = to + 1;
      if (line !== '') yield line;
    }
    if (from === chunk.length) continue;
    // A copy: the stream may reuse its buffer while the rest of the line is awaited.
    parts.push(Uint8Array.from(chunk.subarray(from)));
    length += chunk.length - from;
    if (length > MAX_LINE_BYTES) {
      throw new CertletError('ERR_API_PROTOCOL', `${what}: a line of the watch is longer than 4 MiB`, {
        remedy: 'Check that server in the kubeconfig names the API server.',
      });
    }
  }
  const last = joinText(parts, new Uint8Array());
  if (last !== '') yield last;
}

const NEWLINE = 0x0a;

function joinText(parts: readonly Uint8Array[], end: Uint8Array): string {
  return Buffer.concat([...parts, end])
    .toString('utf8')
    .trim();
}
