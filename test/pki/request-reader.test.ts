/** PKCS#10 requests of strangers: every key, and every place where two readers could understand something different. */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import t from 'tap';
import { readRequest } from '../../src/pki/request-reader.ts';
import { bitString, der, integer, objectIdentifier, pem, sequence, TAG } from '../fixtures/cluster/der.ts';
import { encodeName } from '../fixtures/cluster/names.ts';
import { testRequestPem } from '../fixtures/cluster/test-request.ts';

const ALGORITHM = {
  sha256: sequence(objectIdentifier('1.2.840.10045.4.3.2')),
  sha384: sequence(objectIdentifier('1.2.840.10045.4.3.3')),
  sha512: sequence(objectIdentifier('1.2.840.10045.4.3.4')),
  rsa256: sequence(objectIdentifier('1.2.840.113549.1.1.11'), der(0x05)),
  rsa384: sequence(objectIdentifier('1.2.840.113549.1.1.12'), der(0x05)),
  rsa512: sequence(objectIdentifier('1.2.840.113549.1.1.13'), der(0x05)),
  rsaSha1: sequence(objectIdentifier('1.2.840.113549.1.1.5'), der(0x05)),
  ed25519: sequence(objectIdentifier('1.3.101.112')),
};
const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
const ec = (namedCurve: string): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;

interface Fields {
  readonly key?: KeyObject;
  readonly version?: Uint8Array;
  readonly subject?: Uint8Array;
  readonly publicKey?: Uint8Array;
  /** All that stands behind the key. */
  readonly rest?: readonly Uint8Array[];
  readonly algorithm?: Uint8Array;
  readonly hash?: string | null;
  readonly signature?: (bytes: Buffer) => Uint8Array;
  readonly more?: readonly Uint8Array[];
}

const NAME = encodeName({ commonName: 'system:node:n1', organizations: ['system:nodes'] });

function request(fields: Fields = {}): Buffer {
  const { key = p256, hash = 'sha256', algorithm = ALGORITHM.sha256 } = fields;
  const publicKey = fields.publicKey ?? createPublicKey(key).export({ format: 'der', type: 'spki' });
  const info = sequence(
    fields.version ?? integer(0n),
    fields.subject ?? NAME,
    publicKey,
    ...(fields.rest ?? [der(0xa0)]),
  );
  const signature = (fields.signature ?? bitString)(sign(hash, info, key));
  return sequence(info, algorithm, signature, ...(fields.more ?? []));
}

const pemOf = (fields: Fields): string => pem('CERTIFICATE REQUEST', request(fields));
const extensionRequest = (...values: readonly Uint8Array[]): Buffer =>
  sequence(objectIdentifier('1.2.840.113549.1.9.14'), der(TAG.set, ...values));
const extension = (oid: string, value: Uint8Array): Buffer =>
  sequence(objectIdentifier(oid), der(TAG.octetString, value));
const names = (...list: readonly Uint8Array[]): Buffer => extension('2.5.29.17', sequence(...list));
const dns = (text: string): Buffer => der(0x82, Buffer.from(text));
const asking = (...attributes: readonly Uint8Array[]): Fields => ({ rest: [der(0xa0, ...attributes)] });

for (const [algorithm, fields] of [
  ['ECDSA-P256', {}],
  ['ECDSA-P384', { key: ec('secp384r1'), hash: 'sha384', algorithm: ALGORITHM.sha384 }],
  ['ECDSA-P521', { key: ec('secp521r1'), hash: 'sha512', algorithm: ALGORITHM.sha512 }],
  ['ECDSA-secp224r1', { key: ec('secp224r1') }],
  ['ECDSA-secp256k1', { key: ec('secp256k1') }],
  ['RSA-2048', { key: rsa, algorithm: ALGORITHM.rsa256 }],
  ['RSA-2048', { key: rsa, hash: 'sha384', algorithm: ALGORITHM.rsa384 }],
  ['RSA-2048', { key: rsa, hash: 'sha512', algorithm: ALGORITHM.rsa512 }],
  ['RSA-1024', { key: generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey, algorithm: ALGORITHM.rsa256 }],
  ['Ed25519', { key: ed25519, hash: null, algorithm: ALGORITHM.ed25519 }],
] as const) {
  t.test(`a key of kind ${algorithm} that signed with ${fields.hash ?? 'its own hash'}`, async (t) => {
    t.strictSame(readRequest(pemOf(fields)), {
      commonName: 'system:node:n1',
      organizations: ['system:nodes'],
      dnsNames: [],
      ipAddresses: [],
      otherNames: [],
      keyAlgorithm: algorithm,
      oddities: [],
    });
  });
}

const NOT_SIGNED = 'it is not signed by its own key';
const OTHER_KIND = 'a field of another kind than PKCS#10 has there';
const COUNT = 'a field too many or too few';

