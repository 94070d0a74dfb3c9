import t from 'tap';
import { generatePrivateKey, KEY_ALGORITHMS, parsePrivateKey } from '../../src/pki/keys.ts';
import { createRequest } from '../../src/pki/pkcs10.ts';
import { Secret } from '../../src/secret.ts';
import { generateTestKey, testKeyPem } from '../fixtures/cluster/authority.ts';
import { readPkcs10 } from '../fixtures/cluster/pkcs10.ts';
import { openssl, withoutOpenssl } from '../fixtures/openssl.ts';

const subject = { commonName: 'system:node:n1', organizations: ['system:nodes'] };
const client = { ...subject, dnsNames: [], ipAddresses: [] };
const serving = { ...subject, dnsNames: ['n1', 'n1.example'], ipAddresses: ['10.0.0.1', 'fd00::1'] };

const SIGNATURES = {
  'ECDSA-P256': 'ecdsa-with-SHA256',
  'ECDSA-P384': 'ecdsa-with-SHA384',
  'RSA-2048': 'sha256WithRSAEncryption',
  'RSA-3072': 'sha384WithRSAEncryption',
  'RSA-4096': 'sha512WithRSAEncryption',
};

for (const algorithm of KEY_ALGORITHMS) {
  // Once: one of RSA may take a second.
  const key = await generatePrivateKey(algorithm);

  t.test(`OpenSSL verifies a request by ${algorithm} and reads its names`, { skip: withoutOpenssl }, async (t) => {
    const request = createRequest(serving, key);
    const text = openssl(request, 'req', '-verify', '-noout', '-text', '-nameopt', 'RFC2253');
    // OpenSSL 3.0 ends with status 0 whatever the signature: only its words tell, and all versions have these.
    t.match(text, /verify OK/i);
    t.match(text, /Subject: CN=system:node:n1,O=system:nodes\n/);
    t.match(text, /DNS:n1, DNS:n1\.example, IP Address:10\.0\.0\.1, IP Address:FD00:0:0:0:0:0:0:1\n/);
    t.match(text, `Signature Algorithm: ${SIGNATURES[algorithm]}\n`);
  });

  t.test(`a signer reads the same of a request by ${algorithm}`, async (t) => {
    const read = readPkcs10(createRequest(serving, key));
    t.ok(read.signatureValid);
    t.match(read, { ...subject, dnsNames: serving.dnsNames, emails: [], uris: [] });
    t.equal(read.ipAddresses.length, 2);
  });
}

t.test('a client request has an empty attribute list and no names', async (t) => {
  const request = createRequest(client, await generatePrivateKey('ECDSA-P256'));
  t.match(readPkcs10(request), { ...client, emails: [], uris: [], signatureValid: true });
  t.match(
    Buffer.from(request.split('\n').slice(1, -2).join(''), 'base64').toString('hex'),
    /a000300a06082a8648ce3d040302/,
  );
});

t.test('a request is exactly one PEM block', async (t) => {
  const request = createRequest(client, await generatePrivateKey('ECDSA-P256'));
  t.match(request, /^-----BEGIN CERTIFICATE REQUEST-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE REQUEST-----\n$/);
});

t.test('several organizations stand in one set, sorted, as Go writes them', { skip: withoutOpenssl }, async (t) => {
  const request = createRequest(
    { ...client, organizations: ['zeta', 'alpha'] },
    await generatePrivateKey('ECDSA-P256'),
  );
  // RFC 2253 begins with the last part, so what stands first in the request comes last here.
  const subject = openssl(request, 'req', '-noout', '-subject', '-nameopt', 'RFC2253');
  t.match(subject, /^subject= ?CN=system:node:n1,O=alpha\+O=zeta$/m);
});

t.test('a node name beyond 64 characters and beyond ASCII is kept', async (t) => {
  const commonName = `system:node:${'é'.repeat(80)}`;
  t.equal(
    readPkcs10(createRequest({ ...client, commonName }, await generatePrivateKey('ECDSA-P256'))).commonName,
    commonName,
  );
});

for (const row of [
  {
    name: 'a text that is no address',
    content: { ...client, ipAddresses: ['n1'] },
    message: /not an IP address: "n1"/,
  },
  { name: 'a DNS name beyond ASCII', content: { ...client, dnsNames: ['nö'] }, message: /not an ASCII name: "nö"/ },
]) {
  t.test(`createRequest refuses ${row.name}`, async (t) => {
    const key = await generatePrivateKey('ECDSA-P256');
    t.throws(() => createRequest(row.content, key), { code: 'ERR_INTERNAL', message: row.message });
  });
}

t.test('a P-521 key that was adopted signs with SHA-512', { skip: withoutOpenssl }, async (t) => {
  const key = parsePrivateKey(new Secret(openssl('', 'ecparam', '-name', 'secp521r1', '-genkey', '-noout')));
  t.match(openssl(createRequest(client, key), 'req', '-verify', '-noout', '-text'), /verify OK[^]*ecdsa-with-SHA512/i);
});

t.test('createRequest refuses a key that neither RSA nor ECDSA signs with', async (t) => {
  const key = parsePrivateKey(new Secret(testKeyPem(generateTestKey('Ed25519'))));
  t.throws(() => createRequest(client, key), { code: 'ERR_KEY_INVALID', message: /type ed25519/ });
});
