import { lookUpName } from '../adapters/probe/name-lookup.ts';
import { monotonicMs } from '../adapters/system-clock.ts';
import { canonicalIpAddress } from '../pki/ip-address.ts';

const LOOKUP_MS = 5_000;

/** What a name resolves to, by the means of this host, canonical; undefined where nothing came. */
export async function addressesOf(name: string): Promise<readonly string[] | undefined> {
  const found = await lookUpName(name, { timeoutMs: LOOKUP_MS, ticks: monotonicMs });
  if (found.kind === 'failed') return undefined;
  return found.addresses.map((address) => canonicalIpAddress(address) ?? address);
}
