import * as fc from 'fast-check';
import t from 'tap';
import { decodeCsr, decodeWatchEvent, encodeCsr } from '../../src/csr/wire.ts';
import { isCertletError } from '../../src/errors.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const request = {
  name: 'node-csr-x',
  requestPem: '-----BEGIN CERTIFICATE REQUEST-----\n',
  signerName: 'kubernetes.io/kubelet-serving',
  usages: ['digital signature', 'server auth'] as const,
};

for (const version of ['v1', 'v1beta1'] as const) {
  t.test(`encodeCsr: ${version}`, async (t) => {
    t.strictSame(JSON.parse(encodeCsr(version, { ...request, expirationSeconds: 600 })), {
      apiVersion: `certificates.k8s.io/${version}`,
      kind: 'CertificateSigningRequest',
      metadata: { name: 'node-csr-x' },
      spec: {
        request: base64(request.requestPem),
        signerName: 'kubernetes.io/kubelet-serving',
        usages: ['digital signature', 'server auth'],
        expirationSeconds: 600,
      },
    });
  });
}

t.test('encodeCsr leaves the lifetime out where none is asked for', async (t) => {
  t.notMatch(encodeCsr('v1', request), /expirationSeconds/);
});

const metadata = { name: 'node-csr-x', uid: 'u1', resourceVersion: '7', creationTimestamp: '2030-01-01T00:00:00Z' };
const spec = {
  request: base64('PEM'),
  signerName: 'a.b/c',
  usages: ['client auth'],
  expirationSeconds: 600,
  username: 'system:node:n1',
  groups: ['g'],
};
const approved = { type: 'Approved', status: 'True', reason: 'AutoApproved', message: 'ok', lastUpdateTime: 'x' };
const whole = {
  apiVersion: 'certificates.k8s.io/v1',
  kind: 'CertificateSigningRequest',
  metadata,
  spec,
  status: { certificate: base64('CERT'), conditions: [approved] },
};
const decoded = {
  name: 'node-csr-x',
  uid: 'u1',
  resourceVersion: '7',
  creationTimestamp: '2030-01-01T00:00:00Z',
  requestPem: 'PEM',
  signerName: 'a.b/c',
  usages: ['client auth'],
  expirationSeconds: 600,
  username: 'system:node:n1',
  conditions: [{ type: 'Approved', status: 'True', reason: 'AutoApproved', message: 'ok' }],
  certificatePem: 'CERT',
};
const bare = {
  ...decoded,
  creationTimestamp: '',
  signerName: undefined,
  usages: [],
  expirationSeconds: undefined,
  username: '',
  conditions: [],
  certificatePem: undefined,
};

for (const row of [
  { name: 'a v1 object', json: whole, csr: decoded },
  { name: 'an item of a list, without kind', json: { metadata, spec, status: whole.status }, csr: decoded },
  {
    name: 'v1beta1 before 1.18: no signerName, conditions without status',
    json: {
      ...whole,
      spec: { ...spec, signerName: undefined, expirationSeconds: undefined },
      status: { conditions: [{ type: 'Approved' }, { type: 'Denied', status: '' }] },
    },
    csr: {
      ...decoded,
      signerName: undefined,
      expirationSeconds: undefined,
      certificatePem: undefined,
      conditions: [
        { type: 'Approved', status: 'True', reason: '', message: '' },
        { type: 'Denied', status: 'True', reason: '', message: '' },
      ],
    },
  },
  {
    name: 'a condition that is not True',
    json: { ...whole, status: { conditions: [{ ...approved, status: 'False' }] } },
    csr: {
      ...decoded,
      certificatePem: undefined,
      conditions: [{ type: 'Approved', status: 'False', reason: 'AutoApproved', message: 'ok' }],
    },
  },
  {
    name: 'only what every server sends',
    json: { metadata: { name: 'node-csr-x', uid: 'u1', resourceVersion: '7' }, spec: { request: base64('PEM') } },
    csr: bare,
  },
  {
    name: 'null where Go has empty lists',
    json: {
      metadata: { ...metadata, creationTimestamp: null },
      spec: { request: base64('PEM'), usages: null },
      status: { conditions: null, certificate: null },
    },
    csr: bare,
  },
  {
    name: 'an empty certificate and line breaks in base64',
    json: { ...whole, spec: { ...spec, request: 'UE\nVN' }, status: { certificate: '' } },
    csr: { ...decoded, conditions: [], certificatePem: undefined },
  },
]) {
  t.test(`decodeCsr reads ${row.name}`, async (t) => {
    t.strictSame(decodeCsr(row.json), row.csr);
  });
}