for (const [name, fields, problem] of [
  ['another key signed it', { signature: () => bitString(sign('sha256', Buffer.from('x'), p256)) }, NOT_SIGNED],
  ['its signature is SHA-1’s', { key: rsa, hash: 'sha1', algorithm: ALGORITHM.rsaSha1 }, NOT_SIGNED],
  ['its algorithm is another key’s', { algorithm: ALGORITHM.rsa256 }, NOT_SIGNED],
  ['its algorithm is ECDSA’s and its key RSA’s', { key: rsa }, NOT_SIGNED],
  ['its algorithm is Ed25519’s', { algorithm: ALGORITHM.ed25519 }, NOT_SIGNED],
  ['its key is Ed25519 and its algorithm is not', { key: ed25519, hash: null }, NOT_SIGNED],
  ['its algorithm is no identifier', { algorithm: sequence(der(0x05)) }, NOT_SIGNED],
  ['its signature is no bit string', { signature: (bytes) => der(TAG.octetString, bytes) }, NOT_SIGNED],
  ['its signature is empty', { signature: () => der(TAG.bitString) }, NOT_SIGNED],
  ['its signature is no whole bytes', { signature: (bytes) => bitString(bytes, 1) }, NOT_SIGNED],
  ['its signature is cut off', { signature: (bytes) => bitString(bytes.subarray(0, 9)) }, NOT_SIGNED],
  ['its algorithm is empty', { algorithm: sequence() }, COUNT],
  ['its algorithm is none', { algorithm: der(0x05) }, OTHER_KIND],
  ['its version is 2', { version: integer(1n) }, 'its version is not 1'],
  ['its version is written in two bytes', { version: der(TAG.integer, Buffer.from([0, 0])) }, 'its version is not 1'],
  ['its public key is none', { publicKey: sequence(der(0x05)) }, 'its public key cannot be read'],
  [
    'its public key has bits of none',
    { publicKey: sequence(ALGORITHM.ed25519, bitString(Buffer.alloc(3))) },
    'its public key cannot be read',
  ],
  ['a field stands behind its signature', { more: [integer(1n)] }, COUNT],
  ['a field stands behind its attributes', { rest: [der(0xa0), der(0xa1)] }, COUNT],
  ['another field stands in the place of its attributes', { rest: [der(0xa1)] }, 'a field that PKCS#10 does not have'],
  ['an attribute is no sequence', asking(der(0x05)), OTHER_KIND],
  ['an attribute has no value', asking(sequence(objectIdentifier('1.2.3'))), COUNT],
  ['its extensions are in no set', asking(sequence(objectIdentifier('1.2.840.113549.1.9.14'), sequence())), OTHER_KIND],
  ['its extensions are no list', asking(extensionRequest(der(0x05))), OTHER_KIND],
  ['its names are no list', asking(extensionRequest(sequence(extension('2.5.29.17', dns('a'))))), OTHER_KIND],
  [
    'its names are cut off',
    asking(extensionRequest(sequence(extension('2.5.29.17', Buffer.from([0x30, 9]))))),
    'the bytes are no DER: a length that reaches past the end',
  ],
  [
    'it has a thousand and one extensions',
    asking(extensionRequest(...Array.from({ length: 1001 }, () => sequence()))),
    COUNT,
  ],
  [
    'it has a thousand and one names',
    asking(extensionRequest(sequence(names(...Array.from({ length: 1001 }, () => dns('a')))))),
    COUNT,
  ],
] as const satisfies readonly (readonly [string, Fields, string])[]) {
  t.test(`no request: ${name}`, async (t) => {
    const message = `it is no PKCS#10 request: ${problem}`;
    t.throws(() => readRequest(pemOf(fields)), { code: 'ERR_CERTIFICATE_INVALID', message });
  });
}

const NO_BLOCK = 'it does not begin with a CERTIFICATE REQUEST block';
const whole = request();

for (const [name, text, problem] of [
  ['nothing', '', NO_BLOCK],
  ['words', 'please sign', NO_BLOCK],
  ['the label of old tools', pem('NEW CERTIFICATE REQUEST', whole), NO_BLOCK],
  ['a certificate before it', pem('CERTIFICATE', whole) + pem('CERTIFICATE REQUEST', whole), NO_BLOCK],
  ['an empty block', '-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n', NO_BLOCK],
  [
    'bytes behind its end',
    pem('CERTIFICATE REQUEST', Buffer.concat([whole, Buffer.of(0)])),
    'the bytes are no DER: data after the end',
  ],
  [
    'half of it',
    pem('CERTIFICATE REQUEST', whole.subarray(0, 90)),
    'the bytes are no DER: a length that reaches past the end',
  ],
  ['a set in its place', pem('CERTIFICATE REQUEST', der(TAG.set, integer(0n))), OTHER_KIND],
  [
    'a certificate’s fields',
    pem('CERTIFICATE REQUEST', sequence(sequence(integer(0n)), sequence(), integer(0n))),
    COUNT,
  ],
] as const) {
  t.test(`no request: ${name}`, async (t) => {
    const message = `it is no PKCS#10 request: ${problem}`;
    t.throws(() => readRequest(text), { code: 'ERR_CERTIFICATE_INVALID', message });
  });
}

const attribute = (oid: string, text: string): Buffer =>
  der(TAG.set, sequence(objectIdentifier(oid), der(TAG.utf8String, Buffer.from(text))));
const CN = '2.5.4.3';
const O = '2.5.4.10';

