import t from 'tap';
import { type RequestsSeen, isFor, requestsFindings } from '../../../src/check/rules/requests.ts';
import { requestCommonName } from '../../../src/check/rules/request-subject.ts';
import type { CertificateSigningRequest, CsrCondition } from '../../../src/csr/wire.ts';
import { clientSpec, clientTemplate, kubeletSpecs } from '../../fixtures/specs.ts';
import { generatePrivateKey } from '../../../src/pki/keys.ts';
import { createRequest } from '../../../src/pki/pkcs10.ts';

const NOW = new Date('2030-01-01T12:00:00Z');
const key = await generatePrivateKey('ECDSA-P256');
const requestOf = (nodeName: string): string => createRequest(clientTemplate({ nodeName, keyEncipherment: true }), key);
const OWN = requestOf('n1');
const OTHER = requestOf('n2');

const condition = (type: string, reason = '', message = ''): CsrCondition => ({
  type,
  status: 'True',
  reason,
  message,
});
const APPROVED = condition('Approved', 'AutoApproved');

interface Parts extends Partial<CertificateSigningRequest> {
  readonly ageSeconds?: number;
  readonly serving?: boolean;
}

function csr({ ageSeconds = 60, serving = false, ...more }: Parts = {}): CertificateSigningRequest {
  return {
    name: 'node-csr-a',
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: new Date(NOW.getTime() - ageSeconds * 1000).toISOString(),
    requestPem: OWN,
    signerName: serving ? 'kubernetes.io/kubelet-serving' : 'kubernetes.io/kube-apiserver-client-kubelet',
    usages: ['digital signature', serving ? 'server auth' : 'client auth'],
    expirationSeconds: undefined,
    username: 'system:bootstrap:abcdef',
    conditions: [],
    certificatePem: undefined,
    ...more,
  };
}

const seen = (all: readonly CertificateSigningRequest[], more: Partial<RequestsSeen> = {}): RequestsSeen => ({
  all,
  truncated: false,
  nodeName: 'n1',
  ownNames: new Map(),
  now: NOW,
  automatic: true,
  ...more,
});

const ids = (question: RequestsSeen): readonly string[] =>
  requestsFindings(question, kubeletSpecs()).map(({ verdict, id }) => `${verdict} ${id}`);

for (const row of [
  { name: 'no request at all says nothing', all: [], ids: [] },
  {
    name: 'requests of other nodes say nothing while they are decided',
    all: [csr({ requestPem: OTHER, conditions: [APPROVED], certificatePem: 'x' })],
    ids: [],
  },
  {
    name: 'a request made this moment is no reason to worry',
    all: [csr({ ageSeconds: 2 })],
    ids: ['note requests.client-unapproved'],
  },
  {
    name: 'a client request that should have been approved long ago',
    all: [csr()],
    ids: ['problem requests.client-unapproved'],
  },
  {
    name: 'a serving request waits for a person',
    all: [csr({ serving: true })],
    ids: ['warning requests.serving-unapproved'],
  },
  { name: 'issued', all: [csr({ conditions: [APPROVED], certificatePem: 'x' })], ids: ['ok requests.client'] },
  {
    name: 'approved this moment',
    all: [csr({ ageSeconds: 1, conditions: [APPROVED] })],
    ids: ['note requests.client-unissued'],
  },
  {
    name: 'approved long ago and not issued',
    all: [csr({ conditions: [APPROVED] })],
    ids: ['problem requests.client-unissued'],
  },
  {
    name: 'denied',
    all: [csr({ serving: true, conditions: [condition('Denied', 'Policy', 'no')] })],
    ids: ['problem requests.serving-denied'],
  },
  {
    name: 'refused by the signer',
    all: [csr({ conditions: [APPROVED, condition('Failed', 'SignerValidationFailure', 'usages did not match')] })],
    ids: ['problem requests.client-failed'],
  },
  {
    name: 'refused by the signer for another reason than usages',
    all: [csr({ serving: true, conditions: [APPROVED, condition('Failed', 'SignerValidationFailure', 'no such CA')] })],
    ids: ['problem requests.serving-failed'],
  },
  {
    name: 'an approved serving request that nobody signs',
    all: [csr({ serving: true, conditions: [APPROVED] })],
    ids: ['problem requests.serving-unissued'],
  },
  {
    name: 'a request without a date counts as the oldest',
    all: [
      csr({ name: 'dateless', creationTimestamp: '', conditions: [condition('Denied')] }),
      csr({ conditions: [APPROVED], certificatePem: 'x' }),
    ],
    ids: ['ok requests.client'],
  },
  {
    name: 'the newest request counts: denied once, issued since',
    all: [
      csr({ name: 'old', ageSeconds: 600, conditions: [condition('Denied')] }),
      csr({ conditions: [APPROVED], certificatePem: 'x' }),
    ],
    ids: ['ok requests.client'],
  },
  {
    name: 'two nodes wait for an approver that should be at work',
    all: [csr(), csr({ name: 'b', requestPem: OTHER })],
    ids: ['problem requests.client-unapproved', 'problem requests.piling-up'],
  },
  {
    name: 'several approved requests without certificate',
    all: [csr({ conditions: [APPROVED] }), csr({ name: 'b', requestPem: OTHER, conditions: [APPROVED] })],
    ids: ['problem requests.client-unissued', 'problem requests.nobody-signs'],
  },
  {
    name: 'a flood of serving requests of others',
    all: Array.from({ length: 100 }, (_, index) =>
      csr({ name: `s${String(index)}`, requestPem: OTHER, serving: true }),
    ),
    ids: ['warning requests.many'],
  },
  { name: 'more requests than the server gave', all: [], more: { truncated: true }, ids: ['warning requests.many'] },
  {
    name: 'a record of certlet names a request whose subject cannot be read',
    all: [csr({ requestPem: 'x' })],
    more: { ownNames: new Map([['client', 'node-csr-a']]) },
    ids: ['problem requests.client-unapproved'],
  },
] as readonly {
  name: string;
  all: readonly CertificateSigningRequest[];
  more?: Partial<RequestsSeen>;
  ids: readonly string[];
}[]) {
  t.test(row.name, async (t) => {
    t.strictSame(ids(seen(row.all, row.more)), row.ids);
  });
}

