import t from 'tap';
import { again } from '../../src/approve/again.ts';
import { CertletError } from '../../src/errors.ts';

const unreachable = new CertletError('ERR_API_UNREACHABLE', 'no');

/** The pauses of one run: `script` says what becomes of each try, a failure or the beginning of something that fails later. */
async function pausesOf(
  script: readonly ('fails' | 'begins' | 'done' | CertletError)[],
  final = false,
): Promise<readonly number[]> {
  const pauses: number[] = [];
  const end = new AbortController();
  let at = 0;
  const work = async (began: () => void): Promise<'done' | 'once more'> => {
    const step = script[at++];
    if (step === undefined) end.abort();
    if (step === 'done') return 'done';
    if (step === 'begins') began();
    throw step instanceof CertletError ? step : unreachable;
  };
  const times = { pause: async (ms: number) => void pauses.push(ms) };
  const parts = { times, chance: { roll: () => 0 }, failed: () => !final } as unknown as Parameters<typeof again>[0];
  await again(parts, work, end.signal);
  return pauses;
}

t.test('each failure in a row waits longer, up to half a minute', async (t) => {
  t.strictSame(await pausesOf(Array(8).fill('fails')), [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
});

t.test('what has begun counts from the start again', async (t) => {
  t.strictSame(await pausesOf(['fails', 'fails', 'begins', 'fails', 'done']), [500, 1000, 500, 1000]);
});

t.test('a server that says how long is obeyed', async (t) => {
  t.strictSame(
    await pausesOf([new CertletError('ERR_API_THROTTLED', 'slowly', { retryAfterMs: 7000 }), 'done']),
    [7000],
  );
});

t.test('a failure that is final ends it, and so does a defect, which is thrown', async (t) => {
  t.strictSame(await pausesOf(['fails'], true), []);
  await t.rejects(pausesOf([new CertletError('ERR_INTERNAL', 'a defect')]), { code: 'ERR_INTERNAL' });
});
