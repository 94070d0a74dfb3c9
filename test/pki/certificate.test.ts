import { X509Certificate } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { isCertletError } from '../../src/errors.ts';
import {
  certificateFacts,
  chainMatchesKey,
  encodePair,
  isIssuedBy,
  parseChain,
  parsePair,
  splitCertificates,
} from '../../src/pki/certificate.ts';
import { generatePrivateKey, parsePrivateKey } from '../../src/pki/keys.ts';
import { encodePem, pemBlocks } from '../../src/pki/pem.ts';
import { Secret } from '../../src/secret.ts';
import { ANY_CHARACTER } from '../fixtures/any-character.ts';
import { createAuthority, issueSelfSigned } from '../fixtures/cluster/authority.ts';

const root = createAuthority({ name: 'root' });
const middle = root.intermediate({ name: 'middle', keyAlgorithm: 'RSA-2048' });
const leaf = middle.issue({
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  dnsNames: ['n1'],
  ipAddresses: ['10.0.0.1', 'fd00::1'],
  emails: ['a@example.com'],
  uris: ['spiffe://x/y'],
  usages: ['digital signature', 'server auth'],
  notBefore: new Date('2026-01-01T00:00:00Z'),
  notAfter: new Date('2056-01-01T00:00:00Z'),
  serial: 0xffeen,
});

t.test(
  'parseChain reads leaf and intermediates with their facts, and the end of the one that ends first',
  async (t) => {
    const chain = parseChain(leaf.chainPem);
    t.equal(chain.certificates.length, 2);
    t.equal(chain.pem, leaf.chainPem);
    t.strictSame(chain.leaf, {
      commonName: 'system:node:n1',
      organizations: ['system:nodes'],
      dnsNames: ['n1'],
      ipAddresses: ['10.0.0.1', 'fd00::1'],
      otherNames: ['email:a@example.com', 'URI:spiffe://x/y'],
      extendedKeyUsages: ['server auth'],
      notBefore: new Date('2026-01-01T00:00:00Z'),
      notAfter: new X509Certificate(middle.pem).validToDate,
      endsWith: 'CN=middle',
      serial: 'ffee',
      fingerprint: new X509Certificate(leaf.certPem).fingerprint256.replaceAll(':', '').toLowerCase(),
      subject: 'O=system:nodes, CN=system:node:n1',
      issuer: 'CN=middle',
      isCa: false,
      selfSigned: false,
    });
  },
);

t.test(
  'of several certificates that end before the leaf the one that ends first counts, wherever it stands',
  async (t) => {
    const until = (year: number): { notAfter: Date } => ({ notAfter: new Date(Date.UTC(year, 0, 1)) });
    const chain = (outer: number, inner: number): string =>
      root
        .intermediate({ name: 'outer', ...until(outer) })
        .intermediate({ name: 'inner', ...until(inner) })
        .issue(until(2056)).chainPem;
    t.match(parseChain(chain(2050, 2040)).leaf, { endsWith: 'CN=inner', ...until(2040) });
    t.match(parseChain(chain(2040, 2050)).leaf, { endsWith: 'CN=outer', ...until(2040) });
  },
);

t.test('facts of an authority', async (t) => {
  t.match(certificateFacts(new X509Certificate(root.pem)), {
    isCa: true,
    selfSigned: true,
    subject: 'CN=root',
    issuer: 'CN=root',
    dnsNames: [],
    serial: '0',
  });
  t.match(parseChain(middle.pem).leaf, { isCa: true, selfSigned: false, issuer: 'CN=root' });
});

t.test('facts of a certificate without subject, names or extended usages', async (t) => {
  const bare = root.issue({ commonName: '', usages: ['digital signature'] });
  t.match(parseChain(bare.certPem).leaf, {
    commonName: '',
    organizations: [],
    subject: '',
    extendedKeyUsages: [],
    dnsNames: [],
    otherNames: [],
  });
});

t.test('several organizations and a subject with separators', async (t) => {
  const odd = root.issue({ commonName: 'a, O=system:masters\nCN=x', organizations: ['one', 'two'] });
  const facts = parseChain(odd.certPem).leaf;
  t.match(facts, { commonName: 'a, O=system:masters\nCN=x', organizations: ['one', 'two'] });
  t.notMatch(facts.subject, /\n/);
});

