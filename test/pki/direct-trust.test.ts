import { createPublicKey, ECDH, generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { directTrust, type DirectTrust, MAX_CANDIDATES } from '../../src/pki/direct-trust.ts';
import { generateTestKey } from '../fixtures/cluster/authority.ts';
import { bitString, der, integer, objectIdentifier, sequence, TAG, time } from '../fixtures/cluster/der.ts';
import {
  address,
  dns,
  EARLY,
  EXTENSION,
  nameOf,
  oddCertificate,
  oddExtension,
  type OddFields,
  SIGNATURE,
  USAGE,
} from '../fixtures/odd-certificate.ts';

const caKey = generateTestKey();
const rsaKey = generateTestKey('RSA-2048');
const smallKey = generateTestKey('RSA-1024');
const otherKey = generateTestKey();
const kubernetes = nameOf('kubernetes');
const now = new Date('2040-01-01T00:00:00Z');
const past = time(new Date('2039-12-31T23:59:59Z'));
const future = time(new Date('2040-01-01T00:00:01Z'));
const names = EXTENSION.names(dns('localhost'), address(127, 0, 0, 1));
const server = EXTENSION.usages(USAGE.server);

type Fields = Partial<OddFields>;

const spkiOf = (key: ReturnType<typeof generateTestKey>): Buffer =>
  createPublicKey(key).export({ type: 'spki', format: 'der' });
const curveKey = (curve: string): Buffer => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: curve });
  return publicKey.export({ type: 'spki', format: 'der' });
};
/** The key as OpenSSL reads it and Go does not: its point in another form than the plain one. */
function pointKey(key: ReturnType<typeof generateTestKey>, form: 'compressed' | 'hybrid'): Buffer {
  const point = spkiOf(key).subarray(-65);
  const algorithm = sequence(objectIdentifier('1.2.840.10045.2.1'), objectIdentifier('1.2.840.10045.3.1.7'));
  return sequence(algorithm, bitString(Buffer.from(ECDH.convertKey(point, 'prime256v1', undefined, undefined, form))));
}

/** OpenSSL reads it, and throws where it is to write it. */
const INFINITY_KEY = Buffer.from('3019301306072a8648ce3d020106082a8648ce3d03010703020000', 'hex');

/** RSA's two numbers in a sequence that has no length but an end: BER and no DER. */
function endlessRsaKey(): Buffer {
  const numbers = createPublicKey(rsaKey).export({ type: 'pkcs1', format: 'der' }).subarray(4);
  const endless = Buffer.concat([Buffer.from([0x30, 0x80]), numbers, Buffer.from([0, 0])]);
  return sequence(sequence(objectIdentifier('1.2.840.113549.1.1.1'), der(0x05)), bitString(endless));
}

function evenRsaKey(): Buffer {
  const { n = '' } = createPublicKey(rsaKey).export({ format: 'jwk' });
  return createPublicKey({ key: { kty: 'RSA', n, e: 'Ag' }, format: 'jwk' }).export({ type: 'spki', format: 'der' });
}

/** An object identifier of these bytes, whether or not they are one. */
const rawOid = (...bytes: readonly number[]): Buffer => der(TAG.oid, Buffer.from(bytes));
const usagesWith = (oid: Buffer): Buffer => oddExtension('2.5.29.37', sequence(objectIdentifier(USAGE.server), oid));
const uri = der(0x86, Buffer.from('spiffe://x'));

function leaf(fields: Fields = {}): Buffer {
  const { signingKey = caKey } = fields;
  return oddCertificate({
    issuer: kubernetes,
    subject: nameOf('kube-apiserver'),
    signingKey,
    publicKey: spkiOf(otherKey),
    ...fields,
  });
}

function ca(fields: Fields = {}): Buffer {
  const extensions = [EXTENSION.ca, EXTENSION.certSign];
  return oddCertificate({ issuer: kubernetes, subject: kubernetes, signingKey: caKey, extensions, ...fields });
}

function judge(leafDer: Uint8Array, cas: readonly Uint8Array[] = [ca()], host = 'localhost'): DirectTrust {
  return directTrust({ leaf: leafDer, cas, host, now });
}

/** A CA with these extensions beside those that make it one. */
const caWith = (...more: readonly Uint8Array[]): Buffer =>
  ca({ extensions: [EXTENSION.ca, EXTENSION.certSign, ...more] });
