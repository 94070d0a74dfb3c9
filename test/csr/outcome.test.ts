import { timestamp } from '../../src/timestamp.ts';
import t from 'tap';
import { refusedRemedy, requestIncompatibilities, requestOutcome } from '../../src/csr/outcome.ts';
import { clientTemplate, servingTemplate } from '../fixtures/specs.ts';
import type { CertificateSigningRequest, CsrCondition } from '../../src/csr/wire.ts';
import { generatePrivateKey } from '../../src/pki/keys.ts';
import { createRequest } from '../../src/pki/pkcs10.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

const NOW = new Date('2030-06-01T12:00:00Z');
const key = await generatePrivateKey('ECDSA-P256');
const template = clientTemplate({ nodeName: 'n1', keyEncipherment: true });
const requestPem = createRequest(template, key);
const ours = { requestPem, template, key, now: NOW };

const csr: CertificateSigningRequest = {
  name: 'node-csr-x',
  uid: 'u1',
  resourceVersion: '7',
  creationTimestamp: '2030-06-01T11:59:00Z',
  requestPem: createRequest(template, key),
  signerName: template.signerName,
  usages: template.usages,
  expirationSeconds: undefined,
  username: 'system:bootstrap:abcdef',
  conditions: [],
  certificatePem: undefined,
};

function condition(type: string, message = '', status = 'True'): CsrCondition {
  return { type, status, reason: 'Because', message };
}

const USAGES = 'usages did not match [digital signature key encipherment client auth]';
const approved = condition('Approved');

for (const row of [
  { name: 'nothing said yet', csr: {}, outcome: { kind: 'pending', approved: false } },
  { name: 'approved, not issued', csr: { conditions: [approved] }, outcome: { kind: 'pending', approved: true } },
  {
    name: 'approved and issued',
    csr: { conditions: [approved], certificatePem: 'PEM' },
    outcome: { kind: 'issued', certificatePem: 'PEM', approval: { reason: 'Because', message: '' } },
  },
  {
    name: 'a certificate without approval is ignored',
    csr: { certificatePem: 'PEM' },
    outcome: { kind: 'pending', approved: false },
  },
  {
    name: 'an unknown condition',
    csr: { conditions: [condition('Odd')] },
    outcome: { kind: 'pending', approved: false },
  },
  {
    name: 'denied',
    csr: { conditions: [condition('Denied', 'no')] },
    outcome: { kind: 'denied', reason: 'Because', message: 'no' },
  },
  {
    name: 'denied counts by type, whatever its status',
    csr: { conditions: [condition('Denied', 'no', 'False')] },
    outcome: { kind: 'denied', reason: 'Because', message: 'no' },
  },
  {
    name: 'denied wins over approved and issued',
    csr: { conditions: [approved, condition('Denied')], certificatePem: 'PEM' },
    outcome: { kind: 'denied', reason: 'Because', message: '' },
  },
  {
    name: 'failed',
    csr: { conditions: [approved, condition('Failed', 'bad CN')] },
    outcome: { kind: 'failed', reason: 'Because', message: 'bad CN', usages: false },
  },
  {
    name: 'failed for its usages',
    csr: { conditions: [approved, condition('Failed', USAGES)] },
    outcome: { kind: 'failed', reason: 'Because', message: USAGES, usages: true },
  },
  {
    name: 'failed wins over issued',
    csr: { conditions: [approved, condition('Failed', 'x')], certificatePem: 'PEM' },
    outcome: { kind: 'failed', reason: 'Because', message: 'x', usages: false },
  },
  {
    name: 'another object of the same name',
    csr: { uid: 'u2', conditions: [approved], certificatePem: 'PEM' },
    outcome: { kind: 'changed uid' },
  },
]) {
  t.test(`requestOutcome: ${row.name}`, async (t) => {
    t.strictSame(requestOutcome({ ...csr, ...row.csr }, 'u1'), row.outcome);
  });
}

t.test('requestOutcome takes any UID while we have none', async (t) => {
  t.strictSame(requestOutcome({ ...csr, uid: 'u9' }, undefined), { kind: 'pending', approved: false });
});

