import * as fc from 'fast-check';
import t from 'tap';
import {
  type CertificateTemplate,
  digestedName,
  invalidServingNames,
  requestName,
  templateDigest,
  missingNames,
  templateMismatches,
} from '../../src/csr/template.ts';
import { clientTemplate, servingTemplate } from '../fixtures/specs.ts';
import { type CertificateFacts, parseChain } from '../../src/pki/certificate.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

const options = { nodeName: 'n1', keyEncipherment: true };
const authority = createAuthority({ name: 'ca' });

t.test('the client template is what kubelet signers take', async (t) => {
  t.strictSame(clientTemplate(options), {
    purpose: 'client',
    signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    usages: ['digital signature', 'key encipherment', 'client auth'],
    dnsNames: [],
    ipAddresses: [],
  });
});

t.test('the serving template has two usages and a lifetime where asked', async (t) => {
  t.strictSame(servingTemplate({ nodeName: 'n1', keyEncipherment: false, expirationSeconds: 3600 }, ['10.0.0.1']), {
    purpose: 'serving',
    signerName: 'kubernetes.io/kubelet-serving',
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    usages: ['digital signature', 'server auth'],
    expirationSeconds: 3600,
    dnsNames: ['n1'],
    ipAddresses: ['10.0.0.1'],
  });
});

for (const row of [
  { name: 'the node name alone', names: [], dns: ['n1'], ip: [] },
  { name: 'blanks and duplicates', names: ['', ' n1 ', 'b', 'b', ' '], dns: ['b', 'n1'], ip: [] },
  { name: 'upper case and a trailing dot', names: ['N1.Example.'], dns: ['n1', 'n1.example'], ip: [] },
  {
    name: 'addresses in other forms',
    names: ['FD00:0::1', '::ffff:10.0.0.1', '010.0.0.1'],
    dns: ['n1'],
    ip: ['10.0.0.1', 'fd00::1'],
  },
  {
    name: 'names that no certificate can hold',
    names: ['a b', '-a', 'a-', 'ü', '*.a', 'a..b', 'fe80::1%eth0', '1.2.3', '300.1.1.1', '10.0.0.0/8', '.'],
    dns: ['n1'],
    ip: [],
  },
  {
    name: 'underscores, digits and long labels',
    names: ['a_b', '123', '1.a', 'x'.repeat(63)],
    dns: ['1.a', '123', 'a_b', 'n1', 'x'.repeat(63)],
    ip: [],
  },
  {
    name: 'labels and names that are too long',
    names: ['x'.repeat(64), `${'x'.repeat(63)}.`.repeat(4)],
    dns: ['n1'],
    ip: [],
  },
]) {
  t.test(`servingTemplate: ${row.name}`, async (t) => {
    t.match(servingTemplate(options, row.names), { dnsNames: row.dns, ipAddresses: row.ip });
  });
}

t.test('a node that is named by its address gets an IP SAN', async (t) => {
  t.match(servingTemplate({ ...options, nodeName: '10.0.0.1' }, []), {
    commonName: 'system:node:10.0.0.1',
    dnsNames: [],
    ipAddresses: ['10.0.0.1'],
  });
});

t.test('invalidServingNames gives back what can be neither name nor address', async (t) => {
  t.same(invalidServingNames(['n1', ' A.b. ', '', '10.0.0.1', '::1', 'a b', '*.x', '300.1.1.1']), [
    'a b',
    '*.x',
    '300.1.1.1',
  ]);
});

/** The P-256 generator point as SubjectPublicKeyInfo. */
const SPKI = Buffer.from(
  'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==',
  'base64',
);

for (const row of [
  {
    name: '1.20, three usages',
    usages: ['digital signature', 'key encipherment', 'client auth'],
    digest: 'node-csr-zALoEP_WUPKtL5VXBq-sFu1ab65CCiBTpkJY991irzA',
  },
  {
    name: '1.36, two usages',
    usages: ['digital signature', 'client auth'],
    digest: 'node-csr-d-DM1BUrLIcrw7y79ykmfyjZEOlCtanDVspZc04qpbM',
  },
]) {
  t.test(`digestedName gives the kubelet's name: ${row.name}`, async (t) => {
    t.equal(digestedName([SPKI, 'system:node:node1', 'system:nodes', ...row.usages]), row.digest);
  });
}

const base = servingTemplate({ ...options, expirationSeconds: 3600 }, ['n2', '10.0.0.1']);
const variants: readonly (readonly [string, CertificateTemplate])[] = [
  ['another common name', { ...base, commonName: 'system:node:n2' }],
  ['another organization', { ...base, organizations: ['x'] }],
  ['one DNS name less', { ...base, dnsNames: ['n1'] }],
  ['another address', { ...base, ipAddresses: ['10.0.0.2'] }],
  ['two usages', { ...base, usages: ['digital signature', 'server auth'] }],
  ['another signer', { ...base, signerName: 'example.com/signer' }],
  ['another lifetime', { ...base, expirationSeconds: 3601 }],
  ['no lifetime', servingTemplate(options, ['n2', '10.0.0.1'])],
];