t.test('of several common names the last counts, as in Go', async (t) => {
  const hex = Buffer.from(new X509Certificate(leaf.certPem).raw).toString('hex');
  // O (2.5.4.10) becomes CN (2.5.4.3); it stands before the common name.
  const facts = certificateFacts(new X509Certificate(Buffer.from(hex.replace('060355040a', '0603550403'), 'hex')));
  t.match(facts, { commonName: 'system:node:n1', organizations: [], subject: 'CN=system:nodes, CN=system:node:n1' });
});

t.test('a certificate of its own name that another key signed is not self-signed', async (t) => {
  const impostor = root.issue({ commonName: 'root' });
  t.equal(parseChain(impostor.certPem).leaf.selfSigned, false);
  t.equal(parseChain(issueSelfSigned({ commonName: 'x' }).certPem).leaf.selfSigned, true);
});

for (const row of [
  { name: 'text and comments around blocks', text: `subject=x\n\n${leaf.certPem}# next\n${middle.pem}end` },
  { name: 'a private key before the certificate', text: leaf.keyPem + leaf.chainPem },
  { name: 'headers within a block', text: leaf.chainPem.replaceAll('-----\nM', '-----\nComment: x\n\nM') },
  { name: 'Windows line ends', text: leaf.chainPem.replaceAll('\n', '\r\n') },
]) {
  t.test(`parseChain tolerates ${row.name} and re-encodes without`, async (t) => {
    t.equal(parseChain(row.text).pem, leaf.chainPem);
  });
}

const request = '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n';
const leafDer = pemBlocks(leaf.certPem)[0]?.der ?? Buffer.of();

for (const row of [
  { name: 'an empty file', text: '', message: /found an empty text/ },
  { name: 'garbage', text: '\0\0\0\xff', message: /no PEM block in 4 characters/ },
  {
    name: 'a key in place of a certificate',
    text: leaf.keyPem,
    message: /expected a CERTIFICATE block, found PEM block EC PRIVATE KEY/,
  },
  { name: 'a request in place of a certificate', text: request, message: /found PEM block CERTIFICATE REQUEST/ },
  {
    name: 'a file that is cut off',
    text: leaf.certPem.slice(0, 200),
    message: /CERTIFICATE block 1 is cut off or no base64/,
  },
  {
    name: 'a chain whose second block is cut off',
    text: leaf.chainPem.slice(0, -100),
    message: /CERTIFICATE block 2 is cut off/,
  },
  {
    name: 'a block of other bytes',
    text: request.replaceAll(' REQUEST', ''),
    message: /CERTIFICATE block 1 does not hold an X.509 certificate/,
  },
  {
    name: 'bytes after the certificate',
    text: encodePem('CERTIFICATE', Buffer.concat([leafDer, Buffer.of(0)])),
    message: /block 1 does not hold an X.509 certificate/,
  },
  { name: 'a huge text', text: leaf.certPem.repeat(2_000), message: /characters are too many for certificates/ },
]) {
  t.test(`parseChain refuses ${row.name}, and says what was found`, async (t) => {
    t.throws(() => parseChain(row.text), { code: 'ERR_CERTIFICATE_INVALID', message: row.message });
  });
}