for (const row of [
  { name: 'nothing', json: undefined, message: 'CertificateSigningRequest: expected an object, found nothing' },
  { name: 'text', json: 'x', message: 'CertificateSigningRequest: expected an object, found text' },
  { name: 'a list', json: [], message: 'CertificateSigningRequest: expected an object, found a list' },
  {
    name: 'a Status',
    json: { ...whole, kind: 'Status' },
    message: 'CertificateSigningRequest.kind: expected CertificateSigningRequest, found "Status"',
  },
  {
    name: 'no metadata',
    json: { spec },
    message: 'CertificateSigningRequest.metadata: expected an object, found nothing',
  },
  {
    name: 'no UID',
    json: { ...whole, metadata: { ...metadata, uid: '' } },
    message: 'CertificateSigningRequest.metadata.uid: empty',
  },
  {
    name: 'a name that is a number',
    json: { ...whole, metadata: { ...metadata, name: 1 } },
    message: 'CertificateSigningRequest.metadata.name: expected text, found a number',
  },
  {
    name: 'no request',
    json: { ...whole, spec: {} },
    message: 'CertificateSigningRequest.spec.request: expected text, found nothing',
  },
  {
    name: 'a request that is no base64',
    json: { ...whole, spec: { ...spec, request: 'a*b' } },
    message: 'CertificateSigningRequest.spec.request: no base64',
  },
  {
    name: 'usages that are text',
    json: { ...whole, spec: { ...spec, usages: 'x' } },
    message: 'CertificateSigningRequest.spec.usages: expected a list, found text',
  },
  {
    name: 'a usage that is an object',
    json: { ...whole, spec: { ...spec, usages: ['a', {}] } },
    message: 'CertificateSigningRequest.spec.usages[1]: expected text, found an object',
  },
  {
    name: 'a lifetime that is no whole number',
    json: { ...whole, spec: { ...spec, expirationSeconds: 1.5 } },
    message: 'CertificateSigningRequest.spec.expirationSeconds: expected a whole number, found a number',
  },
  {
    name: 'a condition without type',
    json: { ...whole, status: { conditions: [approved, {}] } },
    message: 'CertificateSigningRequest.status.conditions[1].type: expected text, found nothing',
  },
  {
    name: 'a condition that is text',
    json: { ...whole, status: { conditions: ['x'] } },
    message: 'CertificateSigningRequest.status.conditions[0]: expected an object, found text',
  },
  {
    name: 'a certificate that is no base64',
    json: { ...whole, status: { certificate: '-----BEGIN' } },
    message: 'CertificateSigningRequest.status.certificate: no base64',
  },
]) {
  t.test(`decodeCsr refuses ${row.name} and names the field`, async (t) => {
    t.throws(() => decodeCsr(row.json), { code: 'ERR_API_PROTOCOL', message: row.message });
  });
}

for (const row of [
  {
    name: 'an object that was added',
    json: { type: 'ADDED', object: whole },
    event: { type: 'ADDED', object: decoded },
  },
  {
    name: 'an object that was changed',
    json: { type: 'MODIFIED', object: whole },
    event: { type: 'MODIFIED', object: decoded },
  },
  {
    name: 'an object that was deleted',
    json: { type: 'DELETED', object: whole },
    event: { type: 'DELETED', object: decoded },
  },
  {
    name: 'a bookmark',
    json: { type: 'BOOKMARK', object: { kind: 'CertificateSigningRequest', metadata: { resourceVersion: '9' } } },
    event: { type: 'BOOKMARK', resourceVersion: '9' },
  },
  {
    name: 'an expired resourceVersion',
    json: { type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old' } },
    event: { type: 'ERROR', code: 410, message: 'too old' },
  },
  {
    name: 'an error without code',
    json: { type: 'ERROR', object: {} },
    event: { type: 'ERROR', code: 500, message: '' },
  },
]) {
  t.test(`decodeWatchEvent reads ${row.name}`, async (t) => {
    t.strictSame(decodeWatchEvent(row.json), row.event);
  });
}

for (const row of [
  {
    name: 'an unknown type',
    json: { type: 'OTHER', object: whole },
    message: 'watch event.type: expected one of ADDED, MODIFIED, DELETED, BOOKMARK, ERROR',
  },
  {
    name: 'an event without object',
    json: { type: 'ADDED' },
    message: 'watch event.object: expected an object, found nothing',
  },
  {
    name: 'a bookmark without resourceVersion',
    json: { type: 'BOOKMARK', object: { metadata: {} } },
    message: 'watch event.object.metadata.resourceVersion: expected text, found nothing',
  },
  {
    name: 'a broken object',
    json: { type: 'ADDED', object: { ...whole, spec: [] } },
    message: 'watch event.object.spec: expected an object, found a list',
  },
]) {
  t.test(`decodeWatchEvent refuses ${row.name} and names the field`, async (t) => {
    t.throws(() => decodeWatchEvent(row.json), { code: 'ERR_API_PROTOCOL', message: row.message });
  });
}

t.test('whatever the JSON, only ERR_API_PROTOCOL is thrown', async () => {
  const parts = fc.record({
    metadata: fc.oneof(fc.constant(metadata), fc.jsonValue()),
    spec: fc.oneof(fc.constant(spec), fc.jsonValue()),
    status: fc.jsonValue(),
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.jsonValue(),
        parts,
        fc.record({ type: fc.constantFrom('ADDED', 'ERROR', 'BOOKMARK'), object: parts }),
      ),
      (json) => {
        for (const decode of [decodeCsr, decodeWatchEvent]) {
          try {
            decode(json);
          } catch (error) {
            if (!isCertletError(error, 'ERR_API_PROTOCOL')) return false;
          }
        }
        return true;
      },
    ),
    { numRuns: 500 },
  );
});

t.test('what is encoded is what a server would read back', async (t) => {
  const sent = JSON.parse(encodeCsr('v1', { ...request, expirationSeconds: 600 })) as { metadata: object };
  const { conditions, username, uid, resourceVersion, creationTimestamp, certificatePem, ...rest } = decodeCsr({
    ...sent,
    metadata: { ...sent.metadata, uid: 'u', resourceVersion: '1' },
  });
  t.strictSame(rest, { ...request, expirationSeconds: 600 });
  t.strictSame(
    [conditions, username, uid, resourceVersion, creationTimestamp, certificatePem],
    [[], '', 'u', '1', '', undefined],
  );
});
