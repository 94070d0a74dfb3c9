import { inspect } from 'node:util';
import * as fc from 'fast-check';
import t from 'tap';
import {
  decodeHistory,
  decodePending,
  encodeHistory,
  encodePending,
  type PendingRequest,
  type RequestHistory,
} from '../../src/csr/pending.ts';
import type { PastRequest } from '../../src/csr/past-request.ts';
import { isCertletError } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';
import { ANY_CHARACTER } from '../fixtures/any-character.ts';

const filled = fc.string({ minLength: 1, unit: ANY_CHARACTER });
const moment = fc.date({ noInvalidDate: true });
const usage = fc.constantFrom('digital signature', 'key encipherment', 'client auth', 'server auth');
const purpose = fc.constantFrom('client', 'serving');
const texts = fc.array(fc.string(), { maxLength: 3 });

const template = fc.record(
  {
    purpose,
    signerName: filled,
    commonName: filled,
    organizations: texts,
    dnsNames: texts,
    ipAddresses: texts,
    usages: fc.array(usage, { maxLength: 4 }),
    expirationSeconds: fc.nat(),
  },
  {
    requiredKeys: ['purpose', 'signerName', 'commonName', 'organizations', 'dnsNames', 'ipAddresses', 'usages'],
    noNullPrototype: true,
  },
);
const approval = fc.record({ reason: fc.string(), message: fc.string() }, { noNullPrototype: true });
const past: fc.Arbitrary<PastRequest> = fc.record(
  {
    request: filled,
    requestedAt: moment,
    endedAt: moment,
    result: filled,
    serial: fc.string(),
    expires: moment,
    approval,
    message: fc.string(),
    failed: fc.record({ since: moment, tries: fc.nat(), code: filled }, { noNullPrototype: true }),
  },
  { requiredKeys: ['request', 'requestedAt', 'endedAt', 'result'], noNullPrototype: true },
);
const pending: fc.Arbitrary<PendingRequest> = fc.record(
  {
    purpose,
    name: filled,
    keyPem: filled.map((text) => new Secret(text)),
    requestPem: filled,
    template,
    templateDigest: filled,
    nodeName: filled,
    certDir: filled,
    createdAt: moment,
    uid: filled,
    askerDigest: filled,
    issuedPem: fc.string(),
    receivedAt: moment,
    receivedByServer: moment,
    approval,
    refusedAt: moment,
    gained: fc.array(filled, { maxLength: 3 }),
  },
  {
    requiredKeys: [
      'purpose',
      'name',
      'keyPem',
      'requestPem',
      'template',
      'templateDigest',
      'nodeName',
      'certDir',
      'createdAt',
    ],
    noNullPrototype: true,
  },
);
const history: fc.Arbitrary<RequestHistory> = fc.record(
  {
    lastIssuedAt: moment,
    machine: filled,
    gains: fc.array(
      fc.record(
        { name: filled, at: moment, gone: fc.constant(true as const) },
        { requiredKeys: ['name', 'at'], noNullPrototype: true },
      ),
      { maxLength: 3 },
    ),
    cloudAwaitedSince: moment,
    lastIssuedByServer: moment,
    lastSerial: fc.string(),
    lastRequestAt: moment,
    refusal: fc.record(
      {
        code: filled,
        message: fc.string(),
        at: moment,
        count: fc.nat(),
        templateDigest: filled,
        askerDigest: filled,
        earlier: fc.array(fc.record({ templateDigest: filled, at: moment }, { noNullPrototype: true }), {
          maxLength: 3,
        }),
      },
      { requiredKeys: ['code', 'message', 'at', 'count', 'templateDigest'], noNullPrototype: true },
    ),
    refused: fc.record({ fingerprint: filled, since: moment, count: fc.nat() }, { noNullPrototype: true }),
    proved: fc.record({ fingerprint: filled, server: filled, at: moment }, { noNullPrototype: true }),
    renewWantedAt: moment,
    keyEncipherment: fc.boolean(),
    past: fc.array(past, { maxLength: 3 }),
  },
  { requiredKeys: [], noNullPrototype: true },
);

t.test('a pending record reads back as it was written', async (t) => {
  fc.assert(
    fc.property(pending, (record) => {
      const again = decodePending(encodePending(record).reveal());
      t.strictSame({ ...again, keyPem: again.keyPem.reveal() }, { ...record, keyPem: record.keyPem.reveal() });
    }),
  );
});

t.test('a history reads back as it was written', async (t) => {
  t.strictSame(decodeHistory(encodeHistory({})), {});
  fc.assert(fc.property(history, (past) => void t.strictSame(decodeHistory(encodeHistory(past)), past)));
});

