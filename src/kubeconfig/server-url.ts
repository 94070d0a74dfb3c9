import { Secret } from '../secret.ts';
import type { Field } from './fields.ts';

/** True for `localhost`, names below it, 127.0.0.0/8 and ::1; `host` may have the brackets of a URL. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost')) return true;
  return bare === '::1' || /^127(\.\d{1,3}){3}$/.test(bare);
}

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
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `${tlsEvident ? 'https' : 'http'}://${text}`;
  const url = checkServerUrl(field, withScheme);
  // The lookbehind keeps a long row of slashes from costing the square of its length.
  const server = withScheme.replace(/(?<!\/)\/+$/, '');
  if (url.protocol === 'https:') return { server, warnings: [] };
  if (!isLoopback(url.hostname)) {
    throw field.invalid('is plain http to another host', `Write https://${url.host} and add the cluster's CA.`);
  }
  return {
    server,
    warnings: [`${field.place}: ${field.name} is plain http: nothing protects the connection to ${url.host}`],
  };
}

function checkServerUrl(field: Field, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '') {
    throw field.invalid(
      'is no URL',
      'Write it as https://HOST:PORT; an IPv6 address needs brackets: https://[fd00::1]:6443.',
    );
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw field.invalid(`has the scheme ${url.protocol.slice(0, -1)}`, 'Write it as https://HOST:PORT.');
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw field.invalid(
      'has a user, a query or a fragment',
      'Write scheme, host, port and path only; credentials belong into the user entry.',
    );
  }
  return url;
}

/** `cluster.proxy-url`: http or https, password allowed. The value never shows in messages. */
export function readProxyUrl(field: Field): Secret | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const remedy =
    'Write it as http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before HOST where the proxy asks for it.';
  if (url === undefined) throw field.invalid('is no URL', remedy);
  if (url.protocol === 'socks5:' || url.protocol === 'socks5h:') {
    throw field.invalid(
      'SOCKS proxies are not supported',
      'Use an HTTP proxy that allows CONNECT, or a direct route to the API server.',
    );
  }
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '')
    throw field.invalid('is no http or https URL', remedy);
  return new Secret(text);
}

/** `cluster.tls-server-name`: a DNS name or an address without port. */
export function readTlsServerName(field: Field): string | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  if (!/^[a-z0-9_*-]+(\.[a-z0-9_-]+)*\.?$/i.test(text) && !/^[0-9a-f]*:[0-9a-f:.]+$/i.test(text)) {
    throw field.invalid(
      'is no host name',
      "Write one of the names in the API server's certificate, without scheme and port.",
    );
  }
  return text;
}