const leafWith = (...more: readonly Uint8Array[]): Buffer => leaf({ extensions: [server, names, ...more] });

for (const [name, [certificate, cas, host]] of Object.entries<[Buffer, Buffer[]?, string?]>({
  'a leaf of the CA': [leaf()],
  'by its address': [leaf(), [ca()], '127.0.0.1'],
  'the second CA of one subject': [leaf(), [ca({ signingKey: otherKey }), ca()]],
  'a CA reissued with its key, whose key identifier is another': [
    leafWith(EXTENSION.issuerKeyId(1)),
    [caWith(EXTENSION.keyId(2))],
  ],
  'an authority key identifier with issuer and serial of a former CA certificate': [
    leafWith(oddExtension('2.5.29.35', sequence(der(0xa1, der(0xa4, kubernetes)), der(0x82, Buffer.from([9]))))),
  ],
  'no extended key usage': [leaf({ extensions: [names] })],
  'any extended key usage': [leaf({ extensions: [EXTENSION.usages(USAGE.any), names] })],
  'usages that Go does not look at': [leafWith(EXTENSION.nonRepudiation, EXTENSION.netscapeClient)],
  'an extension that nobody knows and that is not critical': [leafWith(oddExtension('1.2.3.4', Buffer.from([5, 0])))],
  'a CA without key usage': [leaf(), [ca({ extensions: [EXTENSION.ca] })]],
  'a CA below which nothing but leaves may be': [
    leaf(),
    [ca({ extensions: [EXTENSION.caPath(0), EXTENSION.certSign] })],
  ],
  'an intermediate as CA, as Go trusts it': [
    leaf(),
    [ca({ issuer: nameOf('root'), signingKey: otherKey, publicKey: spkiOf(caKey) })],
  ],
  'a renewed CA beside the expired one': [leaf(), [ca({ notAfter: past }), ca()]],
  'an RSA CA': [
    leaf({ signingKey: rsaKey, algorithm: SIGNATURE.rsaSha256 }),
    [ca({ signingKey: rsaKey, algorithm: SIGNATURE.rsaSha256 })],
  ],
})) {
  t.test(`a server is trusted: ${name}`, async (t) => t.strictSame(judge(certificate, cas, host), { kind: 'trusted' }));
}

const SHA1 = { algorithm: SIGNATURE.ecdsaSha1, hash: 'sha1' };
const nodeLeaf = leaf({ subject: nameOf('system:node:n1'), publicKey: spkiOf(otherKey) });
const KEY_USAGE = bitString(Buffer.from([0x80]), 7);
const critical = (oid: string): Buffer => oddExtension(oid, sequence(), 'critical');

for (const [name, [certificate, cas]] of Object.entries<[Uint8Array, Uint8Array[]?]>({
  'another CA of that name': [leaf(), [ca({ signingKey: otherKey })]],
  'a CA of another name with the right key': [leaf(), [ca({ subject: nameOf('other') })]],
  'a name that differs by letters only': [leaf({ issuer: nameOf('Kubernetes') })],
  'a byte changed in what is signed': [changed(leaf(), 'kube-apiserver', 'kube-apiserves')],
  'a signature cut off': [leaf().subarray(0, -1)],
  'something after its end': [Buffer.concat([leaf(), Buffer.from([0])])],
  'a signature with SHA-1': [leaf(SHA1)],
  'two names for the signature algorithm': [leaf({ innerAlgorithm: SIGNATURE.ecdsaSha1 })],
  'an RSA signature algorithm over an ECDSA signature': [leaf({ algorithm: SIGNATURE.rsaSha256 })],
  'a serial number with a zero too many': [leaf({ serial: Buffer.from([0, 7]) })],
  'a critical flag that is neither true nor false': [
    leafWith(
      sequence(objectIdentifier('2.5.29.15'), der(TAG.boolean, Buffer.from([1])), der(TAG.octetString, KEY_USAGE)),
    ),
  ],
  'a CA whose key is a compressed point': [leaf(), [ca({ publicKey: pointKey(caKey, 'compressed') })]],
  'no CA at all': [leaf(), []],
  'a CA that is no certificate': [leaf(), [Buffer.from('hello')]],
  'a CA with an RSA key of 1024 bits': [
    leaf({ signingKey: smallKey, algorithm: SIGNATURE.rsaSha256 }),
    [ca({ signingKey: smallKey, algorithm: SIGNATURE.rsaSha256 })],
  ],
  "a node's leaf as issuer": [leaf({ issuer: nameOf('system:node:n1'), signingKey: otherKey }), [ca()]],
  'a self-signed certificate in the name of the CA': [leaf({ subject: kubernetes, signingKey: otherKey })],
  'more CAs of one name than are looked at': [
    leaf(),
    [...Array.from({ length: MAX_CANDIDATES }, () => ca({ signingKey: otherKey })), ca()],
  ],
})) {
  t.test(`no CA has signed it: ${name}`, async (t) => t.match(judge(certificate, cas).kind, /^(unknown|other key)$/));
}

