/** API servers of Kubernetes 1.9 to 1.17, which know no signer names: what the one signer there can sign is asked for, and the rest is held. */
import t, { type Test } from 'tap';
import { CheckHost } from '../fixtures/check/host.ts';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { shortFolder } from '../fixtures/short-folder.ts';
import { NodeFolder, type Program } from './program.ts';

const CERTIFICATES = [
  {
    name: 'kube-proxy',
    signerName: 'kubernetes.io/kube-apiserver-client',
    commonName: 'system:kube-proxy',
    organizations: ['system:node-proxier'],
    usages: ['digital signature', 'client auth'],
  },
  {
    name: 'node-exporter',
    signerName: 'example.com/monitoring',
    commonName: '{nodeName}',
    names: 'node',
    usages: ['digital signature', 'server auth'],
  },
];

async function started(
  t: Test,
  version: string,
): Promise<{ cluster: FakeCluster; node: NodeFolder; program: Program }> {
  const cluster = await startFakeCluster({ version, approveServing: true, sign: ({ issue }) => issue().chainPem });
  t.teardown(() => cluster.close());
  const node = new NodeFolder(shortFolder(t));
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  node.writeSettings(`certificatesDir: ${node.file('certs')}\ncertificates: ${JSON.stringify(CERTIFICATES)}`);
  const program = node.run('run');
  t.teardown(() => program.end('SIGKILL'));
  return { cluster, node, program };
}

const held = (program: Program) => program.lines.filter(({ code }) => code === 'ERR_CSR_SIGNER');
/** The request holds this text in its subject or names. */
const holds = ({ requestPem }: { readonly requestPem: string }, text: string): boolean =>
  Buffer.from(requestPem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
    .toString('latin1')
    .includes(text);
const proxies = (cluster: FakeCluster) => cluster.csrs.filter((csr) => holds(csr, 'system:kube-proxy'));
const exporters = (cluster: FakeCluster) =>
  cluster.csrs.filter((csr) => csr.usages.includes('server auth') && !holds(csr, 'system:node:'));

for (const version of ['1.9', '1.17'])
  t.test(`${version}: kube-proxy's is signed, that of a signer which must be named is never asked for`, async (t) => {
    const { cluster, node, program } = await started(t, version);
    await program.said('Certificate is current', 2);
    await cluster.until(() => proxies(cluster).length === 1);
    cluster.approve(proxies(cluster)[0]?.name ?? '');
    await program.said('Certificate is current', 3);
    await program.until(() => held(program).length > 0);
    t.match(held(program)[0], {
      purpose: 'node-exporter',
      error: /knows no signer names .* example\.com\/monitoring would never see the request/,
      do: 'Upgrade the API server to 1.18 or later, or take node-exporter out of certificates in the settings.',
      why: /^then certlet renew --config \S+ node-exporter, or systemctl reload certlet$/,
    });
    const retry = new Date(String(held(program)[0]?.['retry'])).getTime() - Date.now();
    t.ok(retry > 30 * 60_000, 'it is looked at again after the best part of an hour');
    const status = node.run('status', '--output', 'json');
    await status.exited;
    t.match(JSON.stringify(status.lines) + status.text.join('\n'), /knows no signer names/, 'status says why');
    t.equal(cluster.csrs.length, 3, 'nothing was posted for it');
  });

t.test(
  '1.17 that hides its version: one request shows it, which must not be approved; no second one for hours',
  async (t) => {
    const cluster = await startFakeCluster({
      version: '1.17',
      approveServing: true,
      sign: ({ issue }) => issue().chainPem,
    });
    t.teardown(() => cluster.close());
    cluster.faults.add({ kind: 'status', code: 403 }, { path: '/version' });
    const node = new NodeFolder(shortFolder(t));
    node.writeBootstrap(cluster.bootstrapKubeconfig());
    node.writeSettings(
      `certificatesDir: ${node.file('certs')}\ncertificates: ${JSON.stringify(CERTIFICATES.slice(1))}`,
    );
    const program = node.run('run');
    t.teardown(() => program.end('SIGKILL'));
    await program.until(() => held(program).length > 0);
    const name = exporters(cluster)[0]?.name;
    t.match(held(program)[0], { purpose: 'node-exporter', remedy: `kubectl certificate deny ${String(name)}` });
    await program.end();
    const again = node.run('run');
    t.teardown(() => again.end('SIGKILL'));
    await again.said('An earlier request was refused; waiting before the next one');
    t.equal(exporters(cluster).length, 1, 'a restart does not ask again');
  },
);

t.test('1.18 serves v1beta1 alone and knows the names: all four come', async (t) => {
  const { cluster, program } = await started(t, '1.18');
  for (const signerName of CERTIFICATES.map((entry) => entry.signerName)) {
    await cluster.until(() => cluster.csrs.some((csr) => csr.signerName === signerName));
    cluster.approve(cluster.csrs.find((csr) => csr.signerName === signerName)?.name ?? '');
  }
  await program.said('Certificate is current', 4);
  t.strictSame(held(program), []);
});

for (const { version, hidden, found } of [
  {
    version: '1.16',
    hidden: false,
    found: { verdict: 'problem', what: /not asked for: the API server knows no signer names/ },
  },
  { version: '1.16', hidden: true, found: { verdict: 'skipped', what: /hides its version/ } },
  { version: '1.18', hidden: false, found: undefined },
])
  t.test(`check in front of ${version}${hidden ? ', which hides its version' : ''}`, async (t) => {
    const cluster = await startFakeCluster({ version, nodes: [{ name: 'n1' }] });
    t.teardown(() => cluster.close());
    if (hidden) cluster.faults.add({ kind: 'status', code: 403 }, { path: '/version' });
    const host = new CheckHost(t, { certificatesDir: '/nonexistent/certs', certificates: CERTIFICATES });
    host.bootstrap(cluster.bootstrapKubeconfig());
    const result = await host.check();
    t.equal(result.find('versions.kube-proxy-signer'), undefined);
    t.match(result.find('versions.node-exporter-signer'), found, result.text);
  });
