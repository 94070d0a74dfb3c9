import { type CommandText, type Remedy, shellWord } from '../../remedy.ts';
import { CertletError, defectIn, type ErrorReason, isDefect } from '../../errors.ts';
import type { Asked } from './api-errors.ts';
import { blameOf, DATE_CODES, signerHint } from './peer-blame.ts';
import { hostPort, portOf } from '../../kubeconfig/url-host.ts';
import { bareHost } from '../../pki/ip-address.ts';
import { isAboutProxyTls, proxyTlsProblem } from './proxy-tls.ts';
import { plainText } from './response-headers.ts';
import { NO_NAMES, NO_NAMES_REMEDY, OTHER_NAMES } from './server-identity.ts';
import { KUBECONFIG, type TrustWords } from './trust-words.ts';

/** What was being connected to when an error came. */
export interface ConnectionFacts extends Asked {
  /** `host:port` of the proxy in use. */
  readonly proxy: string | undefined;
  /** Default: those of a kubeconfig with a CA. */
  readonly words?: TrustWords;
}

/** What is no `ERR_API_TLS` of a proxy's certificate. */
const PROXY_TLS_CODES: Readonly<Record<string, 'ERR_API_TLS_DATES' | 'ERR_API_TLS_NO_NAMES'>> = {
  CERT_HAS_EXPIRED: 'ERR_API_TLS_DATES',
  CERT_NOT_YET_VALID: 'ERR_API_TLS_DATES',
  [NO_NAMES]: 'ERR_API_TLS_NO_NAMES',
};
/** Ours for names, and OpenSSL's X509_V_ERR_ names as Node gives them. Weak keys and digests come as UNSPECIFIED with a text. */
const VERIFY_CODE =
  /^(CERTLET_CERTIFICATE_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|CERT_|CRL_|ERROR_IN_CERT_|INVALID_(CA|PURPOSE|NON_CA)|PATH_LENGTH_|HOSTNAME_MISMATCH|UNSPECIFIED$|UNHANDLED_|ERR_TLS_CERT_)/;
/** Alerts by which a server (or a TLS-ending balancer) refuses the certificate that we sent (RFC 8446 6.2). */
const OUR_CERTIFICATE_ALERT =
  /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN|REQUIRED)|UNKNOWN_CA|ACCESS_DENIED)|CERTIFICATE_REQUIRED/;
/** A handshake that failed otherwise. */
const NO_TLS_CODE = /^(ERR_SSL_|ERR_TLS_|EPROTO$)/;
/** What `tls.createSecureContext` says about our own certificate and key. */
const OUR_PAIR_CODE =
  /^ERR_OSSL_|^ERR_SSL_(EE_KEY_TOO_SMALL|CA_KEY_TOO_SMALL|CA_MD_TOO_WEAK|KEY_VALUES_MISMATCH|NO_CERTIFICATE)/;

/** A failure below HTTP as `CertletError`; what is one already stays as it is, a defect is told as one. Nothing of the credential is quoted. */
export function networkError(error: unknown, facts: ConnectionFacts): CertletError {
  if (error instanceof CertletError) return error;
  return isDefect(error) ? defectIn(placeOf(facts), error) : connectionError(error, facts);
}

function connectionError(error: unknown, facts: ConnectionFacts): CertletError {
  const fault = firstFault(error);
  const { code, message } = fault;
  const byProxy = proxyError(error, facts);
  if (byProxy !== undefined) return byProxy;
  if (OUR_CERTIFICATE_ALERT.test(code)) return ourCertificateRefused(code, facts, error);
  if (OUR_PAIR_CODE.test(code)) return ourPairUnusable(message, facts, error);
  return (
    peerRefused(fault, facts, error) ??
    (NO_TLS_CODE.test(code) ? noTls(code, facts, error) : unreachable(code, message, facts, error))
  );
}

function wordsOf({ words }: ConnectionFacts): TrustWords {
  return words ?? KUBECONFIG;
}

/** What a proxy is to blame for: its certificate, or that it makes no connection. Undefined for everything else. */
function proxyError(error: unknown, facts: ConnectionFacts): CertletError | undefined {
  const fault = firstFault(error);
  const { code, message } = fault;
  if (isAboutProxyTls(error)) {
    const { problem, ...more } = proxyTlsProblem(fault, facts.proxy ?? '', error, wordsOf(facts));
    return failure(PROXY_TLS_CODES[code] ?? 'ERR_API_TLS', problem, { ...more, facts, cause: error });
  }
  return code.startsWith('UND_ERR_ABORTED') || message.startsWith('Proxy response (')
    ? proxyRefusal(message, facts, error)
    : undefined;
}