for (const [name, variant] of variants) {
  t.test(`request name and digest tell a template with ${name}`, async (t) => {
    t.not(requestName(SPKI, variant), requestName(SPKI, base));
    t.not(templateDigest(variant), templateDigest(base));
  });
}

t.test('the purpose is part of the digest; the key is part of the request name', async (t) => {
  t.not(templateDigest({ ...base, purpose: 'client' }), templateDigest(base));
  t.not(requestName(Buffer.from('other'), base), requestName(SPKI, base));
  t.match(requestName(SPKI, base), /^node-csr-[A-Za-z0-9_-]{43}$/);
});

const names = fc.array(
  fc.constantFrom('n1', 'N2', 'n3.example', '10.0.0.1', '010.0.0.2', 'fd00::1', 'FD00::1', '', 'a b'),
  { maxLength: 8 },
);

t.test('order and repetition of names change neither template nor digest nor request name', async () => {
  fc.assert(
    fc.property(names, fc.infiniteStream(fc.nat()), (given, order) => {
      const ranks = given.map((name) => ({ name, rank: order.next().value ?? 0 }));
      const shuffled = [...ranks.toSorted((a, b) => a.rank - b.rank).map(({ name }) => name), ...given];
      const [one, other] = [servingTemplate(options, given), servingTemplate(options, shuffled)];
      return templateDigest(one) === templateDigest(other) && requestName(SPKI, one) === requestName(SPKI, other);
    }),
  );
});

t.test('the digest does not depend on the order within lists', async (t) => {
  const turned = { ...base, dnsNames: [...base.dnsNames].reverse(), usages: [...base.usages].reverse() };
  t.equal(templateDigest(turned), templateDigest(base));
});

t.test(
  'what was gained is what the wanted names have and the requested lack, and joining them leaves no gain',
  async () => {
    fc.assert(
      fc.property(names, names, (requested, wanted) => {
        const [one, two, both] = [requested, wanted, [...requested, ...wanted]].map((list) =>
          servingTemplate(options, list),
        );
        if (one === undefined || two === undefined || both === undefined) return false;
        const gains = missingNames(one, two);
        const grown = both.dnsNames.length + both.ipAddresses.length - one.dnsNames.length - one.ipAddresses.length;
        return gainedIn(gains) === grown && missingNames(both, two).length === 0 && missingNames(one, one).length === 0;
      }),
    );
  },
);

/** How many names and addresses the words tell of. */
const gainedIn = (gains: readonly string[]): number =>
  gains.reduce((sum, gain) => sum + (/\[(.+)\]$/.exec(gain)?.[1]?.split(' ').length ?? 0), 0);

const facts: CertificateFacts = parseChain(
  authority.issue({
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    dnsNames: ['N1', 'extra'],
    ipAddresses: ['10.0.0.1', 'fd00:0::1'],
  }).certPem,
).leaf;

for (const row of [
  {
    name: 'everything there, with other case and extra names',
    wanted: servingTemplate(options, ['10.0.0.1', 'FD00::1']),
    mismatches: [],
  },
  { name: 'a client template', wanted: clientTemplate(options), mismatches: [] },
  {
    name: 'another node',
    wanted: clientTemplate({ ...options, nodeName: 'n2' }),
    mismatches: ['common name is system:node:n1, not system:node:n2'],
  },
  {
    name: 'an organization',
    wanted: { ...clientTemplate(options), organizations: ['x'] },
    mismatches: ['missing requested orgs [x]'],
  },
  {
    name: 'names and addresses',
    wanted: servingTemplate(options, ['b', 'a', '10.0.0.2']),
    mismatches: ['missing requested DNS names [a b]', 'missing requested IP addresses [10.0.0.2]'],
  },
]) {
  t.test(`templateMismatches: ${row.name}`, async (t) => {
    t.same(templateMismatches(facts, row.wanted), row.mismatches);
  });
}

t.test(
  'a certificate for a template never mismatches it, and what a template gains is missing in the old certificate',
  async () => {
    const key = authority.key;
    fc.assert(
      fc.property(names, names, (requested, wanted) => {
        const [one, two] = [servingTemplate(options, requested), servingTemplate(options, wanted)];
        const { leaf } = parseChain(authority.issue({ ...one, key }).certPem);
        const [own, mismatches] = [templateMismatches(leaf, one), templateMismatches(leaf, two)];
        return own.length === 0 && mismatches.join() === missingNames(one, two).join();
      }),
      { numRuns: 50 },
    );
  },
);