for (const row of [
  {
    name: 'two common names',
    fields: { subject: sequence(attribute(CN, 'a'), attribute(CN, 'b')) },
    gives: { commonName: undefined, organizations: [], oddities: ['several common names'] },
  },
  {
    name: 'a country',
    fields: { subject: sequence(attribute(O, 'o'), attribute('2.5.4.6', 'CH'), attribute(CN, 'a')) },
    gives: {
      commonName: 'a',
      organizations: ['o'],
      oddities: ['a subject with more than common name and organizations'],
    },
  },
  {
    name: 'a common name that is no text',
    fields: { subject: sequence(der(TAG.set, sequence(objectIdentifier(CN), integer(7n)))) },
    gives: { commonName: undefined, oddities: ['a subject that cannot be read'] },
  },
  {
    name: 'an organization in bytes that are no UTF-8',
    fields: { subject: sequence(der(TAG.set, sequence(objectIdentifier(O), der(TAG.utf8String, Buffer.of(0xff))))) },
    gives: { organizations: [], oddities: ['a subject that cannot be read'] },
  },
  {
    name: 'no subject',
    fields: { subject: sequence() },
    gives: { commonName: undefined, organizations: [], oddities: [] },
  },
  { name: 'no attributes at all', fields: { rest: [] }, gives: { dnsNames: [], oddities: [] } },
  {
    name: 'a challenge password',
    fields: asking(sequence(objectIdentifier('1.2.840.113549.1.9.7'), der(TAG.set))),
    gives: { oddities: ['an attribute that is no list of extensions'] },
  },
  {
    name: 'an attribute without an identifier',
    fields: asking(sequence(integer(1n), der(TAG.set))),
    gives: { oddities: ['an attribute that is no list of extensions'] },
  },
  { name: 'an empty list of extensions', fields: asking(extensionRequest()), gives: { dnsNames: [], oddities: [] } },
  {
    name: 'a CA’s extension beside its names',
    fields: asking(extensionRequest(sequence(names(dns('a')), extension('2.5.29.19', sequence())))),
    gives: { dnsNames: ['a'], oddities: ['an extension besides its names'] },
  },
  {
    name: 'names twice in one list',
    fields: asking(extensionRequest(sequence(names(dns('a')), names(dns('b'))))),
    gives: { dnsNames: ['a', 'b'], oddities: ['several lists of names'] },
  },
  {
    name: 'names in two attributes',
    fields: asking(extensionRequest(sequence(names(dns('a')))), extensionRequest(sequence(names(dns('b'))))),
    gives: { dnsNames: ['a', 'b'], oddities: ['several lists of extensions', 'several lists of names'] },
  },
  {
    name: 'a second attribute with an empty list, which some readers take for the only one',
    fields: asking(extensionRequest(sequence(names(dns('a')))), extensionRequest(sequence())),
    gives: { dnsNames: ['a'], oddities: ['several lists of extensions'] },
  },
  {
    name: 'two lists in one attribute, of which some readers take the first alone',
    fields: asking(extensionRequest(sequence(), sequence(names(dns('a'))))),
    gives: { dnsNames: ['a'], oddities: ['several lists of extensions'] },
  },
  {
    name: 'thousands of attributes: each was told, in megabytes of reasons',
    fields: asking(...Array.from({ length: 5000 }, () => sequence(objectIdentifier('1.2.3'), der(TAG.set)))),
    gives: { oddities: ['an attribute that is no list of extensions'] },
  },
  {
    name: 'a name of every kind',
    fields: asking(
      extensionRequest(
        sequence(
          names(
            dns('N1.Example'),
            der(0x87, Buffer.of(192, 0, 2, 1)),
            der(0x87, Buffer.from('20010db8000000000000000000000001', 'hex')),
            der(0x87, Buffer.of(1, 2, 3)),
            der(0x87),
            der(0x81, Buffer.from('a@example')),
            der(0x86, Buffer.from('spiffe://a')),
            der(0x88, Buffer.of(42)),
          ),
        ),
      ),
    ),
    gives: {
      dnsNames: ['N1.Example'],
      ipAddresses: ['192.0.2.1', '2001:db8::1'],
      otherNames: ['of another kind', 'of another kind', 'email:a@example', 'URI:spiffe://a', 'of another kind'],
      oddities: [],
    },
  },
] as const) {
  t.test(`a request with ${row.name}`, async (t) => {
    const facts: object = readRequest(pemOf(row.fields));
    t.strictSame(Object.fromEntries(Object.keys(row.gives).map((key) => [key, Reflect.get(facts, key)])), row.gives);
  });
}

const plain = testRequestPem({ key: p256 });

for (const [name, text, oddities] of [
  ['as it is', plain, []],
  ['with the lines of another system', plain.replaceAll('\n', '\r\n'), []],
  ['with words before it', `# n1\n${plain}`, ['text around the request']],
  ['with words behind it', `${plain}n1`, ['text around the request']],
  ['twice', plain + plain, ['text around the request']],
] as const) {
  t.test(`the text of a request ${name}`, async (t) => {
    t.strictSame(readRequest(text).oddities, oddities);
  });
}
