/** What is said of requests for signers besides the kubelet's: whose they are, who approves, who signs. */
import t from 'tap';
import { entryApprovalFindings } from '../../../src/check/rules/authorization.ts';
import { lifetimeFindings } from '../../../src/check/rules/signers.ts';
import { type RequestsSeen, requestsFindings } from '../../../src/check/rules/requests.ts';
import type { CertificateSpec } from '../../../src/csr/spec.ts';
import { templateOf } from '../../../src/csr/template.ts';
import type { CertificateSigningRequest, CsrCondition } from '../../../src/csr/wire.ts';
import { generatePrivateKey } from '../../../src/pki/keys.ts';
import { createRequest } from '../../../src/pki/pkcs10.ts';
import { kubeletSpecs, servingSpec } from '../../fixtures/specs.ts';

const NOW = new Date('2030-01-01T12:00:00Z');
const key = await generatePrivateKey('ECDSA-P256');

const PROXY: CertificateSpec = {
  ...servingSpec(),
  name: 'kube-proxy',
  signerName: 'kubernetes.io/kube-apiserver-client',
  commonName: 'system:kube-proxy',
  organizations: ['system:node-proxier'],
  usages: ['digital signature', 'client auth'],
  usagesNegotiable: false,
  names: { ofNode: false, listed: [] },
  approval: { by: 'person' },
};
const EXPORTER: CertificateSpec = {
  ...PROXY,
  name: 'exporter',
  signerName: 'example.com/monitoring',
  commonName: '{nodeName}',
  usages: ['server auth'],
  expirationSeconds: 3600,
  approval: { by: 'approver' },
};
const SPECS = [...kubeletSpecs(), PROXY, EXPORTER];

const condition = (type: string, message = ''): CsrCondition => ({ type, status: 'True', reason: 'R', message });
const APPROVED = condition('Approved');

function csr(spec: CertificateSpec, more: Partial<CertificateSigningRequest> = {}): CertificateSigningRequest {
  return {
    name: `${spec.name}-a`,
    uid: 'u',
    resourceVersion: '1',
    creationTimestamp: new Date(NOW.getTime() - 60_000).toISOString(),
    requestPem: createRequest(templateOf(spec, { nodeName: 'n1', nodeNames: [] }), key),
    signerName: spec.signerName,
    usages: spec.usages,
    expirationSeconds: undefined,
    username: 'system:node:n1',
    conditions: [],
    certificatePem: undefined,
    ...more,
  };
}

const seen = (
  all: readonly CertificateSigningRequest[],
  ownNames: Readonly<Record<string, string>> = {},
): RequestsSeen => ({
  all,
  truncated: false,
  nodeName: 'n1',
  ownNames: new Map(Object.entries(ownNames)),
  now: NOW,
  automatic: true,
});
const found = (question: RequestsSeen) => requestsFindings(question, SPECS);

t.test("another node's request for kube-proxy is taken for that of this node", async (t) => {
  const others = csr(PROXY, { username: 'system:node:n2', conditions: [condition('Denied')] });
  t.strictSame(found(seen([others])), [], 'the subject is the same on every node: who has asked tells');
  t.match(found(seen([others, csr(PROXY, { name: 'own' })])), [{ id: 'requests.kube-proxy-unapproved', what: /own/ }]);
});

t.test('a waiting request of one certificate was told as that of another with its signer and subject', async (t) => {
  const twin: CertificateSpec = { ...PROXY, name: 'twin' };
  const found = requestsFindings(seen([csr(PROXY)], { twin: 'kube-proxy-a' }), [PROXY, twin]);
  t.strictSame(
    found.map(({ id }) => id),
    ['requests.twin-unapproved'],
  );
});

t.test('the request that certlet has on record is the one that is told, whatever else there is', async (t) => {
  const old = csr(PROXY, { name: 'b', conditions: [condition('Denied')] });
  t.match(found(seen([old, csr(PROXY)], { 'kube-proxy': 'kube-proxy-a' })), [{ id: 'requests.kube-proxy-unapproved' }]);
});

for (const { name, conditions, expected } of [
  {
    name: 'pending: an approver or a person must give it',
    conditions: [],
    expected: { id: 'requests.exporter-unapproved', what: /which a person or a separate approver must give$/ },
  },
  {
    name: 'approved and unsigned: that signer, and not kube-controller-manager',
    conditions: [APPROVED],
    expected: {
      id: 'requests.exporter-unissued',
      remedy: /spec\.signerName=example\.com\/monitoring/,
      causes: [{ what: /the signer example\.com\/monitoring does not run/ }],
    },
  },
  {
    name: 'failed for its usages: there is no other set that is tried',
    conditions: [APPROVED, condition('Failed', 'usages did not match')],
    expected: {
      id: 'requests.exporter-failed',
      remedy: /^# Set usages of exporter .* {3}# then systemctl reload certlet$/,
    },
  },
  {
    name: 'failed for its lifetime: only the settings can leave it out',
    conditions: [APPROVED, condition('Failed', 'this signer takes no expirationSeconds')],
    expected: {
      id: 'requests.exporter-failed',
      remedy: /^# Leave expirationSeconds of the exporter certificate out/,
    },
  },
  {
    name: 'failed for what the signer alone knows',
    conditions: [APPROVED, condition('Failed', 'unknown host')],
    expected: {
      id: 'requests.exporter-failed',
      remedy: /^# Mend what the reason names\. {3}# then certlet renew exporter$/,
    },
  },
])
  t.test(name, async (t) => {
    t.match(found(seen([csr(EXPORTER, { conditions })])), [expected]);
  });

t.test(
  'approved requests that a signer of somebody leaves are no sign that kube-controller-manager is down',
  async (t) => {
    const waiting = (spec: CertificateSpec, username: string) =>
      csr(spec, { name: `${spec.name}-${username}`, username, conditions: [APPROVED] });
    const ids = (spec: CertificateSpec) =>
      found(seen([waiting(spec, 'system:node:n2'), waiting(spec, 'system:node:n3')])).map(({ id }) => id);
    t.notOk(ids(EXPORTER).includes('requests.nobody-signs'));
    t.ok(ids(PROXY).includes('requests.nobody-signs'));
  },
);

for (const { version, minor, found: told } of [
  { version: 'v1beta1', minor: undefined, found: true },
  { version: 'v1', minor: 21, found: true },
  { version: 'v1', minor: 22, found: false },
  { version: 'v1', minor: undefined, found: false },
] as const)
  t.test(
    `a lifetime asked of ${version}, release ${minor === undefined ? 'hidden' : `1.${String(minor)}`}`,
    async (t) => {
      const findings = lifetimeFindings(SPECS, { version, minor });
      t.match(findings, told ? [{ id: 'versions.lifetime', verdict: 'note', what: /: exporter will live/ }] : []);
      t.equal(findings.length, told ? 1 : 0);
      t.strictSame(lifetimeFindings([PROXY], { version, minor }), [], 'nothing is said where none is asked for');
    },
  );

t.test('who approves is told for each certificate of the settings, with the right that it takes', async (t) => {
  t.match(entryApprovalFindings(SPECS), [
    {
      id: 'approval.kube-proxy',
      what: /requests for kubernetes\.io\/kube-apiserver-client are approved by a person, each time/,
      remedy: /approve on signers, resourceNames: kubernetes\.io\/kube-apiserver-client/,
    },
    { id: 'approval.exporter', what: /by a person or a separate approver/, remedy: /example\.com\/monitoring$/ },
  ]);
});
