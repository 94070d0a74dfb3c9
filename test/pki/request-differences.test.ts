import * as fc from 'fast-check';
import t from 'tap';
import { generatePrivateKey } from '../../src/pki/keys.ts';
import { encodePem, pemBlocks } from '../../src/pki/pem.ts';
import { createRequest } from '../../src/pki/pkcs10.ts';
import { requestDifferences } from '../../src/pki/request-differences.ts';

const content = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  dnsNames: ['n1'],
  ipAddresses: ['10.0.0.1'],
};
const key = await generatePrivateKey('ECDSA-P256');
const otherKey = await generatePrivateKey('ECDSA-P256');
const largeKey = await generatePrivateKey('ECDSA-P384');
const rsaKey = await generatePrivateKey('RSA-2048');
const ours = createRequest(content, key);

const der = pemBlocks(ours)[0]?.der ?? Buffer.of();
const forged = Buffer.from(der);
forged[forged.length - 3] = (forged[forged.length - 3] ?? 0) ^ 1;

for (const row of [
  { name: 'itself', stored: ours, differences: [] },
  { name: 'the same request signed again', stored: createRequest(content, key), differences: [] },
  { name: 'text after the block', stored: `${ours}the end\n`, differences: [] },
  {
    name: 'another common name',
    stored: createRequest({ ...content, commonName: 'x' }, key),
    differences: ['another subject'],
  },
  {
    name: 'another organization',
    stored: createRequest({ ...content, organizations: [] }, key),
    differences: ['another subject'],
  },
  { name: 'another name', stored: createRequest({ ...content, dnsNames: ['n2'] }, key), differences: ['other names'] },
  {
    name: 'no names',
    stored: createRequest({ ...content, dnsNames: [], ipAddresses: [] }, key),
    differences: ['other names'],
  },
  {
    name: 'a stranger’s key',
    stored: createRequest(content, otherKey),
    differences: ['another public key', 'not signed by our key'],
  },
  {
    name: 'a stranger’s key of another kind',
    stored: createRequest(content, largeKey),
    differences: ['another public key', 'another signature algorithm', 'not signed by our key'],
  },
  {
    name: 'a broken signature',
    stored: encodePem('CERTIFICATE REQUEST', forged),
    differences: ['not signed by our key'],
  },
  {
    name: 'nothing',
    stored: '',
    differences: ['the stored request cannot be read: expected a CERTIFICATE REQUEST block, found an empty text'],
  },
  {
    name: 'a certificate first',
    stored: `${encodePem('CERTIFICATE', der)}${ours}`,
    differences: [
      'the stored request cannot be read: expected a CERTIFICATE REQUEST block, found PEM blocks CERTIFICATE, CERTIFICATE REQUEST',
    ],
  },
  {
    name: 'DER that is no request',
    stored: encodePem('CERTIFICATE REQUEST', Buffer.from('30020500', 'hex')),
    differences: ['the stored request cannot be read: it is no PKCS#10 request'],
  },
]) {
  t.test(`a stored request with ${row.name}`, async (t) => {
    t.same(requestDifferences(row.stored, ours, key), row.differences);
  });
}

t.test('RSA requests are compared too', async (t) => {
  t.same(requestDifferences(createRequest(content, rsaKey), createRequest(content, rsaKey), rsaKey), []);
});

t.test('a request with any byte changed is not ours, and reading it never throws', async () => {
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const changed = Buffer.from(der);
      changed[at] = (changed[at] ?? 0) ^ mask;
      return requestDifferences(encodePem('CERTIFICATE REQUEST', changed), ours, key).length > 0;
    }),
    { numRuns: 500 },
  );
});