const other = await generatePrivateKey('ECDSA-P256');
const authority = createAuthority({ name: 'ca' });
const at = (minutes: number): Date => new Date(NOW.getTime() + minutes * 60_000);
const issued = (minutes: number): string => authority.issue({ notBefore: at(-900), notAfter: at(minutes) }).certPem;

for (const row of [
  { name: 'the same request, signed anew', csr: {}, reasons: [] },
  { name: 'an old server that knows no signerName', csr: { signerName: undefined }, reasons: [] },
  { name: 'usages in another order', csr: { usages: [...template.usages].reverse() }, reasons: [] },
  { name: 'a denied one is still ours', csr: { conditions: [condition('Denied')] }, reasons: [] },
  { name: 'a live certificate', csr: { certificatePem: issued(1) }, reasons: [] },
  {
    name: 'an expired certificate',
    csr: { certificatePem: issued(0) },
    reasons: [`its certificate expired at ${timestamp(NOW)}`],
  },
  {
    name: 'an expired intermediate',
    csr: { certificatePem: issued(1) + issued(-1) },
    reasons: [`its certificate expired at ${timestamp(at(-1))}`],
  },
  {
    name: 'a certificate that is none',
    csr: { certificatePem: 'x' },
    reasons: ['its certificate cannot be read: expected a CERTIFICATE block, found no PEM block in 1 characters'],
  },
  {
    name: 'another signer',
    csr: { signerName: 'a.b/c' },
    reasons: ['signer is a.b/c, not kubernetes.io/kube-apiserver-client-kubelet'],
  },
  { name: 'one usage less', csr: { usages: template.usages.slice(1) }, reasons: ['other usages'] },
  { name: 'no usages', csr: { usages: [] }, reasons: ['other usages'] },
  {
    name: 'a stranger’s key',
    csr: { requestPem: createRequest(template, other) },
    reasons: ['another public key', 'not signed by our key'],
  },
  {
    name: 'another node',
    csr: { requestPem: createRequest({ ...template, commonName: 'system:node:n2' }, key) },
    reasons: ['another subject'],
  },
  {
    name: 'names that we did not ask for',
    csr: { requestPem: createRequest({ ...template, dnsNames: ['n1'] }, key) },
    reasons: ['other names'],
  },
]) {
  t.test(`requestIncompatibilities: ${row.name}`, async (t) => {
    t.strictSame(requestIncompatibilities({ ...csr, ...row.csr }, ours), row.reasons);
  });
}

t.test('requestIncompatibilities of a serving request with other addresses', async (t) => {
  const options = { nodeName: 'n1', keyEncipherment: true };
  const [one, two] = [servingTemplate(options, ['10.0.0.1']), servingTemplate(options, ['10.0.0.2'])];
  const stored = { ...csr, signerName: one.signerName, usages: one.usages, requestPem: createRequest(two, key) };
  t.strictSame(
    requestIncompatibilities(stored, { requestPem: createRequest(one, key), template: one, key, now: NOW }),
    ['other names'],
  );
});

for (const { asked, message, remedy } of [
  {
    asked: undefined,
    message: 'not allowed',
    remedy: /^# Mend what the reason names\. {3}# then certlet renew exporter$/,
  },
  {
    asked: undefined,
    message: 'no expirationSeconds',
    remedy: /^# Mend what the reason names\. {3}# then certlet renew exporter$/,
  },
  { asked: 3600, message: 'not allowed', remedy: /^# Mend what the reason names\. {3}# then certlet renew exporter$/ },
  {
    asked: 3600,
    message: 'no expirationSeconds',
    remedy: /^# Leave expirationSeconds of the exporter certificate out .* {3}# then systemctl reload certlet$/,
  },
])
  t.test(`refused with "${message}", a lifetime ${asked === undefined ? 'not ' : ''}asked for`, async (t) => {
    t.match(refusedRemedy({ purpose: 'exporter', expirationSeconds: asked }, message), remedy);
  });
