import { readFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import t from 'tap';
import { CertletError } from '../../src/errors.ts';
import { clientConfig, encodeNodeKubeconfig, filesNeeded } from '../../src/kubeconfig/client-config.ts';
import type { ClientConfig, FileContent } from '../../src/kubeconfig/client-config.ts';
import { parseKubeconfig } from '../../src/kubeconfig/codec.ts';
import { parseYaml } from '../../src/kubeconfig/yaml.ts';
import { Secret } from '../../src/secret.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { sequence } from '../fixtures/cluster/der.ts';
import { certificatePem, oddCertificate, SIGNATURE } from '../fixtures/odd-certificate.ts';
import { openssl, withoutOpenssl } from '../fixtures/openssl.ts';
import { proxyOf } from '../fixtures/proxy-url.ts';

const authority = createAuthority({ name: 'kubernetes' });
const other = createAuthority({ name: 'front-proxy' });
const pair = authority.issue({ commonName: 'system:node:n1', organizations: ['system:nodes'] });
const base64 = (text: string): string => Buffer.from(text).toString('base64');

function text(cluster: Record<string, unknown>, user: Record<string, unknown>): string {
  return JSON.stringify({
    clusters: [{ name: 'c', cluster: { server: 'https://api:6443', ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

function read(
  cluster: Record<string, unknown>,
  user: Record<string, unknown>,
  files: Record<string, string | Error> = {},
): ClientConfig {
  const contents = new Map<string, FileContent>(
    Object.entries(files).map(([path, content]) => [path, typeof content === 'string' ? new Secret(content) : content]),
  );
  return clientConfig(parseKubeconfig(text(cluster, user), '/k/conf'), contents);
}

t.test('a CA as data, as path, and none', async (t) => {
  const data = read({ 'certificate-authority-data': base64(authority.pem) }, { token: 't' });
  t.equal(data.cluster.caPem, authority.pem);
  t.equal(data.cluster.caPath, undefined);
  const path = read({ 'certificate-authority': 'ca.crt' }, { token: 't' }, { '/k/ca.crt': authority.pem });
  t.equal(path.cluster.caPem, authority.pem);
  t.equal(path.cluster.caPath, '/k/ca.crt');
  t.same(path.files, ['/k/ca.crt']);
  t.equal(read({}, { token: 't' }).cluster.caPem, undefined, "none means the system's roots");
});

t.test(
  'several certificates, with text around them, are all trusted; a broken one is left out with a warning',
  async (t) => {
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const bundle = `Subject: kubernetes\n${authority.pem}${broken}# old\n${other.pem}`;
    const { cluster, warnings } = read({ 'certificate-authority-data': base64(bundle) }, { token: 't' });
    t.equal(cluster.caPem, authority.pem + other.pem);
    t.match(warnings, [/certificate-authority-data: certificate 2 of 3 cannot be parsed/]);
  },
);

t.test('a CA without a subject and with a weak key is no defect of certlet', async (t) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const algorithm = SIGNATURE.rsaSha256;
  const der = oddCertificate({ issuer: sequence(), subject: sequence(), signingKey: privateKey, algorithm });
  const { warnings } = read({ 'certificate-authority-data': base64(certificatePem(der)) }, { token: 't' });
  t.match(warnings, [/the CA "" has a RSA key of 1024 bits/]);
});

t.test('a CA whose key OpenSSL refuses is named with key size and remedy', async (t) => {
  const weak = createAuthority({ name: 'old-ca', keyAlgorithm: 'RSA-1024' });
  const { warnings } = read({ 'certificate-authority-data': base64(weak.pem) }, { token: 't' });
  t.equal(warnings.length, 1);
  t.match(
    warnings[0],
    /"CN=old-ca" has a RSA key of 1024 bits; OpenSSL refuses what is below 2048: give the cluster a new CA/,
  );
  const strong = createAuthority({ name: 'ca', keyAlgorithm: 'RSA-2048' });
  t.same(read({ 'certificate-authority-data': base64(strong.pem) }, { token: 't' }).warnings, []);
});

t.test('old CAs with short curves and DSA keys are named by their kind', { skip: withoutOpenssl }, async (t) => {
  const folder = t.testdir({});
  const caOf = (name: string, ...newKey: readonly string[]): string => {
    const at = (suffix: string): string => join(folder, `${name}.${suffix}`);
    openssl('', ...newKey, '-out', at('key'));
    openssl('', 'req', '-x509', '-new', '-key', at('key'), '-subj', `/CN=${name}`, '-out', at('crt'));
    return readFileSync(at('crt'), 'utf8');
  };
  const short = caOf('short', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime192v1');
  openssl('', 'dsaparam', '-out', join(folder, 'dsa'), '1024');
  const dsa = caOf('dsa', 'genpkey', '-paramfile', join(folder, 'dsa'));
  const { warnings } = read({ 'certificate-authority-data': base64(short + dsa) }, { token: 't' });
  t.match(warnings, [
    /"CN=short" has a EC key of 192 bits; OpenSSL refuses what is below 224/,
    /"CN=dsa" has a DSA key of 1024 bits; OpenSSL refuses what is below 2048/,
  ]);
});

t.test('certificate and key as data, as one combined file, and as two', async (t) => {
  const data = read({}, { 'client-certificate-data': base64(pair.chainPem), 'client-key-data': base64(pair.keyPem) });
  t.match(data.credential, { kind: 'certificate', chainPem: pair.chainPem });
  const combined = read(
    {},
    { 'client-certificate': 'p.pem', 'client-key': 'p.pem' },
    { '/k/p.pem': `${pair.keyPem}${pair.chainPem}` },
  );
  t.match(combined.credential, { kind: 'certificate', chainPem: pair.chainPem });
  t.same(combined.files, ['/k/p.pem']);
  t.notMatch(JSON.stringify(combined), /PRIVATE/, 'the key is only in the secret');
  if (combined.credential.kind === 'certificate') t.equal(combined.credential.keyPem.reveal(), pair.keyPem);
  const two = read({}, { 'client-certificate': '/c', 'client-key': '/d' }, { '/c': pair.certPem, '/d': pair.keyPem });
  t.equal(two.credential.kind, 'certificate');
});

t.test('a token file wins over the token, which stands in while the file is empty or cannot be read', async (t) => {
  const user = { token: 'abcdef.0123456789abcdef', tokenFile: '/t' };
  t.match(read({}, user, { '/t': 'fresh\n' }).credential, { kind: 'tokenFile', path: '/t' });
  t.match(read({}, user, { '/t': new Error('ENOENT') }).credential, { kind: 'token' });
  t.match(read({}, user, { '/t': ' \n' }).credential, { kind: 'token' }, 'the token stands in for an empty file too');
  t.match(read({}, { tokenFile: '/t' }, { '/t': 'fresh' }).files, ['/t']);
});

t.test('no user means no credential', async (t) => {
  t.match(read({}, {}).credential, { kind: 'none' });
});

/** The PEM with a first line that says nothing. */
const garbled = (pem: string): string => pem.replace(/-----\n.*\n/, '-----\nAAAA\n');
const encrypted = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n';
const files = { 'client-certificate': '/c', 'client-key': '/d' };
for (const row of [
  {
    name: 'a CA file that is missing',
    cluster: { 'certificate-authority': '/ca' },
    contents: { '/ca': new Error('ENOENT: no such file') },
    code: 'ERR_KUBECONFIG_INVALID',
    words: /^\/k\/conf:1:\d+: clusters\[0\]\.cluster\.certificate-authority \(\/ca\): ENOENT/,
  },
  {
    name: 'a CA file that was not read',
    cluster: { 'certificate-authority': '/ca' },
    code: 'ERR_KUBECONFIG_INVALID',
    words: /not read/,
  },
  {
    name: 'a CA without certificate',
    cluster: { 'certificate-authority': '/ca' },
    contents: { '/ca': 'hello' },
    code: 'ERR_KUBECONFIG_INVALID',
    words: /no certificate in it can be parsed/,
  },
  {
    name: 'a CA bundle of ten thousand broken certificates, each told in one message of a megabyte',
    cluster: { 'certificate-authority': '/ca' },
    contents: { '/ca': '-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n'.repeat(10_000) },
    code: 'ERR_KUBECONFIG_INVALID',
    words: /certificate 10 of 10000 cannot be parsed and is left out; and 9990 more like these$/,
  },
  {
    name: 'CA data without certificate',
    cluster: { 'certificate-authority-data': base64('hello') },
    code: 'ERR_KUBECONFIG_INVALID',
    words: /certificate-authority-data: no certificate/,
  },
  {
    name: 'a token file that is missing',
    user: { tokenFile: '/t' },
    contents: { '/t': new Error('EACCES: permission denied') },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /tokenFile \(\/t\): EACCES/,
  },
  {
    name: 'a token file that is empty',
    user: { tokenFile: '/t' },
    contents: { '/t': ' \n' },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /\/t is empty/,
  },
  {
    name: 'a certificate file that is missing',
    user: files,
    contents: { '/c': new Error('ENOENT: gone') },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /client-certificate \(\/c\): ENOENT/,
  },
  {
    name: 'a certificate file without certificate',
    user: files,
    contents: { '/c': pair.keyPem, '/d': pair.keyPem },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /holds no certificate/,
  },
  {
    name: 'a certificate that is cut off',
    user: files,
    contents: { '/c': pair.certPem.slice(0, 200), '/d': pair.keyPem },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /holds no certificate/,
  },
  {
    name: 'a certificate that is garbage',
    user: files,
    contents: { '/c': garbled(pair.certPem), '/d': pair.keyPem },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /certificate 1 cannot be parsed/,
  },
  {
    name: 'a key file without key',
    user: files,
    contents: { '/c': pair.certPem, '/d': pair.certPem },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /client-key \(\/d\): holds no private key/,
  },
  {
    name: 'a key that is garbage',
    user: files,
    contents: { '/c': pair.certPem, '/d': garbled(pair.keyPem) },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /private key cannot be parsed/,
  },
  {
    name: 'a key that is encrypted',
    user: files,
    contents: { '/c': pair.certPem, '/d': encrypted },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /is encrypted/,
  },
  {
    name: 'a key of another certificate',
    user: files,
    contents: { '/c': pair.certPem, '/d': authority.keyPem },
    code: 'ERR_CREDENTIAL_INVALID',
    words: /is not the key of the client certificate/,
  },
]) {
  t.test(`clientConfig refuses ${row.name}`, async (t) => {
    const error = t.throws(
      () => read(row.cluster ?? {}, row.user ?? { token: 't' }, row.contents ?? {}),
      CertletError,
    ) as CertletError;
    t.equal(error.code, row.code);
    t.match(error.message, row.words);
    t.ok(error.remedy);
    t.notMatch(JSON.stringify([error.message, error.remedy]), /PRIVATE KEY/);
  });
}

t.test('filesNeeded names each file once', async (t) => {
  const parsed = parseKubeconfig(
    text({ 'certificate-authority': 'a' }, { 'client-certificate': 'p', 'client-key': 'p' }),
    '/k/conf',
  );
  t.same(filesNeeded(parsed), ['/k/a', '/k/p']);
});

const LINK = '/var/lib/kubelet/pki/kubelet-client-current.pem';
for (const row of [
  {
    name: 'a CA path stays a path',
    cluster: {
      server: 'https://api:6443',
      caPem: authority.pem,
      caPath: '/etc/kubernetes/pki/ca.crt',
      insecureSkipTlsVerify: false,
    },
    expected: { 'certificate-authority': '/etc/kubernetes/pki/ca.crt', server: 'https://api:6443' },
  },
  {
    name: 'CA data stay data',
    cluster: { server: 'https://api:6443', caPem: authority.pem, insecureSkipTlsVerify: false },
    expected: { 'certificate-authority-data': base64(authority.pem), server: 'https://api:6443' },
  },
  {
    name: 'no CA, insecure, server name and proxy are kept',
    cluster: {
      server: 'https://api',
      insecureSkipTlsVerify: true,
      tlsServerName: 'k',
      proxyUrl: proxyOf('http://u:p@h'),
    },
    expected: {
      'insecure-skip-tls-verify': true,
      server: 'https://api',
      'tls-server-name': 'k',
      'proxy-url': 'http://u:p@h',
    },
  },
]) {
  t.test(`encodeNodeKubeconfig: ${row.name}`, async (t) => {
    const written = encodeNodeKubeconfig(row.cluster, LINK);
    t.equal(String(written), '[secret]');
    t.same(parseYaml(written.reveal(), '/f').value, {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'default-cluster', cluster: row.expected }],
      users: [{ name: 'default-auth', user: { 'client-certificate': LINK, 'client-key': LINK } }],
      contexts: [
        {
          name: 'default-context',
          context: { cluster: 'default-cluster', namespace: 'default', user: 'default-auth' },
        },
      ],
      'current-context': 'default-context',
    });
  });
}

t.test('what is written is read back to the same access', async (t) => {
  const cluster = {
    server: 'https://api:6443',
    caPem: authority.pem,
    insecureSkipTlsVerify: false,
    tlsServerName: 'k',
    proxyUrl: proxyOf('http://h:1'),
  };
  const parsed = parseKubeconfig(encodeNodeKubeconfig(cluster, LINK).reveal(), '/etc/kubernetes/kubelet.conf');
  const back = clientConfig(parsed, new Map([[LINK, new Secret(pair.chainPem + pair.keyPem)]]));
  t.match(back.cluster, { server: cluster.server, caPem: cluster.caPem, tlsServerName: 'k' });
  t.equal(back.cluster.proxyUrl?.reveal(), 'http://h:1');
  t.equal(back.credential.kind, 'certificate');
});