/** What the peer's certificate is refused for; undefined where it is not about that. */
function peerRefused({ code, message }: Fault, facts: ConnectionFacts, error: unknown): CertletError | undefined {
  const blame = blameOf(error, lookAt(facts), wordsOf(facts));
  if (blame !== undefined) {
    const { remedy, reason } = blame;
    return failure(blame.code, blame.problem, { facts, remedy, reason, cause: error });
  }
  if (DATE_CODES.includes(code)) return wrongDates(code, facts, error);
  return VERIFY_CODE.test(code) ? untrusted(code, message, facts, error) : undefined;
}

interface Fault {
  readonly code: string;
  readonly message: string;
}

/** undici and Happy Eyeballs wrap what happened: the innermost error with a code tells. */
function firstFault(error: unknown): Fault {
  let found: Fault = { code: '', message: error instanceof Error ? error.message : String(error) };
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    const code = 'code' in current && typeof current.code === 'string' ? current.code : '';
    if (code !== '' && (!code.startsWith('UND_ERR_') || found.code === '')) found = { code, message: current.message };
    else if (found.code === '' && current.name === 'TimeoutError')
      found = { code: 'TimeoutError', message: current.message };
    current = current instanceof AggregateError ? current.errors[0] : current.cause;
  }
  return found;
}

function proxyRefusal(message: string, facts: ConnectionFacts, cause: unknown): CertletError {
  const status = /\((\d{3})\)/.exec(message)?.[1] ?? '';
  const remedy: Remedy =
    status === '407'
      ? `# Check user and password in ${wordsOf(facts).proxySetting}; they stand before its host as USER:PASSWORD@.`
      : `# Make the proxy allow CONNECT to ${hostPort(new URL(facts.server))}, or except that host with NO_PROXY.`;
  return failure(
    'ERR_API_UNREACHABLE',
    `the proxy ${facts.proxy ?? ''} refuses the connection${status === '' ? '' : ` (${status})`}`,
    { facts, remedy, cause },
  );
}

function ourCertificateRefused(code: string, facts: ConnectionFacts, cause: unknown): CertletError {
  const alert = code
    .replace(/^.*ALERT_/, '')
    .replaceAll('_', ' ')
    .toLowerCase();
  const { kind, label } = facts.identity;
  if (kind === 'none') {
    return failure('ERR_API_UNAUTHORIZED', `the server demands a client certificate, and there is none (${alert})`, {
      facts,
      remedy: '# Let the server, or the load balancer before it, make do without one: a node that joins has none yet.',
      cause,
    });
  }
  const ours = kind === 'certificate' || kind === 'exec';
  return failure(
    'ERR_API_UNAUTHORIZED',
    ours
      ? `the server ends the TLS handshake over the ${label} (${alert})`
      : `the server demands a client certificate, and only the ${label} is there (${alert})`,
    {
      facts,
      remedy:
        '# Compare the CA that signs client certificates with the client CA of the API server or of the load balancer before it.',
      cause,
    },
  );
}

function ourPairUnusable(message: string, facts: ConnectionFacts, cause: unknown): CertletError {
  return failure(
    'ERR_CREDENTIAL_INVALID',
    `the ${facts.identity.label} or the CA cannot be loaded (${reasonOf(message)})`,
    {
      facts,
      remedy: '# Replace certificate and key; OpenSSL wants RSA keys of at least 2048 bits.',
      cause,
    },
  );
}

function wrongDates(code: string, facts: ConnectionFacts, cause: unknown): CertletError {
  const state = code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not yet valid';
  return failure('ERR_API_TLS_DATES', `a certificate of the server ${state} by this node's clock`, {
    facts,
    remedy: `date -u; ${lookAt(facts)} | openssl x509 -noout -dates   # compares the clock with the certificate`,
    cause,
  });
}

function nameless(message: string, facts: ConnectionFacts, cause: unknown): CertletError {
  return failure('ERR_API_TLS_NO_NAMES', `the server's ${message}`, { facts, remedy: NO_NAMES_REMEDY, cause });
}

function untrusted(code: string, message: string, facts: ConnectionFacts, cause: unknown): CertletError {
  if (code === NO_NAMES) return nameless(message, facts, cause);
  if (code === OTHER_NAMES) {
    return failure('ERR_API_TLS', `the server's certificate is for another name: ${plainText(message, 500)}`, {
      facts,
      remedy: wordsOf(facts).otherNames,
      reason: 'other name',
      cause,
    });
  }
  if (/too weak|too small/.test(message)) {
    return failure('ERR_API_TLS', `OpenSSL refuses a certificate of the server: ${plainText(message, 200)}`, {
      facts,
      remedy:
        '# Give the cluster a CA and API server certificates with RSA keys of 2048 bits or more, or ECDSA P-256, signed with SHA-256.',
      cause,
    });
  }
  const { problem, mend } = wordsOf(facts).unsigned;
  const why = `${plainText(withoutHint(message), 200)}${signerHint(cause, wordsOf(facts))}`;
  return failure('ERR_API_TLS', `the server's certificate ${problem} (${why})`, {
    facts,
    remedy: `${lookAt(facts)} | openssl x509 -noout -subject -issuer   # who signed it; ${mend}`,
    reason: 'not signed',
    cause,
  });
}

