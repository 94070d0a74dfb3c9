import { isIP } from 'node:net';
import { normalize } from 'node:path';
import { type CertificateNames, NODE_NAME, withNodeName } from '../csr/spec.ts';
import { readHost, splitUrl } from '../kubeconfig/url-host.ts';
import { DNS_SUBDOMAIN, MAX_DNS_LENGTH } from '../pki/dns-name.ts';
import { canonicalIpAddress } from '../pki/ip-address.ts';
import { type IpRange, parseIpRange } from '../pki/ip-range.ts';
import { reject, shown } from './codec.ts';
import type { Codec, Problem, SettingPath } from './codec.ts';
import {
  DURATION_PATTERN,
  formatDuration,
  LONG_DURATION_PATTERN,
  parseDurationMs,
  parseLongDurationMs,
} from './duration.ts';

/** No setting waits longer than a year. */
const MAX_DURATION_MS = 8760 * 3_600_000;

interface TextRule {
  readonly pattern: string;
  /** What is expected, for messages: `expected <what>`. */
  readonly what: string;
  readonly maxLength?: number;
}

/** Text of one shape, handed on as it is. */
export function text(rule: TextRule): Codec<string> {
  const pattern = new RegExp(rule.pattern, 'u');
  const maxLength = rule.maxLength ?? 4096;
  return {
    flag: 'text',
    schema: { type: 'string', pattern: rule.pattern, maxLength },
    read(value, path, problems) {
      if (typeof value === 'string' && value.length <= maxLength && pattern.test(value)) return value;
      return reject(problems, path, `expected ${rule.what}, got ${shown(value)}`);
    },
  };
}

/** A codec whose result is made from another one's; `refine` may find problems that a pattern cannot express. */
export function refined<T, U>(
  codec: Codec<T>,
  refine: (value: T, path: SettingPath, problems: Problem[]) => U | undefined,
): Codec<U> {
  return {
    flag: codec.flag,
    schema: codec.schema,
    read(value, path, problems) {
      const read = codec.read(value, path, problems);
      return read === undefined ? undefined : refine(read, path, problems);
    },
  };
}

/** An absolute path, without `.` and `..` parts so that two spellings of one place can be compared. */
export function absolutePath(): Codec<string> {
  const plain = text({
    pattern: '^(?!.*/\\.{1,2}(/|$))/+[^/\\u0000-\\u001f\\u007f][^\\u0000-\\u001f\\u007f]*$',
    what: 'an absolute path without . and .. parts',
  });
  return refined(plain, (path) => normalize(path).replace(/\/$/, ''));
}

/** `true` or `false`. */
export function boolean(): Codec<boolean> {
  return {
    flag: 'boolean',
    schema: { type: 'boolean' },
    read: (value, path, problems) =>
      typeof value === 'boolean' ? value : reject(problems, path, `expected true or false, got ${shown(value)}`),
  };
}

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): Codec<number> {
  return {
    flag: 'number',
    schema: { type: 'integer', minimum: min, maximum: max },
    read(value, path, problems) {
      if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
      return reject(
        problems,
        path,
        `expected a whole number from ${String(min)} to ${String(max)}, got ${shown(value)}`,
      );
    },
  };
}

/** One of these words. */
export function choice<const T extends string>(words: readonly T[]): Codec<T> {
  return {
    flag: 'text',
    schema: { enum: words },
    read(value, path, problems) {
      const word = words.find((known) => known === value);
      return word ?? reject(problems, path, `expected one of ${words.join(', ')}, got ${shown(value)}`);
    },
  };
}

/** A text like `30s`, read as milliseconds. */
export const duration = (minMs: number): Codec<number> =>
  span(minMs, { pattern: DURATION_PATTERN, parse: parseDurationMs, examples: '30s, 5m or 1h30m' });

/** The same of what people count in days: `21d`, too. */
export const longDuration = (minMs: number): Codec<number> =>
  span(minMs, { pattern: LONG_DURATION_PATTERN, parse: parseLongDurationMs, examples: '21d, 12h or 1h30m' });

interface SpanForm {
  readonly pattern: string;
  readonly parse: (text: string) => number | undefined;
  readonly examples: string;
}

function span(minMs: number, { pattern, parse, examples }: SpanForm): Codec<number> {
  return {
    flag: 'text',
    schema: { type: 'string', pattern },
    read(value, path, problems) {
      const ms = typeof value === 'string' ? parse(value) : undefined;
      if (ms === undefined) {
        const example = typeof value === 'number' ? `${String(value)}s` : examples;
        return reject(problems, path, `expected a duration with its unit, such as ${example}, got ${shown(value)}`);
      }
      if (ms < minMs) return reject(problems, path, `is shorter than ${formatDuration(minMs)}`);
      return ms <= MAX_DURATION_MS ? ms : reject(problems, path, `is longer than ${formatDuration(MAX_DURATION_MS)}`);
    },
  };
}

/** A host name, handed on trimmed and in lower case as the kubelet does; may be empty, which means none. */
export function hostName(): Codec<string> {
  const plain = text({
    pattern: '^\\s*([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*)?\\s*$',
    what: 'a DNS name',
    maxLength: MAX_DNS_LENGTH,
  });
  return refined(plain, (name) => name.trim().toLowerCase());
}

