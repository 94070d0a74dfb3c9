import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import t from 'tap';
import { isCertletError } from '../../src/errors.ts';
import { encodePrivateKey, generatePrivateKey, KEY_ALGORITHMS, parsePrivateKey } from '../../src/pki/keys.ts';
import { Secret } from '../../src/secret.ts';

const LABELS = {
  'ECDSA-P256': 'EC PRIVATE KEY',
  'ECDSA-P384': 'EC PRIVATE KEY',
  'RSA-2048': 'RSA PRIVATE KEY',
  'RSA-3072': 'RSA PRIVATE KEY',
  'RSA-4096': 'RSA PRIVATE KEY',
};
const DETAILS = {
  'ECDSA-P256': { namedCurve: 'prime256v1' },
  'ECDSA-P384': { namedCurve: 'secp384r1' },
  'RSA-2048': { modulusLength: 2048 },
  'RSA-3072': { modulusLength: 3072 },
  'RSA-4096': { modulusLength: 4096 },
};

for (const algorithm of KEY_ALGORITHMS) {
  t.test(`${algorithm}: is made, written in one block as the kubelet does, and read back`, async (t) => {
    const key = await generatePrivateKey(algorithm);
    t.match(key.object.asymmetricKeyDetails, DETAILS[algorithm]);
    const pem = encodePrivateKey(key);
    t.equal(pem.reveal().split('\n')[0], `-----BEGIN ${LABELS[algorithm]}-----`);
    t.equal(pem.reveal().match(/-----BEGIN /g)?.length, 1);
    const again = parsePrivateKey(pem);
    t.ok(again.object.equals(key.object));
    t.same(Buffer.from(again.publicKeyDer), Buffer.from(key.publicKeyDer));
    t.notMatch(inspect(key, { depth: 9 }), /PRIVATE|BEGIN/);
  });
}

t.test('two keys are never the same', async (t) => {
  const [one, other] = [await generatePrivateKey('ECDSA-P256'), await generatePrivateKey('ECDSA-P256')];
  t.notOk(one.object.equals(other.object));
});

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;
const PARAMETERS = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n';
const sec1 = ec.export({ type: 'sec1', format: 'pem' });

for (const row of [
  { name: 'PKCS#8 ECDSA', pem: ec.export({ type: 'pkcs8', format: 'pem' }), key: ec },
  { name: 'PKCS#8 RSA', pem: rsa.export({ type: 'pkcs8', format: 'pem' }), key: rsa },
  { name: 'PKCS#8 Ed25519', pem: ed25519.export({ type: 'pkcs8', format: 'pem' }), key: ed25519 },
  { name: 'EC PARAMETERS before the key', pem: PARAMETERS + sec1, key: ec },
  { name: 'Windows line ends', pem: sec1.replaceAll('\n', '\r\n'), key: ec },
  { name: 'text before and after the block', pem: `Key of n1:\n\n${sec1}the end\n`, key: ec },
  { name: 'the first of two keys', pem: sec1 + rsa.export({ type: 'pkcs1', format: 'pem' }), key: ec },
]) {
  t.test(`parsePrivateKey reads ${row.name}`, async (t) => {
    const key = parsePrivateKey(new Secret(row.pem));
    t.ok(key.object.equals(row.key));
    t.ok(parsePrivateKey(encodePrivateKey(key)).object.equals(row.key));
  });
}

const certificateOnly = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const oddCurve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey.export({
  type: 'sec1',
  format: 'pem',
});
const agreement = generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
const locked = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
const lockedOld = { type: 'pkcs1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;

for (const row of [
  { name: 'an empty file', pem: '', message: /found an empty text/ },
  { name: 'text without a block', pem: 'hello', message: /no PEM block in 5 characters/ },
  { name: 'a certificate in place of a key', pem: certificateOnly, message: /found PEM block CERTIFICATE/ },
  { name: 'a key that is cut off', pem: sec1.slice(0, 100), message: /broken EC PRIVATE KEY/ },
  { name: 'a key without its END line', pem: sec1.split('-----END')[0] ?? '', message: /broken EC PRIVATE KEY/ },
  { name: 'a block that is no base64', pem: sec1.replace('M', '!'), message: /broken EC PRIVATE KEY/ },
  {
    name: 'a block with other bytes',
    pem: certificateOnly.replaceAll('CERTIFICATE', 'PRIVATE KEY'),
    message: /PRIVATE KEY block/,
  },
  { name: 'a curve that no API server takes', pem: oddCurve, message: /type ec \(secp256k1\) cannot be used/ },
  { name: 'a key that cannot sign', pem: agreement, message: /type x25519 cannot be used/ },
  { name: 'a PKCS#8 key with a passphrase', pem: rsa.export(locked), message: /locked by a passphrase/ },
  { name: 'a PKCS#1 key with a passphrase', pem: rsa.export(lockedOld), message: /locked by a passphrase/ },
]) {
  t.test(`parsePrivateKey refuses ${row.name}`, async (t) => {
    t.throws(() => parsePrivateKey(new Secret(row.pem)), { code: 'ERR_KEY_INVALID', message: row.message });
  });
}

t.test('whatever the bytes, only ERR_KEY_INVALID is thrown, and no message quotes them', async () => {
  const labels = fc.constantFrom('EC PRIVATE KEY', 'RSA PRIVATE KEY', 'PRIVATE KEY', 'ENCRYPTED PRIVATE KEY');
  const damaged = fc
    .nat(sec1.length - 1)
    .chain((at) => fc.string({ maxLength: 3 }).map((text) => sec1.slice(0, at) + text + sec1.slice(at + 1)));
  const block = fc
    .tuple(labels, fc.uint8Array({ maxLength: 200 }))
    .map(
      ([label, bytes]) =>
        `-----BEGIN ${label}-----\n${Buffer.from(bytes).toString('base64')}\n-----END ${label}-----\n`,
    );
  fc.assert(
    fc.property(fc.oneof(damaged, block, fc.string()), (text) => {
      try {
        parsePrivateKey(new Secret(text));
        return true;
      } catch (error) {
        return isCertletError(error, 'ERR_KEY_INVALID') && !error.message.includes(sec1.slice(40, 60));
      }
    }),
  );
});
