import { formatIpAddress, parseIpAddress } from './ip-address.ts';

/** A range of addresses of one family, such as `10.96.0.0/12` (RFC 4632, RFC 4291 2.3). */
export interface IpRange {
  /** The network's bytes: 4 or 16. */
  readonly network: Uint8Array;
  readonly prefixLength: number;
}

/** The range of a CIDR text, or of an address alone; undefined for anything else, also where bits behind the prefix are set. */
export function parseIpRange(text: string): IpRange | undefined {
  const [, address = '', prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const network = parseIpAddress(address);
  if (network === undefined) return undefined;
  // `::ffff:10.0.0.0/104` is 10.0.0.0/8: addresses are compared in their shortest form.
  const mapped = address.includes(':') && network.length === 4 ? MAPPED_BITS : 0;
  const prefixLength = prefix === undefined ? network.length * 8 : Number(prefix) - mapped;
  if (prefixLength < 0 || prefixLength > network.length * 8) return undefined;
  const range = { network, prefixLength };
  return network.every((byte, index) => (byte & maskAt(range, index)) === byte) ? range : undefined;
}

const MAPPED_BITS = 96;

/** Whether the address (any text form) lies in the range; false for what is no address. */
export function rangeHolds(range: IpRange, address: string): boolean {
  const bytes = parseIpAddress(address);
  if (bytes?.length !== range.network.length) return false;
  return range.network.every((byte, index) => ((bytes[index] ?? 0) & maskAt(range, index)) === byte);
}

/** The one text of a range: network and prefix, `fd00::/8`. */
export const formatIpRange = ({ network, prefixLength }: IpRange): string =>
  `${formatIpAddress(network)}/${String(prefixLength)}`;

/** Whether these ranges together hold every address of a family. */
export function holdsFamily(ranges: readonly IpRange[], family: 'IPv4' | 'IPv6'): boolean {
  const length = family === 'IPv4' ? 4 : 16;
  const sorted = ranges
    .filter(({ network }) => network.length === length)
    .map(({ network, prefixLength }) => {
      const first = BigInt(`0x${Buffer.from(network).toString('hex')}`);
      return { first, next: first + (1n << BigInt(length * 8 - prefixLength)) };
    })
    .sort((left, right) => (left.first < right.first ? -1 : 1));
  let reached = 0n;
  for (const { first, next } of sorted) {
    if (first > reached) return false;
    if (next > reached) reached = next;
  }
  return reached === 1n << BigInt(length * 8);
}

function maskAt({ prefixLength }: IpRange, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixLength - index * 8));
  return (0xff << (8 - bits)) & 0xff;
}
