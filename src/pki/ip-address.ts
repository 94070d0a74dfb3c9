const IPV4_IN_IPV6_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

/**
 * The bytes of an address as they stand in a certificate: 4 or 16. Leading zeros of IPv4 numbers count as decimal, as the kubelet
 * reads them; IPv4-mapped IPv6 becomes IPv4, as Go encodes it. Undefined for anything else, zones and prefixes included.
 */
export function parseIpAddress(text: string): Uint8Array | undefined {
  const bytes = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  return bytes?.length === 16 && IPV4_IN_IPV6_PREFIX.equals(bytes.subarray(0, 12)) ? bytes.subarray(12) : bytes;
}

/** The one text of an address (RFC 5952), so that equal addresses are equal strings. Undefined when `text` is no address. */
export function canonicalIpAddress(text: string): string | undefined {
  const bytes = parseIpAddress(text);
  return bytes === undefined ? undefined : formatIpAddress(bytes);
}

/** The same of bytes: 4 or 16. */
export const formatIpAddress = (bytes: Uint8Array): string =>
  bytes.length === 4 ? [...bytes].join('.') : formatIpv6(bytes);

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,10}$/.test(part) && Number(part) <= 255)) return undefined;
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2 || text.length > 45) return undefined;
  const [head, tail] = [halves[0] ?? '', halves[1]].map((half, index, all) =>
    groups(half, all[index + 1] === undefined),
  );
  if (head === undefined || (tail === undefined && halves.length === 2)) return undefined;
  const given = head.length + (tail?.length ?? 0);
  if (tail === undefined ? given !== 16 : given > 14) return undefined;
  return Uint8Array.from([...head, ...Array.from({ length: 16 - given }, () => 0), ...(tail ?? [])]);
}

/** The bytes of colon-separated groups; the last group of an address may be dotted IPv4. */
function groups(text: string | undefined, last: boolean): readonly number[] | undefined {
  if (text === undefined) return undefined;
  if (text === '') return [];
  const bytes: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    const ipv4 = last && index === parts.length - 1 && part.includes('.') ? parseIpv4(part) : undefined;
    if (ipv4 === undefined && !/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
    const group = Number.parseInt(part, 16);
    bytes.push(...(ipv4 ?? [group >> 8, group & 0xff]));
  }
  return bytes;
}

function formatIpv6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  const run = longestZeroRun(words);
  if (run.length < 2) return words.join(':');
  return `${words.slice(0, run.start).join(':')}::${words.slice(run.start + run.length).join(':')}`;
}

/** The first longest run of zero groups: RFC 5952 4.2 shortens that one and no other, and never a single group. */
function longestZeroRun(words: readonly string[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  for (const [index, word] of words.entries()) {
    length = word === '0' ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  }
  return best;
}

/** A host as a URL has it, without the brackets around an IPv6 address. */
export function bareHost(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}
