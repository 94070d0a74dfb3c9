import { timestamp } from '../../../src/timestamp.ts';
import t from 'tap';
import type { CertificateFacts } from '../../../src/pki/certificate.ts';
import {
  chooseIdentity,
  isDead,
  isGoodProof,
  type Refusals,
  refusedOnceMore,
  credentialDigest,
  subjectDigest,
} from '../../../src/rotation/rules/asker.ts';
import * as fc from 'fast-check';
import type { Credential } from '../../../src/kubeconfig/client-config.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * 3_600_000;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);

const leaf: CertificateFacts = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  dnsNames: [],
  ipAddresses: [],
  extendedKeyUsages: ['client auth'],
  notBefore: at(-50 * DAY),
  notAfter: at(50 * DAY),
  serial: '1',
  fingerprint: 'f',
  issuer: 'CN=ca',
  selfSigned: false,
  isCa: false,
} as unknown as CertificateFacts;

t.test('isDead: five refusals over five minutes, not fewer, not faster', async (t) => {
  let refusals: Refusals | undefined;
  for (let count = 1; count <= 10; count += 1) refusals = refusedOnceMore(refusals, at(count));
  t.equal(isDead(refusals, at(10), 5 * MINUTE), false, 'ten in a moment');
  t.equal(isDead(refusals, at(1 + 5 * MINUTE), 5 * MINUTE), true);
  t.equal(isDead({ count: 4, since: NOW }, at(HOUR), 5 * MINUTE), false, 'four in an hour');
  t.equal(isDead(undefined, NOW, 0), false);
});

for (const { name, proved, over, good } of [
  { name: 'an hour old', proved: { server: 's', at: at(-HOUR) }, over: {}, good: true },
  { name: 'a day old', proved: { server: 's', at: at(-DAY) }, over: {}, good: false },
  { name: 'of another server', proved: { server: 'other', at: at(-HOUR) }, over: {}, good: false },
  { name: 'of a time to come', proved: { server: 's', at: at(1) }, over: {}, good: false },
  { name: 'none', proved: undefined, over: {}, good: false },
  { name: 'for a daemon', proved: { server: 's', at: at(-HOUR) }, over: { goodForMs: undefined }, good: false },
  {
    name: 'where no server is named',
    proved: { server: 's', at: at(-HOUR) },
    over: { server: undefined },
    good: false,
  },
]) {
  t.test(`isGoodProof: ${name}`, async (t) => {
    t.equal(isGoodProof(proved, { server: 's', now: NOW, goodForMs: DAY, ...over }), good);
  });
}

t.test('refusedOnceMore: a first refusal in the future is a clock that was set back', async (t) => {
  t.strictSame(refusedOnceMore({ count: 3, since: at(365 * DAY) }, NOW), { count: 4, since: NOW });
});

for (const row of [
  { name: 'its own certificate while it is good', input: {}, kind: 'node' },
  { name: 'without one', input: { current: undefined }, kind: 'bootstrap', reason: 'no client certificate yet' },
  {
    name: 'with one for another name',
    input: { wantedCommonName: 'system:node:n2' },
    kind: 'bootstrap',
    reason: 'the client certificate is for system:node:n1',
  },
  {
    name: 'with an expired one',
    input: { now: at(51 * DAY) },
    kind: 'bootstrap',
    reason: `the client certificate expired at ${timestamp(at(50 * DAY))}`,
  },
  {
    name: 'with a dead one',
    input: { dead: true },
    kind: 'bootstrap',
    reason: 'the API server refuses the client certificate',
  },
]) {
  t.test(`chooseIdentity: ${row.name}`, async (t) => {
    const choice = chooseIdentity({
      current: leaf,
      wantedCommonName: 'system:node:n1',
      dead: false,
      now: NOW,
      ...row.input,
    });
    t.match(choice, { kind: row.kind, ...(row.reason === undefined ? {} : { reason: row.reason }) });
  });
}

const authority = createAuthority({ name: 'ca' });
const NODE = { commonName: 'system:node:n1', organizations: ['system:nodes'] };

function certificate(subject: { readonly commonName: string; readonly organizations: readonly string[] }): Credential {
  const { certPem, keyPem } = authority.issue(subject);
  return { kind: 'certificate', chainPem: certPem, keyPem: new Secret(keyPem) };
}
const token = (text: string): Credential => ({ kind: 'token', token: new Secret(text) });
const tokenFile = (text: string, path = '/t'): Credential => ({ kind: 'tokenFile', path, token: new Secret(text) });
const exec = (command: string): Credential => ({
  kind: 'exec',
  plugin: { apiVersion: 'v1', command, args: [], env: [], provideClusterInfo: false },
});

const TOKEN = 'abcdef.0123456789abcdef';
const pairs: readonly { name: string; left: Credential; right: Credential; same: boolean }[] = [
  { name: 'the same token', left: token(TOKEN), right: token(TOKEN), same: true },
  { name: 'another token', left: token(TOKEN), right: token('abcdef.0123456789abcdeg'), same: false },
  { name: 'the same token, now in a file', left: token(TOKEN), right: tokenFile(TOKEN), same: true },
  { name: 'a token file that moved', left: tokenFile(TOKEN), right: tokenFile(TOKEN, '/u'), same: true },
  { name: 'another token in the same file', left: tokenFile(TOKEN), right: tokenFile('other'), same: false },
  {
    name: 'a certificate renewed: other serial and dates, same subject',
    left: certificate(NODE),
    right: certificate(NODE),
    same: true,
  },
  {
    name: 'a certificate for another name',
    left: certificate(NODE),
    right: certificate({ ...NODE, commonName: 'n2' }),
    same: false,
  },
  {
    name: 'a certificate with another organization',
    left: certificate(NODE),
    right: certificate({ ...NODE, organizations: ['system:bootstrappers'] }),
    same: false,
  },
  { name: 'a certificate in place of a token', left: certificate(NODE), right: token(TOKEN), same: false },
  { name: 'the same exec plugin', left: exec('/bin/a'), right: exec('/bin/a'), same: true },
  { name: 'another exec plugin', left: exec('/bin/a'), right: exec('/bin/b'), same: false },
];
for (const { name, left, right, same } of pairs) {
  t.test(`credentialDigest: ${name} is ${same ? 'the same' : 'another'} credential`, async (t) => {
    t.equal(credentialDigest(left) === credentialDigest(right), same);
  });
}

t.test('subjectDigest: a pair in use and the same subject in a kubeconfig are one credential', async (t) => {
  t.equal(subjectDigest(NODE), credentialDigest(certificate(NODE)));
  const several = { commonName: 'a', organizations: ['x', 'y'] };
  t.equal(subjectDigest(several), subjectDigest({ ...several, organizations: ['y', 'x'] }));
});

const unknown: readonly { name: string; credential: Credential }[] = [
  { name: 'no credential', credential: { kind: 'none' } },
  { name: 'a token file of unknown content', credential: { kind: 'tokenFile', path: '/t' } },
  {
    name: 'a certificate that cannot be read',
    credential: { kind: 'certificate', chainPem: '', keyPem: new Secret('') },
  },
];
for (const { name, credential } of unknown) {
  t.test(`credentialDigest: ${name} is unknown`, async (t) => t.equal(credentialDigest(credential), undefined));
}

t.test('credentialDigest: four hex digits, whatever the token', async () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), (text) => /^[0-9a-f]{4}$/.test(credentialDigest(token(text)) ?? '')),
  );
});
