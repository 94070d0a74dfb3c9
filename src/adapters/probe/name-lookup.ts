import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { errnoOf } from '../file-errors.ts';

/** What a name resolves to, by the means of this host (hosts file, name servers), or the resolver's code. */
export type LookedUp =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly tookMs: number }
  | { readonly kind: 'failed'; readonly code: string };

export interface LookupOptions {
  readonly timeoutMs: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly ticks: () => number;
}

/** Addresses of a host, in the system's order. An address is its own answer. Never rejects. */
export async function lookUpName(host: string, options: LookupOptions): Promise<LookedUp> {
  if (isIP(host) !== 0) return { kind: 'addresses', addresses: [host], tookMs: 0 };
  const start = options.ticks();
  const limit = AbortSignal.timeout(options.timeoutMs);
  const late = new Promise<LookedUp>((resolve) => {
    limit.addEventListener('abort', () => resolve({ kind: 'failed', code: 'ETIMEDOUT' }), { once: true });
  });
  const found = lookup(host, { all: true, order: 'verbatim' }).then(
    (entries): LookedUp => ({
      kind: 'addresses',
      addresses: [...new Set(entries.map(({ address }) => address))],
      tookMs: Math.round(options.ticks() - start),
    }),
    (error: unknown): LookedUp => ({ kind: 'failed', code: errnoOf(error) ?? 'UNKNOWN' }),
  );
  return Promise.race([found, late]);
}
