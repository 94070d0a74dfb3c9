import { createPrivateKey } from 'node:crypto';
import t from 'tap';
import { CertletError } from '../../src/errors.ts';
import { clientConfig } from '../../src/kubeconfig/client-config.ts';
import type { ClientConfig } from '../../src/kubeconfig/client-config.ts';
import { parseKubeconfig } from '../../src/kubeconfig/codec.ts';
import { decodeKubeconfig } from '../../src/kubeconfig/text.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

// What a real kubectl 1.32 takes and refuses, class by class.
const authority = createAuthority({ name: 'kubernetes' });
const other = createAuthority({ name: 'other' });
const pair = authority.issue({ commonName: 'system:node:n1' });
const second = other.issue({ commonName: 'system:node:n2' });
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const pkcs8 = (pem: string): string => createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem' }).toString();

function textOf(cluster: string, user: string, name = 'c'): string {
  return `kind: Config
clusters:
- name: ${name}
  cluster:
    server: https://api:6443
    ${cluster}
users:
- name: u
  user: {${user}}
contexts:
- name: x
  context: {cluster: ${name}, user: u}
current-context: x
`;
}

const read = (bytes: Uint8Array | string): ClientConfig =>
  clientConfig(parseKubeconfig(decodeKubeconfig(Buffer.from(bytes), '/f'), '/f'), new Map());

function errorOf(bytes: Uint8Array | string): CertletError {
  try {
    read(bytes);
  } catch (error) {
    if (error instanceof CertletError) return error;
    throw error;
  }
  throw new Error('accepted');
}

const plain = textOf('', 'token: t');
const utf16 = Buffer.from(`\uFEFF${plain}`, 'utf16le');
for (const [name, bytes] of [
  ['UTF-8 with a byte order mark', Buffer.from(`\uFEFF${plain}`)],
  ['UTF-16, little end first, with a byte order mark', utf16],
  ['UTF-16, big end first, with a byte order mark', Buffer.from(utf16).swap16()],
  ['lines that end as on Windows', Buffer.from(plain.replaceAll('\n', '\r\n'))],
  ['lines that end as on old Macs', Buffer.from(plain.replaceAll('\n', '\r'))],
] as const) {
  t.test(`text: ${name} is read`, async (t) => t.equal(read(bytes).cluster.server, 'https://api:6443'));
}
for (const [name, bytes, words] of [
  ['UTF-16 without a mark', Buffer.from(plain, 'utf16le'), /./],
  ['UTF-16 cut in half a character', utf16.subarray(0, -1), /is no UTF-8 text/],
  ['Latin 1', Buffer.concat([Buffer.from(`${plain}# `), Buffer.from([0xe9, 0x0a])]), /is no UTF-8 text/],
] as const) {
  t.test(`text: ${name} is refused`, async (t) => {
    const error = errorOf(bytes);
    t.match(error, { code: 'ERR_KUBECONFIG_INVALID', message: words });
    t.ok(error.remedy);
  });
}

