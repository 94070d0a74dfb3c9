import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import t from 'tap';
import { createServingProof } from '../../src/adapters/serving-proof.ts';
import { type CertificatePair, parseChain } from '../../src/pki/certificate.ts';
import { parsePrivateKey } from '../../src/pki/keys.ts';
import { Secret } from '../../src/secret.ts';
import { time } from '../fixtures/cluster/der.ts';
import {
  certificatePem,
  dns,
  EXTENSION,
  nameOf,
  oddCertificate,
  oddExtension,
  type OddFields,
  SIGNATURE,
  USAGE,
} from '../fixtures/odd-certificate.ts';

const ec = (namedCurve = 'P-256'): KeyObject => generateKeyPairSync('ec', { namedCurve }).privateKey;
const spki = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });
const HOUR_MS = 3_600_000;
const NULL = Buffer.from([5, 0]);

const KEY = ec();
const CA_KEY = ec();
const WEAK_CA_KEY = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
const ED_KEY = generateKeyPairSync('ed25519').privateKey;
const UNKNOWN = oddExtension('1.2.3.4', NULL, 'critical');

const leaf = (fields: Partial<OddFields> = {}): string =>
  certificatePem(
    oddCertificate({
      issuer: nameOf('ca'),
      subject: nameOf('n1'),
      signingKey: CA_KEY,
      publicKey: spki(KEY),
      ...fields,
    }),
  );
const issuer = (fields: Partial<OddFields> = {}): string =>
  certificatePem(
    oddCertificate({
      issuer: nameOf('root'),
      subject: nameOf('ca'),
      signingKey: KEY,
      publicKey: spki(CA_KEY),
      extensions: [EXTENSION.ca, EXTENSION.certSign],
      ...fields,
    }),
  );
const pairOf = (chainPem: string, key: KeyObject = KEY): CertificatePair => ({
  chain: parseChain(chainPem),
  key: parsePrivateKey(new Secret(key.export({ type: 'pkcs8', format: 'pem' }))),
});
const refusalOf = (pair: CertificatePair): Promise<string | undefined> =>
  createServingProof().refusal(pair, new AbortController().signal);

const inAnHour = time(new Date(Date.now() + HOUR_MS));
const anHourAgo = time(new Date(Date.now() - HOUR_MS));

for (const row of [
  { name: 'a leaf alone: who has issued it is not this host to say', chain: leaf() },
  { name: 'with its issuer', chain: leaf() + issuer() },
  { name: 'without extensions, as old CAs issue', chain: leaf({ version: 0n, extensions: [] }) },
  { name: 'an Ed25519 key', chain: leaf({ publicKey: spki(ED_KEY) }), key: ED_KEY },
  { name: 'it begins in an hour: dates are judged by two clocks', chain: leaf({ notBefore: inAnHour }) },
  { name: 'it has ended an hour ago', chain: leaf({ notAfter: anHourAgo }) },
  {
    name: 'signed with SHA-1',
    chain: leaf({ algorithm: SIGNATURE.ecdsaSha1, hash: 'sha1' }) + issuer(),
  },
  {
    name: 'an issuer with a short key',
    chain: leaf({ signingKey: WEAK_CA_KEY, algorithm: SIGNATURE.rsaSha256 }) + issuer({ publicKey: spki(WEAK_CA_KEY) }),
  },
  {
    name: 'an issuer on a curve without a NIST name ends no process',
    chain: leaf({ signingKey: ec('brainpoolP256r1') }),
  },
]) {
  t.test(`can be served: ${row.name}`, async (t) => {
    t.equal(await refusalOf(pairOf(row.chain, row.key)), undefined);
  });
}

for (const row of [
  { name: 'for another key', chain: leaf({ publicKey: spki(CA_KEY) }), says: /key values mismatch/ },
  {
    name: 'for clients only',
    chain: leaf({ extensions: [EXTENSION.usages(USAGE.client)] }),
    says: /unsuitable certificate purpose/,
  },
  {
    name: 'for signing certificates only',
    chain: leaf({ extensions: [EXTENSION.certSign] }),
    says: /unsuitable certificate purpose/,
  },
  {
    name: 'a critical extension that no client knows',
    chain: leaf({ extensions: [UNKNOWN] }),
    says: /unhandled critical extension/,
  },
  {
    name: 'an issuer that is no CA',
    chain: leaf() + issuer({ extensions: [EXTENSION.notCa] }),
    says: /unsuitable certificate purpose/,
  },
  {
    name: 'an issuer for clients only',
    chain: leaf() + issuer({ extensions: [EXTENSION.ca, EXTENSION.certSign, EXTENSION.usages(USAGE.client)] }),
    says: /unsuitable certificate purpose/,
  },
  {
    name: 'a name that its issuer may not vouch for',
    chain:
      leaf({ extensions: [EXTENSION.names(dns('n1.other'))] }) +
      issuer({ extensions: [EXTENSION.ca, EXTENSION.certSign, EXTENSION.constraints] }),
    says: /permitted subtree violation/,
  },
  {
    name: 'a chain with a gap',
    chain: leaf() + issuer({ subject: nameOf('another') }),
    says: /unable to get local issuer certificate/,
  },
]) {
  t.test(`cannot be served: ${row.name}`, async (t) => {
    t.match(await refusalOf(pairOf(row.chain)), row.says);
  });
}

t.test('a stop is no verdict on the pair', async (t) => {
  const reason = new Error('stopped');
  await t.rejects(createServingProof().refusal(pairOf(leaf()), AbortSignal.abort(reason)), reason);
  const later = new AbortController();
  const asked = createServingProof().refusal(pairOf(leaf()), later.signal);
  later.abort(reason);
  await t.rejects(asked, reason);
});

t.test('a mistake of the program is told as one, and condemns no certificate', async (t) => {
  const { chain } = pairOf(leaf());
  const broken = { chain, key: {} } as unknown as CertificatePair;
  await t.rejects(refusalOf(broken), { code: 'ERR_INTERNAL', message: /^proof of a serving certificate: / });
});

t.test('nothing is left open: no port, no connection, no timer', async (t) => {
  const before = process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Pipe|Timeout/.test(name)).length;
  await refusalOf(pairOf(leaf() + issuer()));
  await refusalOf(pairOf(leaf({ extensions: [UNKNOWN] })));
  const after = process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Pipe|Timeout/.test(name)).length;
  t.equal(after, before);
});
