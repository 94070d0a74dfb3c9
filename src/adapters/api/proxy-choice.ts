import { byHand } from '../../remedy.ts';
import { BlockList, isIP } from 'node:net';
import { CertletError } from '../../errors.ts';
import { parseProxyUrl, ProxyUrl } from '../../kubeconfig/proxy-url.ts';
import { portOf } from '../../kubeconfig/url-host.ts';
import { bareHost, canonicalIpAddress } from '../../pki/ip-address.ts';

/** `process.env`, or what a test gives instead. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for a server, undefined for a direct connection. `proxyUrl` of the kubeconfig wins over everything, as in client-go;
 * else the environment decides by Go's rules (golang.org/x/net/http/httpproxy): HTTPS_PROXY or HTTP_PROXY by the server's scheme,
 * upper case before lower case, no proxy for localhost and loopback addresses, exceptions in NO_PROXY.
 * Throws `ERR_API_UNREACHABLE` for a proxy that certlet cannot speak to.
 */
export function chooseProxy(
  server: URL,
  proxyUrl: ProxyUrl | undefined,
  environment: Environment,
): ProxyUrl | undefined {
  if (proxyUrl !== undefined) return proxyUrl;
  const name = server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const text = variable(environment, name);
  if (text === undefined) return undefined;
  const host = bareHost(server.hostname);
  if (!usesProxy(host, String(portOf(server)), variable(environment, 'NO_PROXY') ?? '')) return undefined;
  return parseProxy(name, text);
}

/** Go's `useProxy`: whether NO_PROXY leaves this host to the proxy. `host` has no brackets. */
export function usesProxy(host: string, port: string, noProxy: string): boolean {
  const name = host.trim().toLowerCase();
  if (name === 'localhost' || (isIP(name) !== 0 && LOOPBACK.check(name, familyOf(name)))) return false;
  const entries = noProxy.split(',').map((entry) => entry.trim().toLowerCase());
  if (entries.includes('*')) return false;
  return !entries.some((entry) => entry !== '' && matches(entry, name, port));
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function matches(entry: string, host: string, port: string): boolean {
  const network = parseNetwork(entry);
  if (network !== undefined) return isIP(host) !== 0 && network.check(host, familyOf(host));
  const { host: entryHost, port: entryPort } = splitHostPort(entry);
  if (entryHost === '' || (entryPort !== '' && entryPort !== port)) return false;
  if (isIP(entryHost) !== 0) return isIP(host) !== 0 && sameAddress(entryHost, host);
  const domain = entryHost.startsWith('*.') ? entryHost.slice(1) : entryHost;
  // A leading dot means "only below"; without one the name itself matches too.
  return domain.startsWith('.') ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

/** A CIDR entry such as 10.0.0.0/8; host bits may be set. */
function parseNetwork(entry: string): BlockList | undefined {
  const [address = '', bits = '', ...rest] = entry.split('/');
  if (rest.length > 0 || isIP(address) === 0 || !/^\d{1,3}$/.test(bits)) return undefined;
  if (Number(bits) > (isIP(address) === 4 ? 32 : 128)) return undefined;
  const list = new BlockList();
  list.addSubnet(address, Number(bits), familyOf(address));
  return list;
}

/** IPv4 in IPv6 dress (`::ffff:10.0.0.1`) is the same address, as in Go. */
function sameAddress(one: string, other: string): boolean {
  return canonicalIpAddress(one) === canonicalIpAddress(other);
}

/** `host`, `host:port`, `[v6]:port`, `[v6]` or a bare IPv6 address. */
function splitHostPort(entry: string): { readonly host: string; readonly port: string } {
  if (isIP(entry) !== 0) return { host: entry, port: '' };
  const match = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry);
  return { host: bareHost(match?.[1] ?? entry), port: match?.[2] ?? '' };
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6';
}

function variable(environment: Environment, name: string): string | undefined {
  const text = environment[name] ?? '';
  const value = text === '' ? (environment[name.toLowerCase()] ?? '') : text;
  return value === '' ? undefined : value;
}

/** The value may hold a password and is not shown. */
function parseProxy(name: string, text: string): ProxyUrl {
  const read = parseProxyUrl(text, 'taken');
  if (read instanceof ProxyUrl) return read;
  throw new CertletError('ERR_API_UNREACHABLE', `the proxy named by ${name} cannot be used: ${read.problem}`, {
    remedy: byHand(`Set ${name} to http://HOST:PORT, or except the API server with NO_PROXY. ${read.mend}`),
  });
}
