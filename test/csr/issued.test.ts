import { timestamp } from '../../src/timestamp.ts';
import { createPublicKey } from 'node:crypto';
import t from 'tap';
import { issuedProblems } from '../../src/csr/issued.ts';
import { clientTemplate, servingTemplate } from '../fixtures/specs.ts';
import { parseChain } from '../../src/pki/certificate.ts';
import { generatePrivateKey } from '../../src/pki/keys.ts';
import { createRequest } from '../../src/pki/pkcs10.ts';
import { createAuthority, generateTestKey, type SignOverrides } from '../fixtures/cluster/authority.ts';

const MINUTE_MS = 60_000;
const NOW = new Date('2030-06-01T12:00:00Z');
const at = (minutes: number): Date => new Date(NOW.getTime() + minutes * MINUTE_MS);

const key = await generatePrivateKey('ECDSA-P256');
const options = { nodeName: 'n1', keyEncipherment: true };
const client = clientTemplate(options);
const serving = servingTemplate(options, ['10.0.0.1', 'fd00::1']);
const dates = { notBefore: at(-5), notAfter: at(600) };
const root = createAuthority({ name: 'root', notBefore: at(-9999), notAfter: at(9999) });
const middle = root.intermediate({ name: 'middle', notBefore: at(-999), notAfter: at(999) });
const twin = createAuthority({ name: 'middle', notBefore: at(-999), notAfter: at(999) });
const stale = root.intermediate({ name: 'stale', notBefore: at(-999), notAfter: at(-1) });
const early = root.intermediate({ name: 'early', notBefore: at(10), notAfter: at(999) });
const clientUsages = ['digital signature', 'key encipherment', 'client auth'];
const servingUsages = ['digital signature', 'key encipherment', 'server auth'];

function sign(template: typeof client, overrides: SignOverrides = {}, authority = middle): string {
  const usages = template.purpose === 'client' ? clientUsages : servingUsages;
  return authority.sign(createRequest(template, key), { usages, ...dates, ...overrides }).chainPem;
}

const unacceptable = (...texts: readonly string[]): object[] => texts.map((text) => ({ kind: 'unacceptable', text }));

for (const row of [
  { name: 'a client certificate as asked', template: client, pem: sign(client), problems: [] },
  { name: 'a serving certificate as asked', template: serving, pem: sign(serving), problems: [] },
  { name: 'a chain that ends in the root', template: client, pem: sign(client) + root.pem, problems: [] },
  {
    name: 'extra names and usages',
    template: serving,
    pem: sign(serving, { dnsNames: ['n1', 'x'], usages: [...servingUsages, 'client auth'] }),
    problems: [],
  },
  {
    name: 'another key',
    template: client,
    pem: sign(client, { publicKey: createPublicKey(generateTestKey()) }),
    problems: unacceptable('it is for another key'),
  },
  {
    name: 'another node',
    template: client,
    pem: sign(client, { commonName: 'system:node:n2', organizations: ['system:nodes'] }),
    problems: unacceptable('common name is system:node:n2, not system:node:n1'),
  },
  {
    name: 'an empty common name',
    template: client,
    pem: sign(client, { commonName: '', organizations: ['system:nodes'] }),
    problems: unacceptable('common name is empty, not system:node:n1'),
  },
  {
    name: 'no organization',
    template: client,
    pem: sign(client, { commonName: 'system:node:n1', organizations: [] }),
    problems: unacceptable('missing requested orgs [system:nodes]'),
  },
  {
    name: 'one organization too many',
    template: client,
    pem: sign(client, { commonName: 'system:node:n1', organizations: ['system:nodes', 'system:masters'] }),
    problems: unacceptable('organization system:masters was not asked for'),
  },
  {
    name: 'a name and an address dropped',
    template: serving,
    pem: sign(serving, { dnsNames: [], ipAddresses: ['fd00::1'] }),
    problems: unacceptable('missing requested DNS names [n1]', 'missing requested IP addresses [10.0.0.1]'),
  },
  {
    name: 'the other extended usage',
    template: client,
    pem: sign(client, { usages: servingUsages }),
    problems: unacceptable('missing usage client auth'),
  },
  {
    name: 'a CA certificate',
    template: client,
    pem: sign(client, { isCa: true, usages: [...clientUsages, 'cert sign'] }),
    problems: unacceptable('it is a CA certificate'),
  },
  {
    name: 'an intermediate of another CA',
    template: client,
    pem: sign(client) + twin.pem,
    problems: unacceptable('certificate 3 of the chain did not issue the one before it'),
  },
  {
    name: 'an intermediate of the same name that did not sign',
    template: client,
    pem: `${sign(client).split(/(?<=END CERTIFICATE-----\n)/)[0] ?? ''}${twin.pem}`,
    problems: unacceptable('certificate 2 of the chain did not issue the one before it'),
  },
  {
    name: 'NotBefore just within the tolerance',
    template: client,
    pem: sign(client, { notBefore: at(5) }),
    problems: [],
  },
  {
    name: 'NotBefore beyond the tolerance',
    template: client,
    pem: sign(client, { notBefore: at(6) }),
    problems: [{ kind: 'not yet valid', text: `not valid before ${timestamp(at(6))}` }],
  },
  {
    name: 'a certificate that expires this instant',
    template: client,
    pem: sign(client, { notAfter: NOW }),
    problems: [{ kind: 'expired', text: `expired at ${timestamp(NOW)}` }],
  },
  {
    name: 'an expired intermediate',
    template: client,
    pem: sign(client, {}, stale),
    problems: [{ kind: 'expired', text: `certificate 2 of the chain: expired at ${timestamp(at(-1))}` }],
  },
  {
    name: 'an intermediate of the future',
    template: client,
    pem: sign(client, {}, early),
    problems: [{ kind: 'not yet valid', text: `certificate 2 of the chain: not valid before ${timestamp(at(10))}` }],
  },
]) {
  t.test(`issuedProblems: ${row.name}`, async (t) => {
    t.same(
      issuedProblems(parseChain(row.pem), { template: row.template, key, now: NOW, toleranceMs: 5 * MINUTE_MS }),
      row.problems,
    );
  });
}
