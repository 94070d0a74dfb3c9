/** Client certificate and key of a kubeconfig: what Go takes, and what each thing that it does not take is called. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import t from 'tap';
import { readClientPair } from '../../src/kubeconfig/client-pair.ts';
import { encodePem } from '../../src/pki/pem.ts';
import { Secret } from '../../src/secret.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { nameOf, oddCertificate } from '../fixtures/odd-certificate.ts';

const authority = createAuthority({ name: 'kubernetes' });
const pair = authority.issue({ commonName: 'n1' });
const rsa = authority.issue({ commonName: 'n1', keyAlgorithm: 'RSA-2048' });
const other = authority.issue({ commonName: 'n2' });

const origin = (field: string) => ({ place: '/k.conf', field, path: undefined });
const source = (field: string, text: string) => ({ text: new Secret(text), origin: origin(field) as never });
const read = (certificate: string, key: string) =>
  readClientPair(source('client-certificate', certificate), source('client-key', key));

const pem = (label: string, der: Uint8Array): string => encodePem(label, der);
const derOf = (key: string, type: 'sec1' | 'pkcs1' | 'pkcs8'): Buffer =>
  createPrivateKey(key).export({ format: 'der', type }) as Buffer;
const odd = (namedCurve: string): { readonly pem: string; readonly key: KeyObject } => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve });
  const name = nameOf('n1');
  return {
    pem: pem('CERTIFICATE', oddCertificate({ issuer: name, subject: name, signingKey: privateKey })),
    key: privateKey,
  };
};
const bitcoin = odd('secp256k1');
const brokenBlock = '-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n';
const noCertificate = pem('CERTIFICATE', Buffer.from('3000', 'hex'));

for (const row of [
  { name: 'plain', certificate: pair.chainPem, key: pair.keyPem },
  { name: 'both in each file', certificate: pair.keyPem + pair.chainPem, key: pair.chainPem + pair.keyPem },
  { name: 'a second key, of which the first counts', certificate: pair.chainPem, key: pair.keyPem + other.keyPem },
  { name: 'a block that is no base64 before it', certificate: brokenBlock + pair.chainPem, key: pair.keyPem },
  { name: 'what is no certificate behind it', certificate: pair.chainPem + noCertificate, key: pair.keyPem },
  { name: 'a curve that Go cannot read behind it', certificate: pair.chainPem + bitcoin.pem, key: pair.keyPem },
  { name: 'PKCS#8', certificate: pair.chainPem, key: pem('PRIVATE KEY', derOf(pair.keyPem, 'pkcs8')) },
  { name: 'SEC1 labelled as RSA', certificate: pair.chainPem, key: pem('RSA PRIVATE KEY', derOf(pair.keyPem, 'sec1')) },
  {
    name: 'PKCS#8 labelled as EC',
    certificate: pair.chainPem,
    key: pem('EC PRIVATE KEY', derOf(pair.keyPem, 'pkcs8')),
  },
  { name: 'PKCS#1 labelled as EC', certificate: rsa.chainPem, key: pem('EC PRIVATE KEY', derOf(rsa.keyPem, 'pkcs1')) },
  { name: 'PKCS#1 labelled as PKCS#8', certificate: rsa.chainPem, key: pem('PRIVATE KEY', derOf(rsa.keyPem, 'pkcs1')) },
]) {
  t.test(`a client pair that Go takes: ${row.name}`, async (t) => {
    const { chainPem, keyPem } = read(row.certificate, row.key);
    t.equal(chainPem.match(/BEGIN CERTIFICATE/g)?.length, 1, 'the leaf alone is sent');
    const leaf = new X509Certificate(chainPem);
    t.equal(leaf.checkPrivateKey(createPrivateKey(keyPem.reveal())), true);
  });
}

t.test('certificates behind the first one stay, in their order', async (t) => {
  const { chainPem } = read(pair.chainPem + noCertificate + other.certPem + authority.pem, pair.keyPem);
  const subjects = chainPem.split(/(?=-----BEGIN)/).map((text) => new X509Certificate(text).subject);
  t.strictSame(
    subjects,
    ['CN=n1', 'CN=n2', 'CN=kubernetes'].map((subject) => subjects.find((one) => one.endsWith(subject))),
  );
});

const CERTIFICATE = '/k.conf: client-certificate:';
const KEY = '/k.conf: client-key:';
const LINES = 'each BEGIN and END line of a PEM block must fill a line of its own';
const encrypted = createPrivateKey(pair.keyPem)
  .export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' })
  .toString();
const legacy = pair.keyPem.replace('KEY-----\n', 'KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n');

for (const row of [
  { name: 'nothing', certificate: '', says: `${CERTIFICATE} holds no certificate` },
  { name: 'a key in place of a certificate', certificate: pair.keyPem, says: `${CERTIFICATE} holds no certificate` },
  {
    name: 'OpenSSL’s own label',
    certificate: pair.certPem.replaceAll('CERTIFICATE', 'TRUSTED CERTIFICATE'),
    says: `${CERTIFICATE} holds no certificate: its block is labelled TRUSTED CERTIFICATE, which Kubernetes passes by`,
  },
  {
    name: 'a certificate on one line with words',
    certificate: `x ${pair.certPem.trimEnd()}`,
    says: `${CERTIFICATE} holds no certificate: ${LINES}`,
  },
  {
    name: 'UTF-16',
    certificate: pair.certPem.split('').join('\0'),
    says: `${CERTIFICATE} holds no certificate: the text is UTF-16, and PEM is ASCII`,
  },
  { name: 'a block that is no base64', certificate: brokenBlock, says: `${CERTIFICATE} holds no certificate` },
  { name: 'what is no certificate', certificate: noCertificate, says: `${CERTIFICATE} certificate 1 cannot be parsed` },
  {
    name: 'a curve that Go cannot read',
    certificate: bitcoin.pem,
    key: bitcoin.key.export({ format: 'pem', type: 'pkcs8' }).toString(),
    says: `${CERTIFICATE} certificate 1 has a key on the curve secp256k1, which no API server can read`,
  },
  { name: 'no key', key: '', says: `${KEY} holds no private key` },
  { name: 'a certificate in place of a key', key: pair.certPem, says: `${KEY} holds no private key` },
  { name: 'a key on one line with words', key: `x ${pair.keyPem}`, says: `${KEY} holds no private key: ${LINES}` },
  { name: 'another’s key', key: other.keyPem, says: `${KEY} is not the key of the client certificate` },
  { name: 'another kind of key', key: rsa.keyPem, says: `${KEY} is not the key of the client certificate` },
  {
    name: 'its key behind another',
    key: other.keyPem + pair.keyPem,
    says: `${KEY} is not the key of the client certificate`,
  },
  { name: 'an encrypted key', key: encrypted, says: `${KEY} the private key is encrypted` },
  { name: 'a key encrypted as OpenSSL once did', key: legacy, says: `${KEY} the private key is encrypted` },
  {
    name: 'what is no key',
    key: pem('PRIVATE KEY', Buffer.from('3000', 'hex')),
    says: `${KEY} the private key cannot be parsed`,
  },
]) {
  t.test(`a client pair that Go refuses: ${row.name}`, async (t) => {
    const { certificate = pair.chainPem, key = pair.keyPem } = row;
    const error = t.throws(() => read(certificate, key), { code: 'ERR_CREDENTIAL_INVALID', message: row.says });
    t.match(error, { remedy: /\.$| {3}# / });
    t.notMatch(JSON.stringify(error), pair.keyPem.split('\n')[1] ?? 'none', 'no key in the message');
  });
}
