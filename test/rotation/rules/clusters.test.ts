import t from 'tap';
import type { ClusterAccess, Credential } from '../../../src/kubeconfig/client-config.ts';
import { clusterDifferences, readingChanges } from '../../../src/rotation/rules/clusters.ts';
import { proxyOf } from '../../fixtures/proxy-url.ts';
import { CertletError } from '../../../src/errors.ts';
import type { KubeconfigReading } from '../../../src/ports.ts';
import { Secret } from '../../../src/secret.ts';
import { CLUSTER, FakeHost, MINUTE } from '../../fixtures/fakes/host.ts';
import { absent, BOOTSTRAP_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';

const BASE: ClusterAccess = {
  server: 'https://a:6443',
  caPem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  tlsServerName: 'api',
  proxyUrl: proxyOf('http://user:word@proxy:3128'),
  insecureSkipTlsVerify: false,
};
const { tlsServerName: _name, proxyUrl: _proxy, ...BARE } = BASE;

for (const row of [
  { name: 'the same', right: { ...BASE }, words: [] },
  {
    name: 'a CA with other line ends',
    right: { ...BASE, caPem: BASE.caPem?.replaceAll('\n', '\r\n') ?? '' },
    words: [],
  },
  {
    name: 'the same proxy in an object of its own',
    right: { ...BASE, proxyUrl: proxyOf('http://user:word@proxy:3128') },
    words: [],
  },
  {
    name: 'another server',
    right: { ...BASE, server: 'https://b:6443' },
    words: ['server https://a:6443 became https://b:6443'],
  },
  { name: 'another CA', right: { ...BASE, caPem: 'x' }, words: ['certificate-authority changed'] },
  { name: 'another name to verify', right: { ...BASE, tlsServerName: 'b' }, words: ['tls-server-name changed'] },
  { name: 'another proxy', right: { ...BASE, proxyUrl: proxyOf('http://other') }, words: ['proxy-url changed'] },
  {
    name: 'verification off',
    right: { ...BASE, insecureSkipTlsVerify: true },
    words: ['insecure-skip-tls-verify changed'],
  },
  { name: 'name and proxy gone', right: BARE, words: ['tls-server-name changed', 'proxy-url changed'] },
] as const) {
  t.test(`clusterDifferences: ${row.name}`, async (t) => {
    t.strictSame(clusterDifferences(BASE, row.right), row.words);
    t.equal(clusterDifferences(row.right, BASE).length, row.words.length, 'both ways');
    t.notMatch(row.words.join(), /word/, 'no password of a proxy');
  });
}

const token = (text: string): Credential => ({ kind: 'token', token: new Secret(text) });
const OLD = token('abcdef.0123456789abcdef');
const IN_FILE = { ...CLUSTER, caPath: '/etc/pki/ca.crt' };
const reading = (cluster = CLUSTER, credential = OLD): KubeconfigReading => usable(BOOTSTRAP_PATH, cluster, credential);
const unusable = (message: string): KubeconfigReading => ({
  kind: 'unusable',
  path: BOOTSTRAP_PATH,
  error: new CertletError('ERR_KUBECONFIG_INVALID', message),
});

const rows: readonly { name: string; before: KubeconfigReading; after: KubeconfigReading; words: readonly string[] }[] =
  [
    { name: 'the same', before: reading(), after: reading(), words: [] },
    { name: 'absent as before', before: absent('/b'), after: absent('/b'), words: [] },
    { name: 'unusable as before', before: unusable('x'), after: unusable('x'), words: [] },
    {
      name: 'only the CA file',
      before: reading(IN_FILE),
      after: reading({ ...IN_FILE, caPem: 'other' }),
      words: ['certificate-authority /etc/pki/ca.crt changed'],
    },
    {
      name: 'the CA within it',
      before: reading(),
      after: reading({ ...CLUSTER, caPem: 'other' }),
      words: ['certificate-authority changed'],
    },
    {
      name: 'the CA within it became a file',
      before: reading(),
      after: reading({ ...IN_FILE, caPem: 'other' }),
      words: ['certificate-authority changed'],
    },
    {
      name: 'server and token',
      before: reading(),
      after: reading({ ...CLUSTER, server: 'https://b:6443' }, token('fedcba.fedcba9876543210')),
      words: ['server https://cluster.test:6443 became https://b:6443', 'credential changed'],
    },
    { name: 'it appears', before: absent('/b'), after: reading(), words: ['it is there and can be used'] },
    { name: 'it goes', before: reading(), after: absent('/b'), words: ['it is gone'] },
    { name: 'it is broken', before: reading(), after: unusable('x'), words: ['it cannot be used'] },
    {
      name: 'it is broken in another way',
      before: unusable('x'),
      after: unusable('y'),
      words: ['it cannot be used, for another reason'],
    },
  ];
for (const { name, before, after, words } of rows) {
  t.test(`readingChanges: ${name}`, async (t) => {
    t.strictSame(readingChanges(before, after), words);
    t.notMatch(words.join(), /fedcba/);
  });
}

t.test('only the CA file changed, and the line says that the bootstrap kubeconfig did', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.kubeconfigs.bootstrap = reading(IN_FILE);
  await host.bootstrap();
  host.kubeconfigs.bootstrap = reading({ ...IN_FILE, caPem: 'other' });
  host.agent?.filesChanged(['/etc/pki/ca.crt']);
  await host.clock.advance(MINUTE);
  t.strictSame(host.log.of('The bootstrap kubeconfig changed'), []);
  const file = BOOTSTRAP_PATH;
  t.match(host.log.of('The bootstrap kubeconfig or a file that it names changed'), [
    { level: 'info', fields: { file, changes: ['certificate-authority /etc/pki/ca.crt changed'] } },
  ]);
});
