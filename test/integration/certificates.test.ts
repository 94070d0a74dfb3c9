import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parsePair } from '../../src/pki/certificate.ts';
import { Secret } from '../../src/secret.ts';
import type { StatusDocument } from '../../src/status/document.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { NodeFolder, type Program } from './program.ts';
import { exporterEntry, makeExporterFolder, proxyEntry } from './two-more.ts';

async function prepare(t: Test) {
  // The hook plays a signer of somebody, and the stock signer for the rest.
  const cluster = await startFakeCluster({ approveServing: true, sign: ({ issue }) => issue().chainPem });
  t.teardown(() => cluster.close());
  const node = new NodeFolder(t.testdir({}));
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  return { cluster, node };
}

function ended(t: Test, program: Program): Program {
  t.teardown(() => program.end('SIGKILL'));
  return program;
}

t.test('run: two more certificates by settings alone; one more and one less after a reload', async (t) => {
  const { cluster, node } = await prepare(t);
  const { folder, gid } = makeExporterFolder(node);

  node.writeSettings(proxyEntry(node));
  const program = ended(t, node.run('run'));
  await program.said('Certificate is current', 2);
  await cluster.until(() => cluster.csrs.length === 3);
  const waiting = cluster.csrs.find(({ signerName }) => signerName === 'kubernetes.io/kube-apiserver-client');
  t.equal(waiting?.username, 'system:node:n1', 'the node asks');
  cluster.approve(waiting?.name ?? '');
  await program.said('Certificate is current', 3);
  await program.said('Wrote the kubeconfig', 2);
  const text = readFileSync(node.file('kube-proxy.conf'), 'utf8');
  t.match(text, /certs\/kube-proxy\/kube-proxy-current\.pem/);
  t.match(text, new RegExp(cluster.url.replace('https://', '')));
  await program.until(() => existsSync(node.file('run/reload/kube-proxy')));

  node.writeSettings(proxyEntry(node) + exporterEntry(node));
  await program.said('Settings reloaded');
  await cluster.until(() => cluster.csrs.length === 4);
  const second = cluster.csrs.find(({ signerName }) => signerName === 'example.com/monitoring');
  cluster.approve(second?.name ?? '');
  await program.said('Certificate is current', 4);
  const link = join(folder, 'node-exporter-current.pem');
  t.strictSame(parsePair(new Secret(readFileSync(link, 'utf8'))).chain.leaf.ipAddresses, ['127.0.0.1']);
  await program.until(() => existsSync(join(folder, 'tls.crt')));
  for (const [name, mode] of [
    ['tls.key', 0o640],
    ['tls.crt', 0o644],
    ['node-exporter-current.pem', 0o640],
  ] as const) {
    const facts = statSync(join(folder, name));
    t.strictSame([facts.mode & 0o777, facts.gid], [mode, gid], name);
  }

  node.writeSettings('');
  await program.said('Settings reloaded', 2);
  await program.said(LEFT, 2);
  t.ok(existsSync(link), 'what was dropped from the settings is left');
  const named = program.of(LEFT).map(({ purpose, files }) => ({ purpose, files }));
  const proxys = [node.file('certs/kube-proxy/kube-proxy-current.pem'), node.file('kube-proxy.conf')];
  const exporters = [link, join(folder, 'tls.crt'), join(folder, 'tls.key')];
  t.strictSame(named, [
    { purpose: 'kube-proxy', files: proxys },
    { purpose: 'node-exporter', files: exporters },
  ]);
  t.equal(await program.end(), 0);

  // What was said once is not said at the next start, and status goes on naming it until somebody has removed it.
  const again = ended(t, node.run('once'));
  t.equal(await again.exited, 0);
  t.strictSame(again.of(LEFT), []);
  t.match(statusOf(node).left, [
    { purpose: 'kube-proxy', files: proxys },
    { purpose: 'node-exporter', files: exporters },
  ]);
  for (const file of exporters) rmSync(file);
  t.equal(await ended(t, node.run('once')).exited, 0);
  t.strictSame(statusOf(node).left, [{ purpose: 'kube-proxy', files: proxys }]);

  // Back in the settings, and out again: that is news.
  node.writeSettings(proxyEntry(node));
  t.equal(await ended(t, node.run('once')).exited, 0);
  t.equal(statusOf(node).left, undefined);
  node.writeSettings('');
  const once = ended(t, node.run('once'));
  t.equal(await once.exited, 0);
  t.match(once.of(LEFT), [
    { purpose: 'kube-proxy', files: proxys, remedy: /^rm /, why: 'when nobody reads them any more' },
  ]);
});

t.test(
  'a signer that refuses lifetimes: expirationSeconds is taken out by a reload, and the request is made anew at once',
  async (t) => {
    const { cluster, node } = await prepare(t);
    const entry = (more: string): string =>
      `expirationSeconds: 86400\ncertificatesDir: ${node.file('certs')}\ncertificates:\n  - {name: agent, signerName: example.com/agents, commonName: agent, usages: [client auth]${more}}`;
    const own = () => cluster.csrs.filter(({ signerName }) => signerName === 'example.com/agents');
    node.writeSettings(entry(', expirationSeconds: 3600'));
    const program = ended(t, node.run('run'));
    await cluster.until(() => own().length === 1);
    t.equal(own()[0]?.expirationSeconds, 3600);
    cluster.fail(own()[0]?.name ?? '', 'Policy', 'spec.expirationSeconds is not taken by this signer');
    await program.said('Certificate request was not signed');
    t.match(program.of('Certificate request was not signed')[0], {
      do: 'Leave expirationSeconds of the agent certificate out of the settings.',
      why: 'then systemctl reload certlet',
    });
    node.writeSettings(entry(''));
    program.signal('SIGHUP');
    await cluster.until(() => own().length === 2);
    t.strictSame(
      new Set(own().map(({ expirationSeconds }) => expirationSeconds)),
      new Set([3600, undefined]),
      "the kubelet's lifetime is not inherited",
    );
    const kubelets = cluster.csrs.filter(({ signerName }) => signerName?.startsWith('kubernetes.io/'));
    t.ok(kubelets.every(({ expirationSeconds }) => expirationSeconds === 86_400));
  },
);