t.test('whatever the text or the bytes of the certificate, only ERR_CERTIFICATE_INVALID is thrown', async () => {
  const changed = fc
    .array(fc.tuple(fc.nat(leafDer.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const bytes = Buffer.from(leafDer);
      for (const [at, value] of changes) bytes[at] = value;
      return encodePem('CERTIFICATE', bytes);
    });
  fc.assert(
    fc.property(
      fc.oneof({ weight: 5, arbitrary: changed }, fc.string(), fc.string({ unit: ANY_CHARACTER })),
      (text) => {
        try {
          const chain = parseChain(text);
          return chain.certificates.length === 1 && typeof chain.leaf.commonName === 'string';
        } catch (error) {
          return isCertletError(error, 'ERR_CERTIFICATE_INVALID');
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

t.test('splitCertificates gives each certificate of a bundle as a PEM of its own', async (t) => {
  t.same(splitCertificates(`roots\n${root.pem}\n${leaf.keyPem}${middle.pem}`), [root.pem, middle.pem]);
});

t.test('isIssuedBy asks for name and signature', async (t) => {
  const certificate = (pem: string): X509Certificate => new X509Certificate(pem);
  const twin = createAuthority({ name: 'middle', keyAlgorithm: 'RSA-2048' });
  t.ok(isIssuedBy(certificate(leaf.certPem), certificate(middle.pem)));
  t.ok(isIssuedBy(certificate(middle.pem), certificate(root.pem)));
  t.notOk(isIssuedBy(certificate(leaf.certPem), certificate(root.pem)));
  t.notOk(isIssuedBy(certificate(leaf.certPem), certificate(twin.pem)));
  // The right name on a signature by somebody else, and the right signature by a key that has another name now.
  t.notOk(isIssuedBy(certificate(middle.issue({ signingKey: twin.key }).certPem), certificate(middle.pem)));
  t.notOk(
    isIssuedBy(certificate(leaf.certPem), certificate(createAuthority({ name: 'renamed', key: middle.key }).pem)),
  );
});

t.test('a key of an unknown algorithm has signed nothing', async (t) => {
  const hex = Buffer.from(new X509Certificate(root.pem).raw).toString('hex');
  // id-ecPublicKey with another last arc.
  const unknown = new X509Certificate(Buffer.from(hex.replace('2a8648ce3d0201', '2a8648ce3d0209'), 'hex'));
  t.equal(certificateFacts(unknown).selfSigned, false);
  t.notOk(isIssuedBy(new X509Certificate(middle.pem), unknown));
});

for (const algorithm of ['ECDSA-P256', 'ECDSA-P384', 'RSA-2048'] as const) {
  t.test(`a ${algorithm} pair goes through one file: leaf, intermediates, one key`, async (t) => {
    const key = await generatePrivateKey(algorithm);
    const chain = parseChain(middle.issue({ key: key.object }).chainPem);
    const pem = encodePair({ chain, key });
    t.same(
      pemBlocks(pem.reveal()).map(({ label }) => label),
      ['CERTIFICATE', 'CERTIFICATE', algorithm.startsWith('RSA') ? 'RSA PRIVATE KEY' : 'EC PRIVATE KEY'],
    );
    const pair = parsePair(pem);
    t.equal(pair.chain.pem, chain.pem);
    t.ok(pair.key.object.equals(key.object));
    t.ok(chainMatchesKey(pair.chain, pair.key));
    t.equal(encodePair(pair).reveal(), pem.reveal());
  });
}

for (const row of [
  {
    name: 'a key of another certificate',
    pem: leaf.certPem + root.keyPem,
    code: 'ERR_KEY_INVALID',
    message: /not the one that the certificate O=system:nodes, CN=system:node:n1 is for/,
  },
  { name: 'a key of another kind', pem: leaf.certPem + middle.keyPem, code: 'ERR_KEY_INVALID', message: /not the one/ },
  {
    name: 'the key of the intermediate',
    pem: leaf.chainPem + middle.keyPem,
    code: 'ERR_KEY_INVALID',
    message: /not the one/,
  },
  {
    name: 'no key',
    pem: leaf.certPem,
    code: 'ERR_KEY_INVALID',
    message: /no private key: found PEM block CERTIFICATE/,
  },
  {
    name: 'no certificate',
    pem: leaf.keyPem,
    code: 'ERR_CERTIFICATE_INVALID',
    message: /found PEM block EC PRIVATE KEY/,
  },
  { name: 'an empty file', pem: '', code: 'ERR_CERTIFICATE_INVALID', message: /an empty text/ },
]) {
  t.test(`parsePair refuses ${row.name}`, async (t) => {
    t.throws(() => parsePair(new Secret(row.pem)), { code: row.code, message: row.message });
  });
}

t.test('parsePair reads the key first, EC PARAMETERS and all', async (t) => {
  const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
  t.ok(
    parsePair(new Secret(parameters + leaf.keyPem + leaf.chainPem)).key.object.equals(
      parsePrivateKey(new Secret(leaf.keyPem)).object,
    ),
  );
});
