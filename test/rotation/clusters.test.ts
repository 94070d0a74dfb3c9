import t from 'tap';
import type { ClusterAccess } from '../../src/kubeconfig/client-config.ts';
import { clusterDifferences } from '../../src/rotation/rules/clusters.ts';
import { proxyOf } from '../fixtures/proxy-url.ts';

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