t.test('who must approve decides how sure the finding is, and which command is printed', async (t) => {
  const first = (automatic: boolean | undefined, others: readonly CertificateSigningRequest[] = []) =>
    requestsFindings(seen([csr(), ...others], { automatic }), [clientSpec()])[0];
  t.match(first(false), {
    sure: 'certain',
    what: /a person must give/,
    remedy: 'kubectl certificate approve node-csr-a',
  });
  t.match(first(undefined), { sure: 'likely', remedy: 'kubectl certificate approve node-csr-a' });
  t.match(first(true), {
    what: /should approve it by itself/,
    causes: [{ what: /does not run/, sure: 'likely' }, { sure: 'possible' }],
  });
  const works = first(true, [
    csr({ name: 'b', requestPem: OTHER, ageSeconds: 20, conditions: [APPROVED], certificatePem: 'x' }),
  ]);
  t.match(works, {
    causes: [{ what: /bound after the request/, sure: 'likely' }],
    evidence: { approverSeenAtWork: true },
  });
});

t.test("an approver's words are told", async (t) => {
  const [found] = requestsFindings(seen([csr({ conditions: [condition('Denied', 'Policy', 'name not in DNS')] })]), [
    clientSpec(),
  ]);
  t.match(found?.what, /was denied: Policy: name not in DNS$/);
  const [silent] = requestsFindings(seen([csr({ conditions: [condition('Denied')] })]), [clientSpec()]);
  t.match(silent?.what, /no reason given$/);
});

for (const row of [
  { name: 'by signer', parts: { serving: true }, purpose: 'serving' },
  { name: 'by usages, before 1.18', parts: { signerName: undefined, usages: ['server auth'] }, purpose: 'serving' },
  { name: 'by usages, legacy signer', parts: { signerName: 'kubernetes.io/legacy-unknown' }, purpose: 'client' },
  { name: 'another signer', parts: { signerName: 'example.com/x' }, purpose: undefined },
  { name: 'no node', parts: { signerName: undefined, requestPem: 'x' }, purpose: undefined },
  { name: 'neither usage', parts: { signerName: undefined, usages: [] }, purpose: undefined },
] as const) {
  t.test(`which certificate a request is for: ${row.name}`, async (t) => {
    const found = kubeletSpecs().find((spec) => isFor(csr(row.parts), spec));
    t.equal(found?.name, row.purpose);
  });
}

t.test('requestCommonName reads a request, and nothing out of garbage', async (t) => {
  t.equal(requestCommonName(OWN), 'system:node:n1');
  t.equal(requestCommonName(''), undefined);
  t.equal(
    requestCommonName('-----BEGIN CERTIFICATE REQUEST-----\nMAMCAQE=\n-----END CERTIFICATE REQUEST-----\n'),
    undefined,
  );
  t.equal(
    requestCommonName('-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n'),
    undefined,
  );
  const request = (base64: string): string =>
    `-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`;
  t.equal(requestCommonName(request('MAA=')), undefined, 'an empty sequence');
  t.equal(requestCommonName(request('MAIwAA==')), undefined, 'a request without a subject');
  t.equal(requestCommonName(request('MAcwBQIBADAA')), undefined, 'an empty subject');
});
