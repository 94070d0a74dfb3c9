import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { redact } from '../../../src/adapters/log/redact.ts';

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = privateKey.export({ type: 'sec1', format: 'pem' }).toString();

for (const row of [
  { name: 'a private key', text: `before ${pem} after`, becomes: 'before [secret]\n after' },
  { name: 'a private key cut off in the middle', text: pem.slice(0, 80), becomes: '[secret]' },
  { name: 'a private key in JSON', text: JSON.stringify({ key: pem }).slice(0, -2), becomes: '{"key":"[secret]\\n' },
  {
    name: 'a bootstrap token, its public id kept',
    text: 'token abcdef.0123456789abcdef!',
    becomes: 'token abcdef.[secret]!',
  },
  { name: 'a JSON web token', text: 'x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl y', becomes: 'x [secret] y' },
  {
    name: 'an Authorization header',
    text: 'authorization: Bearer s3cr3t-token',
    becomes: 'authorization: Bearer [secret]',
  },
  {
    name: 'the passwords of two URLs, and leaves an address between',
    text: 'http://a:p@ss/w@one:1 by root@host or "http://b:pw@two:2"',
    becomes: 'http://a:[secret]@one:1 by root@host or "http://b:[secret]@two:2"',
  },
  { name: 'a proxy password', text: 'http://user:pa55@proxy:3128', becomes: 'http://user:[secret]@proxy:3128' },
]) {
  t.test(`hides ${row.name}`, async (t) => {
    t.equal(redact(row.text), row.becomes);
  });
}

for (const text of [
  'https://[2001:db8::1]:6443/apis',
  'https://api.example:6443/apis/certificates.k8s.io/v1',
  'edge01.cluster-one.example.org',
  'kubelet-client-2030-01-03-04-05-06.pem',
  'node-csr-gJ1rX0CsNJKzVgbYzkVRaYfLkZkZb6y8nGv7bWkqXoI',
  'basic auth is off',
]) {
  t.test(`leaves ${text}`, async (t) => {
    t.equal(redact(text), text);
  });
}

for (const [name, text, becomes] of [
  ['with a slash', 'proxy http://u:a/b@p:1 fails', 'proxy http://u:[secret]@p:1 fails'],
  ['with an @', 'http://u:a@b@p:1', 'http://u:[secret]@p:1'],
  ['of a user of a domain', 'http://CORP/u:pa55@p:1', 'http://CORP/u:[secret]@p:1'],
  [
    'in JSON, and what stands beside it stays',
    '{"proxy":"http://u:a/b@p","to":"x@y"}',
    '{"proxy":"http://u:[secret]@p","to":"x@y"}',
  ],
] as const) {
  t.test(`hides a proxy password ${name}`, async (t) => t.equal(redact(text), becomes));
}
