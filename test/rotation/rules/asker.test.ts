import * as fc from 'fast-check';
import t from 'tap';
import type { Credential } from '../../../src/kubeconfig/client-config.ts';
import { credentialDigest, subjectDigest } from '../../../src/rotation/rules/asker.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

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