t.test('a history of before there was a digest of the credential reads as it is', async (t) => {
  const refusal = { code: 'c', message: 'm', at: '2030-01-01T00:00:00.000Z', count: 1, templateDigest: 'd' };
  const past = decodeHistory(JSON.stringify({ version: 1, refusal }));
  t.strictSame(past, { refusal: { ...refusal, at: new Date(refusal.at) } });
});

const record = {
  version: 1,
  purpose: 'client',
  name: 'node-csr-x',
  keyPem: 'THE KEY',
  requestPem: 'REQUEST',
  template: {
    purpose: 'client',
    signerName: 'a.b/c',
    commonName: 'cn',
    organizations: [],
    dnsNames: [],
    ipAddresses: [],
    usages: ['client auth'],
  },
  templateDigest: 'd',
  nodeName: 'n1',
  certDir: '/pki',
  createdAt: '2030-01-01T00:00:00.000Z',
};

for (const row of [
  { name: 'an empty file', text: '', message: 'pending record: no JSON (0 characters)' },
  {
    name: 'a file that is cut off',
    text: JSON.stringify(record).slice(0, 100),
    message: 'pending record: no JSON (100 characters)',
  },
  { name: 'a list', text: '[]', message: 'pending record: expected an object, found a list' },
  {
    name: 'another version',
    text: JSON.stringify({ ...record, version: 2 }),
    message: 'pending record.version: expected 1, found 2',
  },
  {
    name: 'no version',
    text: JSON.stringify({ ...record, version: undefined }),
    message: 'pending record.version: expected a whole number, found nothing',
  },
  {
    name: 'an unknown field',
    text: JSON.stringify({ ...record, more: 1 }),
    message: 'pending record.more: unknown field',
  },
  {
    name: 'no name of a certificate',
    text: JSON.stringify({ ...record, purpose: '' }),
    message: 'pending record.purpose: empty',
  },
  { name: 'no key', text: JSON.stringify({ ...record, keyPem: '' }), message: 'pending record.keyPem: empty' },
  {
    name: 'a date that is none',
    text: JSON.stringify({ ...record, createdAt: 'soon' }),
    message: 'pending record.createdAt: expected an ISO time in UTC',
  },
  {
    name: 'a date in another form',
    text: JSON.stringify({ ...record, createdAt: '2030-01-01' }),
    message: 'pending record.createdAt: expected an ISO time in UTC',
  },
  {
    name: 'a template without usages that it knows',
    text: JSON.stringify({ ...record, template: { ...record.template, usages: ['x'] } }),
    message:
      'pending record.template.usages[0]: expected one of digital signature, key encipherment, client auth, server auth',
  },
  {
    name: 'an unknown field in the template',
    text: JSON.stringify({ ...record, template: { ...record.template, x: 1 } }),
    message: 'pending record.template.x: unknown field',
  },
  {
    name: 'a field of the prototype only',
    text: '{"__proto__": {"version": 1}}',
    message: 'pending record.version: expected a whole number, found nothing',
  },
]) {
  t.test(`decodePending refuses ${row.name} and names the field`, async (t) => {
    t.throws(() => decodePending(row.text), { code: 'ERR_STORE_IO', message: row.message });
  });
}

for (const row of [
  { name: 'an unknown field', history: { more: 1 }, message: 'request history.more: unknown field' },
  {
    name: 'a flag that is text',
    history: { keyEncipherment: 'yes' },
    message: 'request history.keyEncipherment: expected true or false, found text',
  },
  {
    name: 'a refusal without count',
    history: { refusal: { code: 'c', message: '', at: record.createdAt, templateDigest: 'd' } },
    message: 'request history.refusal.count: expected a whole number, found nothing',
  },
]) {
  t.test(`decodeHistory refuses ${row.name} and names the field`, async (t) => {
    t.throws(() => decodeHistory(JSON.stringify({ version: 1, ...row.history })), {
      code: 'ERR_STORE_IO',
      message: row.message,
    });
  });
}

t.test(
  'a record that any field was taken from or changed in is refused with ERR_STORE_IO, and the key is never told',
  async () => {
    const keys = Object.keys(record) as (keyof typeof record)[];
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.oneof(fc.constant(undefined), fc.jsonValue()), (field, value) => {
        if (typeof value === 'string') return true;
        try {
          decodePending(JSON.stringify({ ...record, [field]: value }));
          return field === 'version' && value === 1;
        } catch (error) {
          return (
            isCertletError(error, 'ERR_STORE_IO') &&
            !inspect(error).includes('THE KEY') &&
            error.message.includes(`pending record.${field}`)
          );
        }
      }),
    );
  },
);