for (const word of ['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'True', 'TRUE'])
  t.test(`insecure-skip-tls-verify: ${word} is true, as in YAML 1.1`, async (t) =>
    t.equal(read(textOf(`insecure-skip-tls-verify: ${word}`, '')).cluster.insecureSkipTlsVerify, true),
  );
for (const word of ['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false', '~'])
  t.test(`insecure-skip-tls-verify: ${word} is false`, async (t) =>
    t.equal(read(textOf(`insecure-skip-tls-verify: ${word}`, '')).cluster.insecureSkipTlsVerify, false),
  );
for (const word of ['y', 'on', 'no', 'true', '123', '1_000', '0x1f', '0b11', '0o17', '017', '+1', '1e3', '1.5']) {
  t.test(`${word} as a token or a name is no text without quotes`, async (t) => {
    const remedy = /in quotes/;
    t.match(errorOf(textOf('', `token: ${word}`)), { message: /users\[0\]\.user\.token: expected text/, remedy });
    t.match(errorOf(textOf('', '', word)), { message: /name: expected text|cluster: expected text/, remedy });
    t.match(read(textOf('', `token: "${word}"`, `"${word}"`)), { credential: { kind: 'token' } });
  });
}
for (const word of ['12:30', '2001-01-01', 'a/b', '\u00e9', '=', 'yess', 'o_n'])
  t.test(`${word} as a name is text`, async (t) => t.match(read(textOf('', 'token: t', word)), { warnings: [] }));

for (const field of [
  'as: ""',
  'as-uid: ""',
  'as-groups: []',
  'as-user-extra: {}',
  'username: ""',
  'token: ""',
  'exec: null',
  'client-key: ""',
])
  t.test(`${field} is absent`, async (t) => t.match(read(textOf('', field)), { credential: { kind: 'none' } }));
for (const field of [
  'certificate-authority: ""',
  'certificate-authority-data: ""',
  'proxy-url: ""',
  'tls-server-name: ""',
])
  t.test(`${field} is absent`, async (t) =>
    t.match(read(textOf(field, '')), { cluster: { server: 'https://api:6443' } }),
  );

const ca = authority.pem;
const withHeader = (pem: string): string => pem.replace('-----\n', '-----\nA: b\n\n');
for (const [name, pem, expected] of [
  ['lines that end as on Windows', ca.replaceAll('\n', '\r\n'), 1],
  ['text before it', `subject=x\n${ca}`, 1],
  ['a broken one before it', `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${ca}`, 1],
  ['one cut off before it', `${ca.slice(0, 200)}\n${other.pem}`, 1],
  ['two glued together before it', `${ca.trim()}${ca}${other.pem}`, 1],
  ['one with headers before it', `${withHeader(ca)}${other.pem}`, 1],
  ['no line break at its end', ca.trim(), 1],
  ['a duplicate', ca + ca, 2],
  ['a byte order mark', `\uFEFF${ca}`, /fill a line of its own/],
  ['two glued together', `${ca.trim()}${ca}`, /no certificate in it/],
  ['text on its line', `subject=x ${ca}`, /fill a line of its own/],
  ['blanks before its lines', ca.replaceAll(/^/gm, '  '), /fill a line of its own/],
  [
    'the label TRUSTED CERTIFICATE',
    ca.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'),
    /labelled TRUSTED CERTIFICATE/,
  ],
  ['headers', withHeader(ca), /no certificate in it/],
  ['UTF-16', Buffer.from(ca, 'utf16le').toString('latin1'), /UTF-16/],
] as const) {
  t.test(`a CA with ${name}`, async (t) => {
    const text = textOf(`certificate-authority-data: ${base64(pem)}`, 'token: t');
    if (typeof expected === 'number') t.equal(read(text).cluster.caPem?.match(/BEGIN/g)?.length, expected);
    else t.match(errorOf(text), { code: 'ERR_KUBECONFIG_INVALID', message: expected, remedy: /./ });
  });
}
t.test('base64 with a blank in it is none, with line breaks it is', async (t) => {
  const data = base64(ca);
  t.match(errorOf(textOf(`certificate-authority-data: "${data.slice(0, 40)} ${data.slice(40)}"`, '')), {
    message: /no base64/,
  });
  t.ok(read(textOf(`certificate-authority-data: "${data.slice(0, 40)}\\n${data.slice(40)}"`, '')).cluster.caPem);
});

const { certPem: cert, keyPem: key } = pair;
for (const [name, chain, keys, words] of [
  ['several keys, the right one first', cert, key + second.keyPem, undefined],
  ['several keys of two kinds, the right one first', cert, pkcs8(key) + second.keyPem, undefined],
  ['several keys, the wrong one first', cert, second.keyPem + key, /not the key/],
  ['several keys of two kinds, the wrong one first', cert, pkcs8(second.keyPem) + key, /not the key/],
  [
    'curve parameters before the key',
    cert,
    `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${key}`,
    undefined,
  ],
  ['a key under the label of another kind', cert, pkcs8(key).replaceAll('PRIVATE', 'RSA PRIVATE'), undefined],
  ['a key under the label of any kind', cert, pkcs8(key).replaceAll('PRIVATE', 'ANY PRIVATE'), undefined],
  ['certificate and key in one', cert + key, cert + key, undefined],
  ['key and certificate in one', key + cert, key + cert, undefined],
  ['a key glued to a certificate', cert, cert.trim() + key, /fill a line of its own/],
  ['a duplicate of the certificate', cert + cert, key, undefined],
  ['the CA behind the certificate', cert + ca, key, undefined],
  ['the CA before the certificate', ca + cert, key, /not the key/],
  [
    'a broken certificate behind the certificate',
    `${cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    key,
    undefined,
  ],
  ['headers in the certificate', withHeader(cert), key, undefined],
  ['headers in a PKCS#8 key', cert, withHeader(pkcs8(key)), undefined],
] as const) {
  t.test(`a client certificate with ${name}`, async (t) => {
    const text = textOf('', `client-certificate-data: ${base64(chain)}, client-key-data: ${base64(keys)}`);
    if (words !== undefined) {
      t.match(errorOf(text), { code: 'ERR_CREDENTIAL_INVALID', message: words, remedy: /./ });
      return;
    }
    const { credential } = read(text);
    if (credential.kind !== 'certificate') throw new Error(credential.kind);
    t.equal(createPrivateKey(credential.keyPem.reveal()).equals(createPrivateKey(key)), true);
    t.equal(credential.chainPem.startsWith(cert), true);
  });
}

for (const [server, host] of [
  ['https://[::ffff:10.0.0.1]:6443', '[::ffff:a00:1]'],
  ['https://[::FFFF:a00:1]', '[::ffff:a00:1]'],
  ['https://api.:6443//', 'api.'],
  ['HTTPS://API', 'api'],
  ['https://a_b', 'a_b'],
  ['https://b\u00fccher.test', 'xn--bcher-kva.test'],
] as const) {
  t.test(`the server ${server} is read`, async (t) => {
    const { cluster } = read(textOf('', 'token: t').replace('https://api:6443', server));
    t.equal(new URL(cluster.server).hostname, host);
  });
}
