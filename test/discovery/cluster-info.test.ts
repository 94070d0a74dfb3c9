import t from 'tap';
import { parse } from 'yaml';
import { encodeBootstrapKubeconfig } from '../../src/discovery/bootstrap-kubeconfig.ts';
import { clusterFromKubeconfig, endpointUrl, readClusterInfo, sameCluster } from '../../src/discovery/cluster-info.ts';
import { Secret } from '../../src/secret.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
const CA_DATA = Buffer.from(PEM).toString('base64');

function kubeconfig(cluster: Readonly<Record<string, unknown>>): unknown {
  return {
    clusters: [
      { name: '', cluster: { server: 'https://10.0.0.1:6443', 'certificate-authority-data': CA_DATA, ...cluster } },
    ],
  };
}

t.test('the ConfigMap gives the exact text and the signatures by token id', async (t) => {
  const body = JSON.stringify({
    data: { kubeconfig: ' a\n\n', 'jws-kubeconfig-abcdef': 'x..y', other: 'z', 'jws-kubeconfig-ghijkl': 'v..w' },
  });
  const info = readClusterInfo(body, 'here');
  t.equal(info.kubeconfig, ' a\n\n');
  t.strictSame(
    [...info.signatures],
    [
      ['abcdef', 'x..y'],
      ['ghijkl', 'v..w'],
    ],
  );
});

for (const body of [
  '<html>',
  'null',
  '[]',
  '{}',
  '{"data":null}',
  '{"data":{}}',
  '{"data":{"kubeconfig":""}}',
  '{"data":{"kubeconfig":1}}',
]) {
  t.test(`no cluster-info: ${body}`, async (t) => {
    t.throws(() => readClusterInfo(body, 'here'), { code: 'ERR_DISCOVERY', message: /^here: / });
  });
}

t.test('only server and CA are taken, whatever else the document says', async (t) => {
  const document = kubeconfig({
    'insecure-skip-tls-verify': true,
    'proxy-url': 'http://evil',
    'tls-server-name': 'evil',
    server: 'https://10.0.0.1:6443/',
  });
  t.strictSame(clusterFromKubeconfig(document, 'here'), { server: 'https://10.0.0.1:6443', caPem: PEM });
});

for (const row of [
  { name: 'nothing', document: null, want: /exactly one cluster, found 0/ },
  { name: 'no cluster', document: { clusters: [] }, want: /exactly one cluster, found 0/ },
  { name: 'two clusters', document: { clusters: [{}, {}] }, want: /exactly one cluster, found 2/ },
  { name: 'an empty cluster', document: { clusters: [null] }, want: /no certificate-authority-data/ },
  {
    name: 'a CA as a path',
    document: kubeconfig({ 'certificate-authority-data': '', 'certificate-authority': '/etc/passwd' }),
    want: /no certificate-authority-data/,
  },
  {
    name: 'CA data that is no PEM',
    document: kubeconfig({ 'certificate-authority-data': 'aGVsbG8=' }),
    want: /no PEM certificate/,
  },
  { name: 'a server over http', document: kubeconfig({ server: 'http://10.0.0.1' }), want: /no https URL/ },
  { name: 'a server with a password', document: kubeconfig({ server: 'https://a:b@10.0.0.1' }), want: /no https URL/ },
  {
    name: 'an address that Node would read as another one',
    document: kubeconfig({ server: 'https://192.168.010.001:6443' }),
    want: /server has the host 192\.168\.010\.001, which some programs read as an address/,
  },
  { name: 'no server', document: kubeconfig({ server: undefined }), want: /no https URL/ },
]) {
  t.test(`refused: ${row.name}`, async (t) => {
    t.throws(() => clusterFromKubeconfig(row.document, 'here'), { code: 'ERR_DISCOVERY', message: row.want });
  });
}

for (const row of [
  { endpoint: '10.0.0.1:6443', url: 'https://10.0.0.1:6443' },
  { endpoint: '10.0.0.1', url: 'https://10.0.0.1:6443' },
  { endpoint: 'api.example.org:443', url: 'https://api.example.org:443' },
  { endpoint: 'https://api.example.org:6443/', url: 'https://api.example.org:6443' },
  { endpoint: '[2001:db8::1]:6443', url: 'https://[2001:db8::1]:6443' },
  { endpoint: '[2001:db8::1]', url: 'https://[2001:db8::1]:6443' },
]) {
  t.test(`endpoint ${row.endpoint} is ${row.url}`, async (t) => {
    t.equal(endpointUrl(row.endpoint), row.url);
  });
}

t.test(
  'zero-padded numbers as an endpoint are refused with the address meant, not connected to as another one',
  async (t) => {
    t.throws(() => endpointUrl('192.168.010.001:6443'), { code: 'ERR_USAGE', remedy: /192\.168\.10\.1/ });
  },
);

for (const endpoint of [
  '',
  'http://10.0.0.1',
  '10.0.0.1:6443/path',
  'a b',
  'user@host:1',
  'host:99999',
  '192.168.010.001:6443',
  '127.1',
  '0x7f.1:6443',
  'host:0',
  '2001:db8::1',
]) {
  t.test(`no endpoint: ${JSON.stringify(endpoint)}`, async (t) => {
    t.throws(() => endpointUrl(endpoint), { code: 'ERR_USAGE' });
  });
}

t.test('a cluster stays the same when only the blanks of its CA differ', async (t) => {
  const cluster = { server: 'https://a:1', caPem: PEM };
  t.ok(sameCluster(cluster, { server: 'https://a:1', caPem: `\n${PEM}\n` }));
  t.notOk(sameCluster(cluster, { server: 'https://b:1', caPem: PEM }));
  t.notOk(sameCluster(cluster, { server: 'https://a:1', caPem: PEM.replace('MIIB', 'MIIC') }));
});

t.test(
  "the bootstrap kubeconfig has kubeadm's names, the token, and nothing that a server name could add",
  async (t) => {
    const server = 'https://a:1/"\n  x: y';
    const text = encodeBootstrapKubeconfig({ server, caPem: PEM }, new Secret('abcdef.0123456789abcdef'));
    t.strictSame(parse(text.reveal()), {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'kubernetes', cluster: { server, 'certificate-authority-data': CA_DATA } }],
      users: [{ name: 'token-bootstrap-client', user: { token: 'abcdef.0123456789abcdef' } }],
      contexts: [
        {
          name: 'token-bootstrap-client@kubernetes',
          context: { cluster: 'kubernetes', user: 'token-bootstrap-client' },
        },
      ],
      'current-context': 'token-bootstrap-client@kubernetes',
    });
  },
);
