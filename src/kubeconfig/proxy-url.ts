import { bareHost } from '../pki/ip-address.ts';
import { Secret } from '../secret.ts';
import { defaultPort, readHost, splitUrl } from './url-host.ts';
import type { Fault, UrlHost } from './url-host.ts';

/** What Go takes before the host without an escape (net/url `validUserinfo`). */
const USERINFO = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;

const FORM =
  'Write it as http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before HOST where the proxy asks for it.';
const ESCAPES =
  'Write special characters of user and password as escapes: % as %25, / as %2F, ? as %3F, # as %23, @ as %40, a blank as %20.';

interface ProxyParts {
  readonly scheme: 'http' | 'https';
  /** IPv6 in brackets. */
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
  readonly password: string;
}

/** The URL of a proxy. It may hold a password and prints as `[secret]` wherever a `Secret` does; `address` is for messages. */
export class ProxyUrl extends Secret {
  readonly #parts: ProxyParts;

  constructor(text: string, parts: ProxyParts) {
    super(text);
    this.#parts = parts;
  }

  get scheme(): 'http' | 'https' {
    return this.#parts.scheme;
  }

  /** Without brackets. */
  get host(): string {
    return bareHost(this.#parts.host);
  }

  get port(): number {
    return this.#parts.port;
  }

  /** `host:port` for people, without user and password. */
  get address(): string {
    return `${this.#parts.host}:${String(this.#parts.port)}`;
  }

  /** Where to connect to, without user, password and path: Go looks at no path either. */
  get origin(): string {
    return `${this.#parts.scheme}://${this.address}`;
  }

  /** Value of `proxy-authorization`, undefined where the URL has no user. */
  get authorization(): Secret | undefined {
    const { user, password } = this.#parts;
    if (user === undefined) return undefined;
    return new Secret(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
  }

  /** The same with every special character escaped, for programs that read URLs by other rules. */
  get normal(): Secret {
    const { user, password } = this.#parts;
    const before = user === undefined ? '' : `${encodeURIComponent(user)}:${encodeURIComponent(password)}@`;
    return new Secret(`${this.#parts.scheme}://${before}${this.address}`);
  }
}

/**
 * Reads the URL of a proxy, as Go does (net/url and client-go): path, query and fragment are not looked at. A fault quotes nothing of what may
 * be a password. `raw: 'taken'` is for variables of the environment, where Go drops a proxy that it cannot read in silence: there a `%` that
 * begins no escape stands for itself, and a text without scheme is an http proxy. In a kubeconfig kubectl and the kubelet refuse both.
 */
export function parseProxyUrl(text: string, raw: 'taken' | 'refused'): ProxyUrl | Fault {
  const whole = splitUrl(text) === undefined && raw === 'taken' ? `http://${text}` : text;
  const split = splitUrl(whole);
  if (split === undefined) return { problem: 'is no URL', mend: FORM };
  const scheme = readScheme(split.scheme);
  if (typeof scheme !== 'string') return scheme;
  const parts = readAuthority(split.authority, split.rest, raw);
  if ('problem' in parts) return parts;
  return new ProxyUrl(whole, { ...parts, scheme, port: parts.port ?? defaultPort(scheme) });
}

function readScheme(scheme: string): ProxyParts['scheme'] | Fault {
  if (scheme === 'http' || scheme === 'https') return scheme;
  return scheme.startsWith('socks')
    ? {
        problem: 'SOCKS proxies are not supported',
        mend: 'Use an HTTP proxy that allows CONNECT, or a direct route to the API server.',
      }
    : { problem: 'is no http or https URL', mend: FORM };
}

function readAuthority(
  authority: string,
  rest: string,
  raw: 'taken' | 'refused',
): (UrlHost & Pick<ProxyParts, 'user' | 'password'>) | Fault {
  const at = authority.lastIndexOf('@');
  // A slash in a password ends the authority early: what is read as host and port is the user and the password's beginning then.
  if (at < 0 && rest.includes('@'))
    return { problem: 'has a character before its @ that ends the host', mend: `${ESCAPES} ${FORM}` };
  const host = readHost(authority.slice(at + 1));
  if ('problem' in host) return { problem: host.problem, mend: FORM };
  const access = at < 0 ? { user: undefined, password: '' } : readUser(authority.slice(0, at), raw);
  return 'problem' in access ? access : { ...host, ...access };
}

function readUser(
  text: string,
  raw: 'taken' | 'refused',
): { readonly user: string | undefined; readonly password: string } | Fault {
  const colon = text.indexOf(':');
  const parts = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)];
  const [user, password] = parts.map((part) => unescaped(part, raw));
  if (user === undefined || password === undefined || (raw === 'refused' && !USERINFO.test(text)))
    return {
      problem: 'has a user or password with a character that needs an escape, or a % that begins none',
      mend: ESCAPES,
    };
  return { user, password };
}

/** Undefined where an escape is none, or is no UTF-8. */
function unescaped(text: string, raw: 'taken' | 'refused'): string | undefined {
  const escapes = raw === 'taken' ? text.replaceAll(/%(?![0-9a-f]{2})/gi, '%25') : text;
  try {
    return decodeURIComponent(escapes);
  } catch {
    return raw === 'taken' ? text : undefined;
  }
}
