import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import t from 'tap';
import {
  createAuthority,
  generateTestKey,
  issueSelfSigned,
  type TestKeyAlgorithm,
} from '../fixtures/cluster/authority.ts';
import { readPkcs10 } from '../fixtures/cluster/pkcs10.ts';
import { testRequestPem } from '../fixtures/cluster/test-request.ts';

const ca = createAuthority({ name: 'root' });
const root = new X509Certificate(ca.pem);

function verifies(pem: string, issuer: X509Certificate): boolean {
  const certificate = new X509Certificate(pem);
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

t.test('a root is an authority that signed itself', async (t) => {
  t.equal(root.ca, true);
  t.equal(verifies(ca.pem, root), true);
  t.equal(root.subject, 'CN=root');
});

t.test('a leaf carries what was asked for', async (t) => {
  const notBefore = new Date('2031-02-03T04:05:06Z');
  const notAfter = new Date('2055-02-03T04:05:06Z');
  const issued = ca.issue({
    commonName: 'system:node:n1',
    organizations: ['system:nodes', 'more'],
    dnsNames: ['n1', 'n1.example'],
    ipAddresses: ['10.0.0.1', 'fd00::1'],
    usages: ['digital signature', 'client auth'],
    serial: 0xabcdefn,
    notBefore,
    notAfter,
  });
  const leaf = new X509Certificate(issued.certPem);
  t.equal(leaf.subject, 'O=system:nodes\nO=more\nCN=system:node:n1');
  t.equal(leaf.subjectAltName, 'DNS:n1, DNS:n1.example, IP Address:10.0.0.1, IP Address:FD00:0:0:0:0:0:0:1');
  t.strictSame(leaf.keyUsage, ['1.3.6.1.5.5.7.3.2']);
  t.equal(leaf.serialNumber, 'ABCDEF');
  t.strictSame([leaf.validFromDate, leaf.validToDate], [notBefore, notAfter], 'also past 2049');
  t.equal(leaf.ca, false);
  t.equal(verifies(issued.certPem, root), true);
  t.equal(issued.chainPem, issued.certPem, 'a root is not in the chain');
  t.match(issued.keyPem, /^-----BEGIN EC PRIVATE KEY-----/);
  t.equal(leaf.checkPrivateKey(createPrivateKey(issued.keyPem)), true);
});

t.test('serials count up, so that no two are equal', async (t) => {
  const own = createAuthority({ name: 'counting', firstSerial: 7n });
  t.strictSame(
    [own.issue(), own.sign(testRequestPem()), own.issue()].map((one) => new X509Certificate(one.certPem).serialNumber),
    ['07', '08', '09'],
  );
});

for (const algorithm of ['ECDSA-P256', 'ECDSA-P384', 'RSA-1024', 'RSA-2048', 'Ed25519'] satisfies TestKeyAlgorithm[])
  t.test(`an authority with a key of kind ${algorithm} signs leaves with such keys`, async (t) => {
    const own = createAuthority({ name: algorithm, keyAlgorithm: algorithm });
    const issued = own.issue({ keyAlgorithm: algorithm });
    t.equal(verifies(issued.certPem, new X509Certificate(own.pem)), true);
  });

t.test('a chain goes from the leaf up to below the root', async (t) => {
  const upper = ca.intermediate({ name: 'upper' });
  const lower = upper.intermediate({ name: 'lower' });
  const blocks = lower.issue().chainPem.match(/-----BEGIN[^]*?-----END CERTIFICATE-----\n/g) ?? [];
  t.equal(blocks.length, 3);
  t.strictSame(
    blocks.map((block) => new X509Certificate(block).issuer),
    ['CN=lower', 'CN=upper', 'CN=root'],
  );
  const [leaf = '', middle = ''] = blocks;
  t.equal(verifies(leaf, new X509Certificate(middle)), true);
  t.equal(verifies(middle, new X509Certificate(upper.pem)), true);
});

t.test('wrong certificates', async (t) => {
  const stranger = generateTestKey();
  t.equal(verifies(ca.issue({ signingKey: stranger }).certPem, root), false, 'signed by another key');
  t.equal(new X509Certificate(ca.issue({ isCa: true }).certPem).ca, true, 'a leaf that is an authority');
  const other = createPublicKey(stranger);
  const wrongKey = new X509Certificate(ca.sign(testRequestPem(), { publicKey: other }).certPem);
  t.equal(wrongKey.checkPrivateKey(stranger), true, 'another key than the request');
  const selfSigned = new X509Certificate(issueSelfSigned({ commonName: 'alone' }).certPem);
  t.equal(selfSigned.verify(selfSigned.publicKey), true);
  t.equal(selfSigned.ca, false);
});

t.test('a request is read and signed as it stands, or with differences', async (t) => {
  const key = generateTestKey();
  const csr = testRequestPem({
    key,
    commonName: 'system:node:n2',
    dnsNames: ['n2'],
    ipAddresses: ['::1'],
    emails: ['a@example.com'],
    uris: ['spiffe://x/y'],
  });
  const plain = new X509Certificate(ca.sign(csr, { usages: ['server auth'] }).certPem);
  t.equal(plain.subject, 'O=system:nodes\nCN=system:node:n2');
  t.equal(plain.subjectAltName, 'DNS:n2, IP Address:0:0:0:0:0:0:0:1, email:a@example.com, URI:spiffe://x/y');
  t.equal(plain.checkPrivateKey(key), true);
  const changed = new X509Certificate(ca.sign(csr, { organizations: ['x'], dnsNames: [] }).certPem);
  t.equal(changed.subject, 'O=x\nCN=system:node:n2');
  t.notMatch(changed.subjectAltName, /DNS/);
});

t.test('the proof of possession is checked', async (t) => {
  t.equal(readPkcs10(testRequestPem()).signatureValid, true);
  t.equal(readPkcs10(testRequestPem({ key: generateTestKey('RSA-2048') })).signatureValid, true);
  t.equal(readPkcs10(testRequestPem({ signingKey: generateTestKey() })).signatureValid, false);
  t.throws(() => readPkcs10(ca.pem), { message: 'PEM block type must be CERTIFICATE REQUEST' });
});

t.test('a public key is enough', async (t) => {
  const key = generateTestKey();
  const issued = ca.issue({ publicKey: createPublicKey(key), commonName: '' });
  t.equal(issued.keyPem, '');
  t.equal(new X509Certificate(issued.certPem).checkPrivateKey(key), true);
});