for (const [name, words, certificate, cas, host] of [
  [
    "a node's leaf in the bundle as issuer",
    /is no CA/,
    leaf({ issuer: nameOf('system:node:n1'), signingKey: otherKey }),
    [nodeLeaf],
  ],
  ['a CA that says that it is none', /is no CA/, leaf(), [ca({ extensions: [EXTENSION.notCa, EXTENSION.certSign] })]],
  ['a CA without basic constraints', /is no CA/, leaf(), [ca({ extensions: [EXTENSION.certSign] })]],
  ['a CA of X.509 v1', /v3/, leaf(), [ca({ version: 0n, extensions: [] })]],
  [
    'a CA that may not sign certificates',
    /key usage/,
    leaf(),
    [ca({ extensions: [EXTENSION.ca, EXTENSION.signature] })],
  ],
  ['a CA for clients only', /extended key usage/, leaf(), [caWith(EXTENSION.usages(USAGE.client))]],
  ['a CA with name constraints', /name constraints/, leaf(), [caWith(EXTENSION.constraints)]],
  ['a CA with an unknown critical extension', /not understood/, leaf(), [caWith(critical('1.2.3.4'))]],
  ['a CA with an extension twice', /twice/, leaf(), [caWith(EXTENSION.certSign)]],
  ['an expired CA', /the CA "CN=kubernetes" of the kubeconfig expired at 2039-12-31/, leaf(), [ca({ notAfter: past })]],
  ['a CA that is not yet valid', /not valid before/, leaf(), [ca({ notBefore: future })]],
  [
    'a path length that is none',
    /cannot be read/,
    leaf(),
    [
      ca({
        extensions: [
          oddExtension(
            '2.5.29.19',
            sequence(der(TAG.boolean, Buffer.from([0xff])), der(TAG.integer, Buffer.from([0xff]))),
          ),
          EXTENSION.certSign,
        ],
      }),
    ],
  ],
  ['an expired leaf', /certificate expired at/, leaf({ notAfter: past })],
  ['a leaf that is not yet valid', /not valid before/, leaf({ notBefore: future })],
  [
    'a date with fractions',
    /dates that cannot be read/,
    leaf({ notAfter: der(TAG.generalizedTime, Buffer.from('20490101000000.5Z')) }),
  ],
  [
    'the 30th of February',
    /dates that cannot be read/,
    leaf({ notAfter: der(TAG.generalizedTime, Buffer.from('20490230000000Z')) }),
  ],
  ['a leaf for clients', /it is for clients/, leaf({ extensions: [EXTENSION.usages(USAGE.client), names] })],
  [
    'no usage in the list of usages',
    /cannot be read|not for servers/,
    leaf({ extensions: [EXTENSION.usages(), names] }),
  ],
  ['an unknown critical extension', /not understood/, leafWith(critical('1.2.3.4'))],
  ['critical certificate policies', /policies/, leafWith(critical('2.5.29.32'))],
  ['name constraints in a leaf', /name constraints/, leafWith(EXTENSION.constraints)],
  ['an extension twice', /twice/, leafWith(server)],
  ["names twice, the second one an attacker's", /twice/, leafWith(EXTENSION.names(dns('other.example')))],
  ['a negative serial number', /negative/, leaf({ serial: Buffer.from([0x80]) })],
  ['a key of 1024 bits', /kind or size/, leaf({ publicKey: spkiOf(smallKey) })],
  ['a key on a curve that Go does not read', /kind or size/, leaf({ publicKey: curveKey('secp256k1') })],
  ['a key that is a compressed point', /kind or size/, leaf({ publicKey: pointKey(otherKey, 'compressed') })],
  ['a key that is a point in both forms', /kind or size/, leaf({ publicKey: pointKey(otherKey, 'hybrid') })],
  ['a key that is the point at infinity', /kind or size/, leaf({ publicKey: INFINITY_KEY })],
  ['an RSA key that is no DER', /kind or size/, leaf({ publicKey: endlessRsaKey() })],
  ['an RSA key with an even exponent', /kind or size/, leaf({ publicKey: evenRsaKey() })],
  [
    'a key usage with a bit set behind its end',
    /extension that cannot be read/,
    leafWith(oddExtension('2.5.29.15', der(TAG.bitString, Buffer.from([7, 0x81])))),
  ],
  [
    'an extended key usage of no bytes',
    /extension that cannot be read/,
    leaf({ extensions: [usagesWith(rawOid()), names] }),
  ],
  [
    'an extended key usage that is cut off',
    /extension that cannot be read/,
    leaf({ extensions: [usagesWith(rawOid(0x2b, 0x81)), names] }),
  ],
  [
    'an extended key usage with a zero too many',
    /extension that cannot be read/,
    leaf({ extensions: [usagesWith(rawOid(0x2b, 0x80, 0x01)), names] }),
  ],
  [
    'an extended key usage with a number above 31 bits',
    /extension that cannot be read/,
    leaf({ extensions: [usagesWith(rawOid(0x2b, 0x88, 0x80, 0x80, 0x80, 0x00)), names] }),
  ],
  [
    'an extension whose type is no object identifier',
    /extension that cannot be read/,
    leafWith(sequence(rawOid(0x2b, 0x81), der(TAG.octetString, Buffer.from([5, 0])))),
  ],
  [
    'a part of the subject whose type is no object identifier',
    /name that cannot be read/,
    leaf({ subject: sequence(der(TAG.set, sequence(rawOid(0x55, 0x84), der(0x13, Buffer.from('x'))))) }),
  ],
  ['a CA with a URI among its names', /CA .*names that cannot be read/, leaf(), [caWith(EXTENSION.names(uri))]],
  [
    'a CA with critical names of which none is understood',
    /CA .*not understood/,
    leaf(),
    [caWith(oddExtension('2.5.29.17', sequence(der(0xa4, kubernetes)), 'critical'))],
  ],
  ['another name', /another name/, leaf(), [ca()], 'other.example'],
  ['another address', /another name/, leaf(), [ca()], '127.0.0.2'],
  [
    'a name for its address',
    /another name/,
    leaf({ extensions: [server, EXTENSION.names(dns('127.0.0.1'))] }),
    [ca()],
    '127.0.0.1',
  ],
  ['its common name alone', /another name/, leaf({ subject: nameOf('localhost'), extensions: [server] })],
  [
    'a name with a byte of zero',
    /cannot be read.*another name/,
    leaf({ extensions: [server, EXTENSION.names(dns('localhost\0.evil'))] }),
  ],
  [
    'a star that stands for a part of a label',
    /cannot be read/,
    leaf({ extensions: [server, EXTENSION.names(dns('local*'))] }),
  ],
  [
    'an address of three bytes',
    /cannot be read/,
    leaf({ extensions: [server, EXTENSION.names(dns('localhost'), address(1, 2, 3))] }),
  ],
  ['a URI among the names', /cannot be read/, leaf({ extensions: [server, EXTENSION.names(dns('localhost'), uri)] })],
  [
    'a subject that Go cannot read',
    /name that cannot be read/,
    leaf({ subject: sequence(der(TAG.set, sequence(objectIdentifier('2.5.4.3'), der(0x13, Buffer.from('a_b'))))) }),
  ],
  ['a key identifier that is none', /cannot be read/, leafWith(oddExtension('2.5.29.14', integer(1n)))],
] as readonly (readonly [string, RegExp, Uint8Array, Uint8Array[]?, string?])[]) {
  t.test(`a CA has signed it, but: ${name}`, async (t) => {
    const verdict = judge(certificate, cas, host);
    t.equal(verdict.kind, 'signed');
    if (verdict.kind === 'signed') t.match(verdict.problems.map(({ text }) => text).join('; '), words);
  });
}

t.test('no change of one byte makes another certificate trusted', async (t) => {
  const good = leaf({ notBefore: EARLY });
  const trusted: number[] = [];
  for (let index = 0; index < good.length; index += 1) {
    const bytes = Buffer.from(good);
    bytes[index] = (bytes[index] ?? 0) ^ 0x01;
    if (judge(bytes).kind === 'trusted') trusted.push(index);
  }
  t.strictSame(trusted, []);
});

function changed(bytes: Buffer, from: string, to: string): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1');
}