const MEETING = 'Two settings name one file';
const LEFT = 'The settings do not name these files any more; they are left';

const statusOf = (node: NodeFolder): StatusDocument =>
  JSON.parse(readFileSync(node.file('run/status.json'), 'utf8')) as StatusDocument;

t.test('a key for a group goes into no folder that has not been given to one', async (t) => {
  const { cluster, node } = await prepare(t);
  node.writeSettings(`certificatesDir: ${node.file('certs')}\ncertificates:\n${exporterEntry(node)}`);
  const program = ended(t, node.run('run'));
  await cluster.until(() => cluster.csrs.some(({ signerName }) => signerName === 'example.com/monitoring'));
  cluster.approve(cluster.csrs.find(({ signerName }) => signerName === 'example.com/monitoring')?.name ?? '');
  await program.until(() => program.lines.some(({ code }) => code === 'ERR_STORE_UNSAFE'));
  const line = program.lines.find(({ code }) => code === 'ERR_STORE_UNSAFE');
  t.match(line, { do: /chmod 2750/, purpose: 'node-exporter' });
  t.notOk(existsSync(node.file('certs/node-exporter/tls.key')));
  // Mended by root, and tried again by itself.
  chmodSync(node.file('certs/node-exporter'), 0o2750);
  await program.said('Certificate is current', 3);
});

t.test('a kubeconfig of an entry overwrote that of the kubelet through a link, and nothing said so', async (t) => {
  const { node } = await prepare(t);
  symlinkSync(node.path, node.file('link'));
  const entry = proxyEntry(node).replace('kube-proxy.conf', 'link/kubelet.conf');
  node.writeSettings(entry);
  const program = ended(t, node.run('run'));
  await program.said(MEETING);
  t.match(program.of(MEETING), [
    {
      file: node.file('link/kubelet.conf'),
      setting: 'certificates[0].kubeconfig (kube-proxy)',
      otherFile: node.file('kubelet.conf'),
      otherSetting: 'kubeconfig',
      do: 'Set another file in certificates[0].kubeconfig (kube-proxy), or remove the link that leads there.',
      why: /^namei -l \S+ shows it; then systemctl reload certlet$/,
    },
  ]);
  await program.said('Certificate is current', 2);
  node.writeSettings(proxyEntry(node));
  await program.said('Settings reloaded');
  await program.said('Resuming the pending certificate signing request');
  t.equal(program.of(MEETING).length, 1, 'and once mended, no more');
});

t.test("files of an entry were written through a link over the kubelet's, again and again", async (t) => {
  const { cluster, node } = await prepare(t);
  mkdirSync(node.file('pki'));
  symlinkSync(node.file('pki'), node.file('to-pki'));
  symlinkSync(node.path, node.file('link'));
  const plain = `    certFile: ${node.file('to-pki/kubelet-client-current.pem')}\n    keyFile: ${node.file('other.key')}\n`;
  node.writeSettings(proxyEntry(node).replace('kube-proxy.conf', 'link/kubelet.conf').trimEnd() + `\n${plain}`);
  const program = ended(t, node.run('run'));
  await cluster.until(() => cluster.csrs.some(({ signerName }) => signerName?.endsWith('/kube-apiserver-client')));
  const asked = cluster.csrs.find(({ signerName }) => signerName?.endsWith('/kube-apiserver-client'));
  cluster.approve(asked?.name ?? '');
  await program.said('Failed while requesting a signed certificate');
  t.match(program.of('Failed while requesting a signed certificate')[0], {
    purpose: 'kube-proxy',
    code: 'ERR_STORE_UNSAFE',
    error: `${node.file('link/kubelet.conf')} is the file ${node.file('kubelet.conf')} of kubeconfig, and is not written`,
  });
  t.match(program.of('Cannot repair a file')[0], {
    code: 'ERR_STORE_UNSAFE',
    error:
      /to-pki\/kubelet-client-current\.pem is the file .*\/pki\/kubelet-client-current\.pem of certDir, and is not written$/,
  });
  t.notOk(existsSync(node.file('other.key')), 'nor a key that has no certificate beside it');
  t.equal(node.current('client')?.chain.leaf.commonName, 'system:node:n1');
  t.match(readFileSync(node.file('kubelet.conf'), 'utf8'), /pki\/kubelet-client-current\.pem/);
  t.strictSame(program.of('Moved a file aside that cannot be used'), []);
});

t.test('settings that cannot be are told at once, with their lines', async (t) => {
  const { node } = await prepare(t);
  node.writeSettings(proxyEntry(node).replace('[digital signature, client auth]', '[server auth]'));
  writeFileSync(node.file('bootstrap.conf'), '');
  const program = ended(t, node.run('once'));
  t.equal(await program.exited, 78);
  t.match(program.text.join('\n'), /certificates\[0\]\.usages: .*signs no certificate for server auth/);
  t.match(program.text.join('\n'), /certificates\[0\]\.kubeconfig: names a certificate for a client/);
});