/** A range of addresses as a CIDR, or an address alone. */
export function addressRange(): Codec<IpRange> {
  const plain = text({
    pattern: '^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$',
    what: 'a range such as 10.0.0.0/24 or fd00::/64, or an address',
    maxLength: 49,
  });
  return refined(plain, (given, path, problems) => {
    const range = parseIpRange(given);
    if (range !== undefined) return range;
    const [address = '', prefix = ''] = given.split('/');
    const bits = isIP(address) === 6 ? 128 : 32;
    const why =
      isIP(address) === 0 || Number(prefix) > bits
        ? 'expected a range such as 10.0.0.0/24 or fd00::/64, or an address'
        : `has bits behind its prefix of ${prefix}: write the first address of the range, or the address alone`;
    return reject(problems, path, `${why}, got ${shown(given)}`);
  });
}

/** An IPv4 or IPv6 address without zone, in its one text (RFC 5952). */
export function ipAddress(): Codec<string> {
  return checkedAddress({ pattern: '^[0-9A-Fa-f:.]+$', what: 'an IP address', maxLength: 45 });
}

/** The URL of an API server: https, a host with or without port, nothing that belongs elsewhere. Handed on without slashes at its end. */
export function serverUrl(): Codec<string> {
  const plain = text({
    pattern: '^https://[^\\s/?#@]+(/[^\\s?#]*)?$',
    what: 'the URL of an API server, such as https://10.0.0.1:6443',
    maxLength: 2048,
  });
  return refined(plain, (given, path, problems) => {
    const host = readHost(splitUrl(given)?.authority ?? '');
    if ('problem' in host) return reject(problems, path, `${shown(given)} ${host.problem}: ${host.mend}`);
    if (!URL.canParse(given)) return reject(problems, path, `is no URL: ${shown(given)}`);
    return given.replace(/(?<!\/)\/+$/, '');
  });
}

const MAX_PORT = 65_535;

/** Where to listen: an address of this shape with its port; an IPv6 address stands in brackets and is handed on without them. */
export function listenAddress(rule: TextRule): Codec<{ readonly host: string; readonly port: number }> {
  return refined(text(rule), (given, path, problems) => {
    const colon = given.lastIndexOf(':');
    const host = given.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
    const port = Number(given.slice(colon + 1));
    if (port <= MAX_PORT && (host === 'localhost' || isIP(host) !== 0)) return { host, port };
    return reject(problems, path, `is no address with a port from 0 to ${String(MAX_PORT)}`);
  });
}

/** Where a server is met: a name or an address of this shape with its port; an IPv6 address stands in brackets and is handed on without them. */
export function serverAddress(rule: TextRule): Codec<{ readonly host: string; readonly port: number }> {
  return refined(text(rule), (given, path, problems) => {
    const colon = given.lastIndexOf(':');
    const host = given
      .slice(0, colon)
      .replace(/^\[(.*)\]$/, '$1')
      .toLowerCase();
    const port = Number(given.slice(colon + 1));
    if (port >= 1 && port <= MAX_PORT && isNameOrAddress(host)) return { host, port };
    return reject(problems, path, `expected ${rule.what}, got ${shown(given)}`);
  });
}

/** Digits and dots that are no address are a mistyped address, not a name. */
const isNameOrAddress = (text: string): boolean =>
  isIP(text) !== 0 || (DNS_SUBDOMAIN.test(text) && !/^[0-9.]+$/.test(text));

/** A name in lower case, an address in its one text (RFC 5952): what is equal must be equal as text. */
const canonicalText = (given: string): string =>
  isIP(given) === 0 ? given.toLowerCase() : (canonicalIpAddress(given) ?? given);

/** A DNS name or an IP address. */
export function subjectName(): Codec<string> {
  const plain = text({ pattern: '^[0-9A-Za-z:.-]+$', what: 'a DNS name or an IP address', maxLength: MAX_DNS_LENGTH });
  return refined(plain, (name, path, problems) => {
    const lower = canonicalText(name);
    if (isNameOrAddress(lower)) return lower;
    return reject(problems, path, `expected a DNS name or an IP address, got ${shown(name)}`);
  });
}

/**
 * Which names stand in a certificate: `none`, `node` (host name and addresses of the node), or a list of names and addresses, in which `node`
 * stands for those of the node and `{nodeName}` for its name.
 */
export function certificateNames(): Codec<CertificateNames> {
  const what = 'none, node, or a list of DNS names and IP addresses in which node stands for those of the node';
  const name = text({
    pattern: '^[0-9A-Za-z:._{}-]+$',
    what: 'a DNS name or an IP address',
    maxLength: MAX_DNS_LENGTH,
  });
  const listedName = refined(name, (given, path, problems) => {
    // `{nodeName}` is put in lower case with the rest.
    const text = canonicalText(given).replaceAll('{nodename}', NODE_NAME);
    if (isNameOrAddress(withNodeName(text, 'n1'))) return text;
    return reject(problems, path, `expected a DNS name or an IP address, got ${shown(text)}`);
  });
  const schema = { oneOf: [{ enum: ['none', 'node'] }, { type: 'array', items: name.schema }] };
  return {
    flag: 'none',
    schema,
    read(value, path, problems) {
      if (value === 'none') return { ofNode: false, listed: [] };
      if (value === 'node') return { ofNode: true, listed: [] };
      if (!Array.isArray(value)) return reject(problems, path, `expected ${what}, got ${shown(value)}`);
      const read = value.map((entry, index) => listedName.read(entry, [...path, index], problems));
      const given = read.filter((entry) => entry !== undefined);
      return { ofNode: given.includes('node'), listed: given.filter((entry) => entry !== 'node') };
    },
  };
}

function checkedAddress(rule: TextRule): Codec<string> {
  return refined(text(rule), (address, path, problems) =>
    isIP(address) === 0
      ? reject(problems, path, `expected ${rule.what}, got ${shown(address)}`)
      : canonicalText(address),
  );
}
