/** Kubeconfigs by their credentials, and the PEM texts in them. */
import { base64, configJson, fieldsRow, TOKEN } from './config-text.ts';
import type { Fields } from './config-text.ts';
import { noAuthority, purposes } from './extensions.ts';
import type { Materials } from './materials.ts';
import { days, ecKey, edKey, encrypted, mint, pkcs8, traditional } from './mint.ts';
import type { CertificateSpec } from './mint.ts';
import type { Files, Row, Scene } from './row.ts';

const user = (kind: string, name: string, fields: Fields | ((scene: Scene) => Fields)): Row =>
  fieldsRow(kind, name, (scene) => ({ user: typeof fields === 'function' ? fields(scene) : fields }));
/** A user entry together with files beside the kubeconfig. */
const withFiles = (kind: string, name: string, fields: Fields, files: Files): Row => ({
  ...user(kind, name, fields),
  files: (scene) => ({ config: configJson(scene, { user: fields }), ...files }),
});

function tokens(): readonly Row[] {
  const kind = 'token';
  const file = (name: string, content: string, fields: Fields = { token: undefined }): Row =>
    withFiles(kind, name, { tokenFile: 'token', ...fields }, { token: content });
  return [
    user(kind, 'a token', {}),
    user(kind, 'no credential', { token: undefined }),
    user(kind, 'a token with a blank', { token: 'a b' }),
    user(kind, 'a token with a line end', { token: `${TOKEN}\n` }),
    user(kind, 'a token with a line end within', { token: 'a\nb' }),
    user(kind, 'a token with a tab', { token: 'a\tb' }),
    user(kind, 'a token beyond ASCII', { token: 'tökn' }),
    user(kind, 'a token with a NUL', { token: 'a\u0000b' }),
    user(kind, 'a token with quotes', { token: '"a"' }),
    user(kind, 'a token that says Bearer', { token: `Bearer ${TOKEN}` }),
    user(kind, 'a number as token', { token: 7 }),
    user(kind, 'a blank as token', { token: ' ' }),
    user(kind, 'a long token', { token: 'a'.repeat(4000) }),
    file('a file', TOKEN),
    file('a file with a line end', `${TOKEN}\n`),
    file('a file with blanks around', `  ${TOKEN} \r\n`),
    file('a file with two lines', `${TOKEN}\nmore\n`),
    file('a file with a byte order mark', `\uFEFF${TOKEN}`),
    file('a file beyond ASCII', 'tökn'),
    file('an empty file', ''),
    file('a blank file', ' \n'),
    file('an empty file and a token', '', { token: 'second' }),
    file('a file and a token', TOKEN, { token: 'second' }),
    user(kind, 'a missing file', { token: undefined, tokenFile: 'nowhere' }),
    user(kind, 'a missing file and a token', { tokenFile: 'nowhere' }),
    user(kind, 'a folder as file', { token: undefined, tokenFile: '.' }),
    user(kind, 'tokenFile in other spelling', { token: undefined, 'token-file': 'nowhere' }),
  ];
}

function others(): readonly Row[] {
  const kind = 'credential';
  const pair = ({ materials: { client } }: Scene): Fields => ({
    'client-certificate-data': base64(client.pem),
    'client-key-data': base64(client.keyPem),
  });
  return [
    user(kind, 'a certificate', (s) => ({ token: undefined, ...pair(s) })),
    user(kind, 'a certificate and a token', pair),
    user(kind, 'a certificate and a password', (s) => ({ token: undefined, username: 'a', password: 'b', ...pair(s) })),
    user(kind, 'user and password', { token: undefined, username: 'admin', password: 'secret' }),
    user(kind, 'a user without password', { token: undefined, username: 'admin' }),
    user(kind, 'a password without user', { token: undefined, password: 'secret' }),
    user(kind, 'user, password and token', { username: 'admin', password: 'secret' }),
    user(kind, 'an auth provider', { token: undefined, 'auth-provider': { name: 'gcp' } }),
    user(kind, 'an auth provider nobody knows', { token: undefined, 'auth-provider': { name: 'mine' } }),
    user(kind, 'an auth provider and a token', { 'auth-provider': { name: 'gcp' } }),
    user(kind, 'impersonation', { as: 'somebody' }),
    user(kind, 'impersonation with groups', { as: 'somebody', 'as-groups': ['a'] }),
    user(kind, 'groups alone', { 'as-groups': ['a'] }),
    fieldsRow(kind, 'the user entry is text', { top: { users: [{ name: 'u', user: 'x' }] } }),
    fieldsRow(kind, 'the user entry is a list', { top: { users: [{ name: 'u', user: [] }] } }),
  ];
}

