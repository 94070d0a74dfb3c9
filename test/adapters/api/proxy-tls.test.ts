/** Failures of TLS with an https proxy: told from those of sockets and of the server behind it, each with its problem and remedy. */
import t from 'tap';
import { aboutProxy, isAboutProxyTls, proxyTlsProblem } from '../../../src/adapters/api/proxy-tls.ts';
import { NO_NAMES, OTHER_NAMES } from '../../../src/adapters/api/server-identity.ts';
import { KUBECONFIG } from '../../../src/adapters/api/trust-words.ts';

const coded = (code: unknown, more: object = {}): Error => Object.assign(new Error('m'), { code, ...more });

for (const [name, error, is] of [
  ['an expired certificate', coded('CERT_HAS_EXPIRED'), true],
  ['an alert of OpenSSL’s', coded('ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE'), true],
  ['no TLS at all', coded('EPROTO', { syscall: 'write' }), true],
  ['a refused connection', coded('ECONNREFUSED', { syscall: 'connect' }), false],
  ['a name that is unknown', coded('ENOTFOUND', { syscall: 'getaddrinfo' }), false],
  ['a time that has run out', coded('UND_ERR_CONNECT_TIMEOUT'), false],
  ['an error without a code', new Error('m'), false],
  ['a code that is no text', coded(7), false],
  ['an empty code', coded(''), false],
  ['a text', 'CERT_HAS_EXPIRED', false],
  ['nothing', undefined, false],
] as const) {
  t.test(`${name} is ${is ? '' : 'not '}about the proxy’s TLS`, async (t) => {
    const told = aboutProxy(error);
    t.equal(isAboutProxyTls(told), is);
    t.equal(isAboutProxyTls(new Error('fetch failed', { cause: told })), is, 'also where it was wrapped');
    t.equal(isAboutProxyTls(error), false, 'the same of a server');
    if (is) t.match(told, { message: 'm', cause: error });
    else t.equal(told, error, 'goes on as it is');
  });
}

t.test('errors that hold themselves end', async (t) => {
  const round = new Error('round');
  round.cause = round;
  t.equal(isAboutProxyTls(round), false);
});

const PROXY = 'proxy.example:3128';
const LOOK = `openssl s_client -connect ${PROXY} </dev/null`;
const WHOSE = `the certificate of the proxy ${PROXY}`;

for (const row of [
  {
    code: 'CERT_HAS_EXPIRED',
    problem: `${WHOSE} has expired by this node's clock`,
    remedy: `date -u; ${LOOK} | openssl x509 -noout -dates   # compares the clock with the certificate`,
  },
  {
    code: 'CERT_NOT_YET_VALID',
    problem: `${WHOSE} is not yet valid by this node's clock`,
    remedy: `date -u; ${LOOK} | openssl x509 -noout -dates   # compares the clock with the certificate`,
  },
  {
    code: OTHER_NAMES,
    message: 'a is not among b\u001b[31m',
    problem: new RegExp(`^${WHOSE} is for another name: a is not among b[^\u001b]*$`),
    remedy: 'Name the proxy as its certificate does.',
    reason: 'other name',
  },
  {
    code: NO_NAMES,
    message: 'it has no names',
    problem: `${WHOSE}: it has no names`,
    remedy: 'Give the proxy a certificate with subject alternative names.',
  },
  {
    code: 'EPROTO',
    problem: `the TLS handshake with the proxy ${PROXY} failed (EPROTO)`,
    remedy: `${LOOK}   # shows what answers; check scheme, host and port of the proxy`,
  },
  {
    code: 'ERR_SSL_WRONG_VERSION_NUMBER',
    problem: `the TLS handshake with the proxy ${PROXY} failed (ERR_SSL_WRONG_VERSION_NUMBER)`,
    remedy: `${LOOK}   # shows what answers; check scheme, host and port of the proxy`,
  },
  {
    code: 'SELF_SIGNED_CERT_IN_CHAIN',
    problem: `${WHOSE} ${KUBECONFIG.unsignedProxy} (SELF_SIGNED_CERT_IN_CHAIN)`,
    remedy: `${LOOK} | openssl x509 -noout -subject -issuer   # who signed it; add the CA of the proxy to those that this host trusts`,
  },
  { code: 'EPROTOX', problem: `${WHOSE} ${KUBECONFIG.unsignedProxy} (EPROTOX)`, remedy: /add the CA of the proxy/ },
]) {
  const { code, message = 'm', problem, remedy, reason } = row;
  t.test(`what is said of a proxy’s TLS that fails with ${code}`, async (t) => {
    const told = proxyTlsProblem({ code, message }, PROXY, new Error('m'), KUBECONFIG);
    t.match(told, { problem, remedy });
    t.equal(told.reason, reason);
  });
}