function noTls(code: string, facts: ConnectionFacts, cause: unknown): CertletError {
  if (code.includes('NO_APPLICATION_PROTOCOL')) {
    return failure('ERR_API_TLS', 'what answers there speaks no HTTP/1.1 (ALPN), only HTTP/2 perhaps', {
      facts,
      remedy:
        '# Let the load balancer offer http/1.1 beside h2, or pass TLS through to the API server, which has both.',
      cause,
    });
  }
  const plain = /WRONG_VERSION_NUMBER|HTTP_REQUEST|PACKET_LENGTH_TOO_LONG/.test(code);
  return failure(
    'ERR_API_TLS',
    plain ? 'what answers there does not speak TLS' : `the TLS handshake failed (${code})`,
    {
      facts,
      remedy: `${lookAt(facts)}   # shows what answers; check ${wordsOf(facts).address}`,
      cause,
    },
  );
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name does not resolve',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  UND_ERR_SOCKET: 'the connection was closed before the answer was complete',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped coming: the link is dead',
  TimeoutError: 'no whole answer in time',
};

const RESOLVE = ['ENOTFOUND', 'EAI_AGAIN'];
/** These come after a TCP connection, too; undici's time to connect covers the TLS handshake. */
const CONNECTED = [
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'TimeoutError',
];

/** A refusal comes from a host that was reached, or from a firewall that says so. Of a connection that goes to a proxy, that is who is looked for. */
function whereToLook(code: string, proxy: string | undefined): string {
  const [who, way] = proxy === undefined ? ['server', 'route, firewall and proxy'] : ['proxy', 'route and firewall'];
  if (code === 'ECONNREFUSED') return `whether the ${who} runs there; then ${way}`;
  if (!CONNECTED.includes(code)) return way;
  const beyond = proxy === undefined ? 'or a load balancer before it' : 'or what is behind it';
  return `${way}; if it connects: the ${who} itself, ${beyond}`;
}

function unreachable(code: string, message: string, facts: ConnectionFacts, cause: unknown): CertletError {
  const url = new URL(facts.server);
  // Through a proxy nothing of ours goes to the server itself.
  const [host = '', port = ''] = facts.proxy?.split(/:(?=\d+$)/) ?? [url.hostname, String(portOf(url))];
  const reason = REASONS[code] ?? (code === '' ? plainText(message, 200) : plainText(`${code}: ${message}`, 200));
  const shown = code === '' || REASONS[code] === undefined ? reason : `${reason} (${code})`;
  const remedy: Remedy = RESOLVE.includes(code)
    ? `getent hosts ${shellWord(host)}   # name resolution`
    : `nc -vz ${shellWord(bareHost(host))} ${port}   # ${whereToLook(code, facts.proxy)}`;
  return failure('ERR_API_UNREACHABLE', shown, { facts, remedy, cause });
}

function failure(
  code:
    | 'ERR_API_UNREACHABLE'
    | 'ERR_API_TLS'
    | 'ERR_API_TLS_DATES'
    | 'ERR_API_TLS_NO_NAMES'
    | 'ERR_API_UNAUTHORIZED'
    | 'ERR_CREDENTIAL_INVALID',
  problem: string,
  about: {
    readonly facts: ConnectionFacts;
    readonly remedy: Remedy;
    readonly reason?: ErrorReason | undefined;
    readonly cause: unknown;
  },
): CertletError {
  const { facts, ...details } = about;
  return new CertletError(code, `${placeOf(facts)}: ${problem}`, details);
}

/** `GET /path at https://server through the proxy host:port`: how every message about a request begins. */
export function placeOf({ server, what, proxy }: ConnectionFacts): string {
  return `${what} at ${server}${proxy === undefined ? '' : ` through the proxy ${proxy}`}`;
}

function lookAt(facts: ConnectionFacts): CommandText {
  return `openssl s_client -connect ${hostPort(new URL(facts.server))} </dev/null`;
}

/** `error:0A00018F:SSL routines::ee key too small` → the words at its end. */
function reasonOf(message: string): string {
  return plainText(message.split(':').at(-1) ?? message, 200);
}

/** Node adds advice for its own command line, which is none for the reader of a kubeconfig. */
function withoutHint(message: string): string {
  return message.split('; if the root CA', 1)[0] ?? message;
}
