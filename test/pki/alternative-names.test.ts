import * as fc from 'fast-check';
import t from 'tap';
import { parseAlternativeNames } from '../../src/pki/alternative-names.ts';
import { parseChain } from '../../src/pki/certificate.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

const none = { dnsNames: [], ipAddresses: [], otherNames: [] };

for (const row of [
  { name: 'no names', text: '', names: none },
  {
    name: 'names and addresses',
    text: 'DNS:n1, DNS:n1.example, IP Address:10.0.0.1',
    names: { ...none, dnsNames: ['n1', 'n1.example'], ipAddresses: ['10.0.0.1'] },
  },
  { name: 'IPv6 in long form', text: 'IP Address:FD00:0:0:0:0:0:0:1', names: { ...none, ipAddresses: ['fd00::1'] } },
  {
    name: 'an address of a wrong length',
    text: 'IP Address:<invalid length=5>',
    names: { ...none, otherNames: ['IP Address:<invalid length=5>'] },
  },
  {
    name: 'an email that holds a DNS entry',
    text: 'email:"a@b\\u002c DNS:evil"',
    names: { ...none, otherNames: ['email:a@b, DNS:evil'] },
  },
  { name: 'a quoted DNS name', text: 'DNS:"we\\"ird, x", DNS:n1', names: { ...none, dnsNames: ['we"ird, x', 'n1'] } },
  {
    name: 'a directory name',
    text: 'DirName:"O=1\\u002cCN=zz", DNS:n1',
    names: { ...none, dnsNames: ['n1'], otherNames: ['DirName:O=1,CN=zz'] },
  },
  {
    name: 'an unsupported kind',
    text: 'othername:<unsupported>',
    names: { ...none, otherNames: ['othername:<unsupported>'] },
  },
  { name: 'a quote that never ends', text: 'DNS:"abc', names: { ...none, dnsNames: ['"abc'] } },
  { name: 'a quoted text that is no JSON', text: 'DNS:"\\x"', names: { ...none, dnsNames: ['"\\x"'] } },
  {
    name: 'something else after a name',
    text: 'DNS:n1, ???',
    names: { ...none, dnsNames: ['n1'], otherNames: ['???'] },
  },
]) {
  t.test(`parseAlternativeNames: ${row.name}`, async (t) => {
    t.same(parseAlternativeNames(row.text), row.names);
  });
}

t.test('any text ends, and nothing is lost', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(DNS|URI):["\\, a-z:]*$/)), (text) => {
      const names = parseAlternativeNames(text);
      return text === '' || names.dnsNames.length + names.ipAddresses.length + names.otherNames.length > 0;
    }),
  );
});

t.test('what stands in a real certificate comes out again, however odd', async () => {
  const authority = createAuthority({ name: 'names' });
  const key = authority.key;
  const odd = fc.stringMatching(/^[ -~]{1,20}$/);
  fc.assert(
    fc.property(fc.array(odd, { maxLength: 3 }), fc.array(odd, { maxLength: 3 }), (dnsNames, emails) => {
      const { leaf } = parseChain(authority.issue({ key, dnsNames, emails, ipAddresses: ['::1'] }).certPem);
      const found = JSON.stringify([leaf.dnsNames, leaf.otherNames, leaf.ipAddresses]);
      return found === JSON.stringify([dnsNames, emails.map((email) => `email:${email}`), ['::1']]);
    }),
  );
});