const answer = (status: Fields, apiVersion = 'client.authentication.k8s.io/v1'): string =>
  `#!/bin/sh\necho '${JSON.stringify({ apiVersion, kind: 'ExecCredential', status })}'\n`;
const GIVES_TOKEN = answer({ token: TOKEN });

function plugins(): readonly Row[] {
  const kind = 'exec plugin';
  const right = { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin.sh', interactiveMode: 'Never' };
  const row = (name: string, fields: Fields, script = GIVES_TOKEN, more: Fields = { token: undefined }): Row =>
    withFiles(kind, name, { ...more, exec: { ...right, ...fields } }, { 'plugin.sh': script });
  const beta = 'client.authentication.k8s.io/v1beta1';
  return [
    row('gives a token', {}),
    row('v1beta1', { apiVersion: beta, interactiveMode: undefined }, answer({ token: TOKEN }, beta)),
    row(
      'v1alpha1',
      { apiVersion: 'client.authentication.k8s.io/v1alpha1' },
      answer({ token: TOKEN }, 'client.authentication.k8s.io/v1alpha1'),
    ),
    row('answers in another version', {}, answer({ token: TOKEN }, beta)),
    row('no apiVersion', { apiVersion: undefined }),
    row('no interactiveMode', { interactiveMode: undefined }),
    row('interactiveMode IfAvailable', { interactiveMode: 'IfAvailable' }),
    row('interactiveMode Always', { interactiveMode: 'Always' }),
    row('interactiveMode never', { interactiveMode: 'never' }),
    row('no command', { command: undefined }),
    row('a command that is not there', { command: './nowhere.sh' }),
    row('a bare command that is not there', { command: 'certlet-comparison-nowhere' }),
    row('a command from PATH', { command: 'sh', args: ['-c', GIVES_TOKEN] }),
    row('ends with status 1', {}, '#!/bin/sh\nexit 1\n'),
    row('says nothing', {}, '#!/bin/sh\n'),
    row('says no JSON', {}, '#!/bin/sh\necho hello\n'),
    row(
      'no status',
      {},
      `#!/bin/sh\necho '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential"}'\n`,
    ),
    row('an empty status', {}, answer({})),
    row('an expired token', {}, answer({ token: TOKEN, expirationTimestamp: '2000-01-01T00:00:00Z' })),
    row('a bad expiration', {}, answer({ token: TOKEN, expirationTimestamp: 'soon' })),
    row('a certificate without key', {}, answer({ clientCertificateData: 'x' })),
    row('args null', { args: null }),
    row('env null', { env: null }),
    row('env without value', { env: [{ name: 'A' }] }),
    row('env without name', { env: [{ value: 'A' }] }),
    row(
      'gives what its environment says',
      { env: [{ name: 'T', value: TOKEN }] },
      GIVES_TOKEN.replace(TOKEN, `'"$T"'`),
    ),
    row(
      'knows the cluster',
      { provideClusterInfo: true },
      GIVES_TOKEN.replace('echo', 'test -n "$KUBERNETES_EXEC_INFO" && echo'),
    ),
    row('provideClusterInfo: "yes"', { provideClusterInfo: 'yes' }),
    row('a token beside it', {}, answer({ token: 'other' }), {}),
  ];
}

/** Texts with certificates in them, as CA and as client certificate. */
function pemTexts(): readonly (readonly [string, (pem: string, other: string) => string])[] {
  const body = (pem: string): string => pem.replaceAll(/-----[^-]+-----|\n/g, '');
  const block = (label: string, text: string): string => `-----BEGIN ${label}-----\n${text}\n-----END ${label}-----\n`;
  return [
    ['plain', (pem) => pem],
    ['Windows line ends', (pem) => pem.replaceAll('\n', '\r\n')],
    ['old Mac line ends', (pem) => pem.replaceAll('\n', '\r')],
    ['no line end at the end', (pem) => pem.trimEnd()],
    ['one long line', (pem) => block('CERTIFICATE', body(pem))],
    ['no line ends at all', (pem) => `-----BEGIN CERTIFICATE-----${body(pem)}-----END CERTIFICATE-----`],
    ['text before', (pem) => `subject=CN = kubernetes\n\n${pem}`],
    ['text behind', (pem) => `${pem}bye\n`],
    ['text glued before', (pem) => `hello ${pem}`],
    ['a header', (pem) => pem.replace('-----\n', '-----\nProc-Type: none\n\n')],
    ['lines indented', (pem) => pem.replaceAll(/^/gm, '  ')],
    ['blanks behind lines', (pem) => pem.replaceAll('\n', '  \n')],
    ['an empty line within', (pem) => pem.replace(/\n(?=.{64}\n-----END|.*\n-----END)/, '\n\n')],
    ['a byte order mark', (pem) => `\uFEFF${pem}`],
    ['two, the second counts', (pem, other) => other + pem],
    ['two, the first counts', (pem, other) => pem + other],
    ['two glued', (pem, other) => pem.trimEnd() + other],
    ['the same twice', (pem) => pem + pem],
    ['a broken one behind', (pem) => pem + block('CERTIFICATE', 'AAAA')],
    ['a broken one before', (pem) => block('CERTIFICATE', 'AAAA') + pem],
    ['one that is no base64 before', (pem) => block('CERTIFICATE', '*') + pem],
    ['one without end before', (pem) => `-----BEGIN CERTIFICATE-----\nAAAA\n${pem}`],
    ['one without end behind', (pem) => `${pem}-----BEGIN CERTIFICATE-----\nAAAA\n`],
    ['a trusted certificate', (pem) => pem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE')],
    ['an X509 certificate', (pem) => pem.replaceAll('CERTIFICATE', 'X509 CERTIFICATE')],
    ['label in small letters', (pem) => pem.replaceAll('CERTIFICATE', 'certificate')],
    ['another end', (pem) => pem.replace('END CERTIFICATE', 'END CERTIFICATES')],
    ['four dashes', (pem) => pem.replaceAll('-----', '----')],
    [
      'bytes behind the certificate',
      (pem) => block('CERTIFICATE', base64(Buffer.concat([Buffer.from(body(pem), 'base64'), Buffer.from([0])]))),
    ],
    ['padding missing', (pem) => block('CERTIFICATE', body(pem).replaceAll('=', ''))],
    ['a line cut', (pem) => pem.replace(/\n.{64}\n/, '\n')],
  ];
}

function encodedTexts(kind: string, of: (data: unknown) => Row['files']): readonly Row[] {
  const row = (name: string, encode: (pem: string) => unknown): Row => ({
    table: 'kubeconfig',
    kind,
    name,
    files: (scene) => of(encode(scene.materials.ca.pem))(scene),
  });
  return [
    row('PEM instead of base64', (pem) => pem),
    row('base64 over lines', (pem) => base64(pem).replaceAll(/(.{76})/g, '$1\n')),
    row('base64 with blanks', (pem) => base64(pem).replaceAll(/(.{76})/g, '$1 ')),
    row('base64 with a line end', (pem) => `${base64(pem)}\n`),
    row('base64 without padding', (pem) =>
      base64(`${pem}${' '.repeat((4 - (pem.length % 3)) % 3)}`).replace(/=+$/, ''),
    ),
    row('base64 without padding that it needs', (pem) =>
      base64(`${pem}${'\n'.repeat((4 - (pem.length % 3)) % 3)}`).replaceAll('=', ''),
    ),
    row('base64 for URLs', (pem) => Buffer.from(`${pem}\u00ff\u00bf\u00ff`).toString('base64url')),
    row('base64 of base64', (pem) => base64(base64(pem))),
    row('base64 of DER', (pem) => pem.replaceAll(/-----[^-]+-----|\n/g, '')),
    row('base64 with garbage behind', (pem) => `${base64(pem)}*`),
    row('base64 with padding within', (pem) => `AA==${base64(pem)}`),
    row('a number', () => 7),
    row('a list', () => []),
  ];
}

function caTexts(): readonly Row[] {
  const kind = 'CA text';
  const files =
    (data: unknown) =>
    (scene: Scene): Files => ({ config: configJson(scene, { cluster: { 'certificate-authority-data': data } }) });
  return [
    ...pemTexts().map(
      ([name, edit]): Row => ({
        table: 'kubeconfig',
        kind,
        name,
        files: (scene) => files(base64(edit(scene.materials.ca.pem, scene.materials.otherCa.pem)))(scene),
      }),
    ),
    ...encodedTexts('CA data', files),
    fieldsRow(kind, 'a key before', ({ materials: { ca } }) => ({
      cluster: { 'certificate-authority-data': base64(ca.keyPem + ca.pem) },
    })),
    fieldsRow(kind, 'a key alone', ({ materials: { ca } }) => ({
      cluster: { 'certificate-authority-data': base64(ca.keyPem) },
    })),
  ];
}

/** A user entry with a client certificate of these texts. */
const pairOf = (certificate: string, key: string): Fields => ({
  token: undefined,
  'client-certificate-data': base64(certificate),
  'client-key-data': base64(key),
});

function certificateTexts(): readonly Row[] {
  const kind = 'client certificate text';
  return pemTexts().map(([name, edit]) =>
    user(kind, name, ({ materials: { client, ca } }) => pairOf(edit(client.pem, ca.pem), client.keyPem)),
  );
}

function keyTexts(): readonly Row[] {
  const kind = 'client key text';
  const row = (name: string, edit: (key: string, materials: Materials) => string): Row =>
    user(kind, name, ({ materials }) => pairOf(materials.client.pem, edit(materials.client.keyPem, materials)));
  const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
  return [
    row('PKCS#8', (key) => key),
    row('SEC1', (_key, { client }) => traditional(client.key)),
    row('SEC1 with parameters', (_key, { client }) => parameters + traditional(client.key)),
    row('SEC1 under the label of PKCS#8', (_key, { client }) =>
      traditional(client.key).replaceAll('EC PRIVATE', 'PRIVATE'),
    ),
    row('PKCS#8 under the label of SEC1', (key) => key.replaceAll('PRIVATE KEY', 'EC PRIVATE KEY')),
    row('PKCS#8 under the label of PKCS#1', (key) => key.replaceAll('PRIVATE KEY', 'RSA PRIVATE KEY')),
    row('under a label of its own', (key) => key.replaceAll('PRIVATE KEY', 'MY PRIVATE KEY')),
    row('Windows line ends', (key) => key.replaceAll('\n', '\r\n')),
    row('text before', (key) => `hello\n${key}`),
    row('the certificate before', (key, { client }) => client.pem + key),
    row('the certificate behind', (key, { client }) => key + client.pem),
    row('another key', () => pkcs8(ecKey())),
    row('another key of another kind', (_key, { rsa2048 }) => pkcs8(rsa2048)),
    row('two keys, the first fits', (key) => key + pkcs8(ecKey())),
    row('two keys, the second fits', (key) => pkcs8(ecKey()) + key),
    row('encrypted', (_key, { client }) => encrypted(client.key)),
    row('no key', () => 'hello\n'),
    row('the certificate alone', (_key, { client }) => client.pem),
    row('broken', (key) => key.replace(/\n.{20}/, '\n')),
    row('lines indented', (key) => key.replaceAll(/^/gm, ' ')),
  ];
}

function pairs(): readonly Row[] {
  const kind = 'client pair';
  const minted = (name: string, spec: (materials: Materials) => Partial<CertificateSpec>): Row =>
    user(kind, name, ({ materials }) => {
      const made = mint({
        subject: 'system:node:n1',
        issuer: materials.ca,
        extensions: [purposes('clientAuth'), noAuthority],
        ...spec(materials),
      });
      return pairOf(made.pem, made.keyPem);
    });
  const files = (name: string, fields: Fields, text: (materials: Materials) => Files): Row => ({
    ...user(kind, name, fields),
    files: (scene) => ({
      config: configJson(scene, { user: { token: undefined, ...fields } }),
      ...text(scene.materials),
    }),
  });
  const both = { 'client-certificate': 'pair.pem', 'client-key': 'pair.pem' };
  return [
    files('one file, key behind', both, ({ client }) => ({ 'pair.pem': client.pem + client.keyPem })),
    files('one file, key before', both, ({ client }) => ({ 'pair.pem': client.keyPem + client.pem })),
    files('certificate file missing', both, () => ({})),
    files('key file missing', { ...both, 'client-key': 'nowhere' }, ({ client }) => ({ 'pair.pem': client.pem })),
    files('no key named', { 'client-certificate': 'pair.pem' }, ({ client }) => ({
      'pair.pem': client.pem + client.keyPem,
    })),
    files('a key alone', { 'client-key': 'pair.pem' }, ({ client }) => ({ 'pair.pem': client.keyPem })),
    files('a key alone and a token', { token: TOKEN, 'client-key': 'pair.pem' }, ({ client }) => ({
      'pair.pem': client.keyPem,
    })),
    minted('no extended key usage', () => ({ extensions: [noAuthority] })),
    minted('no extensions', () => ({ extensions: [] })),
    minted('extended key usage any', () => ({ extensions: [purposes('any')] })),
    minted('for servers alone', () => ({ extensions: [purposes('serverAuth')] })),
    minted('expired', () => ({ notBefore: days(-20), notAfter: days(-10) })),
    minted('not yet valid', () => ({ notBefore: days(10) })),
    minted('by another CA', ({ otherCa }) => ({ issuer: otherCa })),
    minted('of an administrator', () => ({ subject: 'kubernetes-admin' })),
    minted('without subject', () => ({ subject: Buffer.from([0x30, 0]) })),
    minted('RSA of 2048 bits', ({ rsa2048 }) => ({ key: rsa2048 })),
    minted('RSA of 1024 bits', ({ rsa1024 }) => ({ key: rsa1024 })),
    minted('P-384', () => ({ key: ecKey('P-384') })),
    minted('P-521', () => ({ key: ecKey('P-521') })),
    minted('P-224', () => ({ key: ecKey('P-224') })),
    minted('secp256k1', () => ({ key: ecKey('secp256k1') })),
    minted('brainpoolP256r1', () => ({ key: ecKey('brainpoolP256r1') })),
    minted('Ed25519', () => ({ key: edKey() })),
  ];
}

/** All of this file. */
export function credentialRows(): readonly Row[] {
  return [...tokens(), ...others(), ...plugins(), ...caTexts(), ...certificateTexts(), ...keyTexts(), ...pairs()];
}
