import { domainToASCII } from 'node:url';
import { canonicalIpAddress } from '../pki/ip-address.ts';

/** Host and port of a URL as Go reads them, so that no other address is meant than the one that kubectl and the kubelet connect to. */
export interface UrlHost {
  /** Lower case, ASCII; IPv6 in brackets. */
  readonly host: string;
  /** Undefined: the scheme's own. */
  readonly port: number | undefined;
}

/** What is wrong with a value, and what to write in its place. Quotes nothing that could be secret. */
export interface Fault {
  readonly problem: string;
  readonly mend: string;
}

const BRACKETS = 'Write an IPv6 address in brackets: [fd00::1]:6443.';
const MAX_PORT = 65_535;

/** The parts of `scheme://authority/rest`, the scheme in lower case; undefined for a text of another form. */
export function splitUrl(
  text: string,
): { readonly scheme: string; readonly authority: string; readonly rest: string } | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^]*)$/i.exec(text);
  if (match === null) return undefined;
  const [, scheme = '', authority = '', rest = ''] = match;
  return { scheme: scheme.toLowerCase(), authority, rest };
}

/** The port of a URL of http or https; the scheme's own where it names none. */
export function portOf({ port, protocol }: Pick<URL, 'port' | 'protocol'>): number {
  return port === '' ? defaultPort(protocol.replace(/:$/, '')) : Number(port);
}

/** `host:port` of such a URL, IPv6 in brackets: programs that want an address have other defaults than URLs (openssl s_client: 4433). */
export function hostPort(url: Pick<URL, 'hostname' | 'port' | 'protocol'>): string {
  return `${url.hostname}:${String(portOf(url))}`;
}

/** The port of a scheme, https or http. */
export function defaultPort(scheme: string): number {
  return scheme === 'https' ? 443 : 80;
}

/** Reads `host`, `host:port`, `[v6]` or `[v6]:port`. */
export function readHost(text: string): UrlHost | Fault {
  const match = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d*))?$/.exec(text);
  if (match === null) {
    return text.split(':').length > 2 && !text.startsWith('[')
      ? { problem: 'has an IPv6 address without brackets, or several ports', mend: BRACKETS }
      : { problem: 'has a port that is no number', mend: 'Write HOST:PORT, with a port from 1 to 65535.' };
  }
  const [, given = '', digits = ''] = match;
  const port = digits === '' ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > MAX_PORT))
    return { problem: `has the port ${digits}`, mend: 'Write HOST:PORT, with a port from 1 to 65535.' };
  const host = given.startsWith('[') ? readIpv6(given) : readName(given);
  return typeof host === 'string' ? { host, port } : host;
}

function readIpv6(given: string): string | Fault {
  const address = given.slice(1, -1);
  if (address.includes('%')) {
    return {
      problem: 'has an IPv6 address with a zone',
      mend: 'Write a name, or an address that is not link-local: a zone has a meaning on this host alone.',
    };
  }
  if (!address.includes(':') || canonicalIpAddress(address) === undefined)
    return { problem: 'has no IPv6 address between its brackets', mend: BRACKETS };
  const url = `http://${given}`;
  return URL.canParse(url)
    ? new URL(url).hostname
    : { problem: 'has no IPv6 address between its brackets', mend: BRACKETS };
}

function readName(given: string): string | Fault {
  if (given === '') return { problem: 'has no host', mend: 'Write SCHEME://HOST:PORT.' };
  // domainToASCII reads `127.1` and `0x7f.1` as addresses, so ASCII goes around it.
  const name = isAscii(given) ? given.toLowerCase() : domainToASCII(given);
  if (!/^[a-z0-9._-]+$/.test(name))
    return {
      problem: 'has a host with characters that no name has',
      mend: 'Write a name or an address as the host.',
    };
  const url = URL.canParse(`http://${name}`) ? new URL(`http://${name}`) : undefined;
  return url?.hostname === name ? name : oddNumbers(name);
}

/** Numbers that browsers take for an address, in octal even, and Go does not. */
function oddNumbers(name: string): Fault {
  const parts = name.replace(/\.$/, '').split('.');
  const decimal = parts.length === 4 && parts.every((part) => /^\d{1,10}$/.test(part) && Number(part) <= 255);
  const meant = parts.map(Number).join('.');
  return {
    problem: `has the host ${name}, which some programs read as an address and Kubernetes does not`,
    mend: decimal
      ? `If ${meant} is meant, write that: four decimal numbers without leading zeros.`
      : 'Write an IPv4 address as four decimal numbers from 0 to 255.',
  };
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
