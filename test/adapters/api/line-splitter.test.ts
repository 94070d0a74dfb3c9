import * as fc from 'fast-check';
import t from 'tap';
import { splitLines } from '../../../src/adapters/api/watch.ts';

async function* chunksOf(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

async function linesOf(parts: readonly Uint8Array[]): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const line of splitLines(chunksOf(parts), 'GET /watch')) lines.push(line);
  return lines;
}

/** Cuts bytes at the given places. */
function cut(bytes: Uint8Array, places: readonly number[]): readonly Uint8Array[] {
  const sorted = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((to, index) => bytes.subarray(sorted[index], to));
}

t.test('the same lines come out however the bytes are cut, also inside a character', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => JSON.stringify({ text })),
        { maxLength: 8 },
      ),
      fc.array(fc.nat(300), { maxLength: 12 }),
      fc.boolean(),
      async (lines, places, lastBreak) => {
        const bytes = Buffer.from(lines.join('\n') + (lastBreak ? '\n' : ''), 'utf8');
        const seen = await linesOf(cut(bytes, places));
        return JSON.stringify(seen) === JSON.stringify(lines);
      },
    ),
    { numRuns: 300 },
  );
});

t.test('a chunk that is used again by its owner does not change a line that waits for its end', async (t) => {
  const buffer = Buffer.from('{"a":');
  async function* reusing(): AsyncGenerator<Uint8Array> {
    yield buffer;
    buffer.write('XXXXX');
    yield Buffer.from('1}\n');
  }
  const lines: string[] = [];
  for await (const line of splitLines(reusing(), 'w')) lines.push(line);
  t.same(lines, ['{"a":1}']);
});

t.test('blank lines and carriage returns are dropped', async (t) => {
  t.same(await linesOf([Buffer.from('\n{}\r\n\n \n[]')]), ['{}', '[]']);
});

t.test('a line that never ends is refused', async (t) => {
  const part = Buffer.alloc(1024 * 1024, 0x61);
  await t.rejects(linesOf([part, part, part, part, part]), { code: 'ERR_API_PROTOCOL', message: /longer than 4 MiB/ });
});
