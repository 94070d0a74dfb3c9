import { bareHost } from '../pki/ip-address.ts';
import type { Field } from './fields.ts';
import { parseProxyUrl, ProxyUrl } from './proxy-url.ts';
import { readHost, splitUrl } from './url-host.ts';

/** True for `localhost`, names below it, 127.0.0.0/8 and ::1; `host` may have the brackets of a URL. */
export function isLoopback(host: string): boolean {
  const bare = bareHost(host).toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost')) return true;
  return bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare);
}

const NO_URL = 'Write it as https://HOST:PORT; an IPv6 address needs brackets: https://[fd00::1]:6443.';

/**
 * `cluster.server` with a scheme and without trailing slash. Without a scheme client-go takes https where the entry
 * has anything of TLS (`tlsEvident`), else plain http. Plain http goes to loopback only: an answer that anybody
 * on the way can write is worth nothing to a node that waits for its certificate.
 */
export function readServer(
  field: Field,
  tlsEvident: boolean,
): { readonly server: string; readonly warnings: readonly string[] } {
  const text = field.text();
  if (text === undefined)
    throw field.invalid('missing', 'Add the URL of the API server, such as https://api.example:6443.');
  if (/[\s\p{Cc}]/u.test(text))
    throw field.invalid('has a blank or control character', 'Write the URL without blanks.');
  const withScheme =
    splitUrl(text) === undefined ? `${tlsEvident ? 'https' : 'http'}://${hostPair(field, text)}` : text;
  const { scheme, host, address } = checkServerUrl(field, withScheme);
  // The lookbehind keeps a long row of slashes from costing the square of its length.
  const server = withScheme.replace(/(?<!\/)\/+$/, '');
  if (scheme === 'https') return { server, warnings: [] };
  if (!isLoopback(host)) {
    throw field.invalid('is plain http to another host', `Write https://${address} and add the cluster's CA.`);
  }
  return {
    server,
    warnings: [`${field.place}: ${field.name} is plain http: nothing protects the connection to ${address}`],
  };
}

/** client-go's rule for a text without scheme: a host with or without port and nothing more. `https:/host` is a mistyped URL. */
function hostPair(field: Field, text: string): string {
  if (/^https?(?:[^a-z0-9.-]*[/\\]|:(?!\d*$))/i.test(text))
    throw field.invalid('is no URL: its scheme is mistyped', NO_URL);
  if (/[/?#\\]./.test(text)) throw field.invalid('is no URL, and more than a host and a port', NO_URL);
  return text;
}

function checkServerUrl(
  field: Field,
  text: string,
): { readonly scheme: string; readonly host: string; readonly address: string } {
  const { scheme, authority, rest } = splitUrl(text) ?? { scheme: '', authority: '', rest: '' };
  if (scheme !== 'https' && scheme !== 'http')
    throw field.invalid(`has the scheme ${scheme}`, 'Write it as https://HOST:PORT.');
  if (authority.includes('@') || /[?#]/.test(rest)) {
    throw field.invalid(
      'has a user, a query or a fragment',
      'Write scheme, host, port and path only; credentials belong into the user entry.',
    );
  }
  const host = readHost(authority);
  if ('problem' in host) throw field.invalid(`is no URL: it ${host.problem}`, `${host.mend} ${NO_URL}`);
  // `https://https://host` is a host of the name https to Go.
  if ((authority.endsWith(':') && rest.startsWith('//')) || /%(?![0-9a-f]{2})/i.test(rest) || !URL.canParse(text))
    throw field.invalid('is no URL', NO_URL);
  return { scheme, host: host.host, address: `${host.host}${host.port === undefined ? '' : `:${String(host.port)}`}` };
}

/** `cluster.proxy-url`: http or https, password allowed. The value never shows in messages. */
export function readProxyUrl(field: Field): ProxyUrl | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const read = parseProxyUrl(text, 'refused');
  if (read instanceof ProxyUrl) return read;
  throw field.invalid(read.problem, read.mend);
}

/** `cluster.tls-server-name`: a DNS name or an address without port. */
export function readTlsServerName(field: Field): string | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  if (!/^[a-z0-9_*-]+(\.[a-z0-9_-]+)*\.?$/i.test(text) && !/^(\[[0-9a-f:.]+\]|[0-9a-f]*:[0-9a-f:.]+)$/i.test(text)) {
    throw field.invalid(
      'is no host name',
      "Write one of the names in the API server's certificate, without scheme and port.",
    );
  }
  return text;
}
