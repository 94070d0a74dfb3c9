import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { leaveEarlierState, type WaitingCertificate } from '../fixtures/earlier-state.ts';
import { shortFolder } from '../fixtures/short-folder.ts';
import { NodeFolder, type Program } from './program.ts';

async function prepare(t: Test, waiting: WaitingCertificate) {
  const cluster = await startFakeCluster({ approval: 'manual' });
  t.teardown(() => cluster.close());
  const node = new NodeFolder(shortFolder(t));
  node.writeSettings();
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  const request = leaveEarlierState(node, cluster, waiting);
  return { cluster, node, request };
}

function started(t: Test, node: NodeFolder): Program {
  const program = node.run('run');
  t.teardown(() => program.end('SIGKILL'));
  return program;
}

type Fields = Readonly<Record<string, unknown>>;

function record(node: NodeFolder, name: string): Fields {
  return JSON.parse(readFileSync(node.file(join('pki/.certlet', name)), 'utf8')) as Fields;
}

/** Everything that must hold whichever certificate waited: the request of 0.1.0 became the pair, and nothing was lost on the way. */
async function finishes(
  t: Test,
  waiting: WaitingCertificate,
): Promise<{ node: NodeFolder; before: Fields; asked: unknown }> {
  const { cluster, node, request } = await prepare(t, waiting);
  const before = record(node, `${waiting}-history.json`);
  const { createdAt: asked } = record(node, `${waiting}-pending.json`);
  const { files: had } = record(node, `${waiting}-ledger.json`) as { files: readonly string[] };
  const old = node.current(waiting)?.chain.leaf.serial;
  const others = ['client', 'serving'].filter((name) => name !== waiting);
  const untouched = others.map((name) => node.current(name)?.chain.leaf.serial);
  const kubeconfig = readFileSync(node.file('kubelet.conf'), 'utf8');

  const program = started(t, node);
  await program.said('Resuming the pending certificate signing request');
  await cluster.until(() => cluster.requests.some(({ verb }) => verb === 'watch'));
  t.equal(node.current(waiting)?.chain.leaf.serial, old, 'the pair of 0.1.0 stays in use while the request waits');
  cluster.approve(request.name);
  await program.said('Certificate is current');
  await program.said('Certificate rotation deadline determined', 2);
  t.equal(await program.end(), 0);

  t.match(program.of('Resuming the pending certificate signing request'), [{ purpose: waiting, csr: request.name }]);
  const posted = cluster.requests.filter(
    ({ verb, resource }) => verb === 'create' && resource === 'certificatesigningrequests',
  );
  t.strictSame(posted, [], 'no second request');
  t.strictSame(
    cluster.csrs.map(({ uid }) => uid),
    [request.uid],
  );
  const pair = node.current(waiting);
  t.not(pair?.chain.leaf.serial, old);
  const issued = new X509Certificate(cluster.csrs[0]?.certificatePem ?? '');
  t.equal(pair?.chain.leaf.serial, issued.serialNumber.toLowerCase().replace(/^0+/, ''), 'what was issued is current');
  t.strictSame(
    others.map((name) => node.current(name)?.chain.leaf.serial),
    untouched,
  );

  const loud = program.lines.filter(({ level }) => level === 'warn' || level === 'error');
  t.strictSame(loud, [], 'nothing warned');
  t.notOk(existsSync(node.file('pki/.certlet/quarantine')), 'no record set aside');
  t.notOk(existsSync(node.file(`pki/.certlet/${waiting}-pending.json`)));
  const { files: known } = record(node, `${waiting}-ledger.json`) as { files: readonly string[] };
  t.strictSame(
    had.filter((name) => !known.includes(name)),
    [],
    'the ledger goes on',
  );
  t.equal(known.length, had.length + 1);
  t.equal(readFileSync(node.file('kubelet.conf'), 'utf8'), kubeconfig, 'the kubeconfig of 0.1.0 serves');
  return { node, before, asked };
}

t.test('run: a folder that 0.1.0 left with a pending serving request: the same request is finished', async (t) => {
  const { node, asked } = await finishes(t, 'serving');
  t.strictSame(node.current('serving')?.chain.leaf.ipAddresses, ['127.0.0.1']);
  t.equal(node.current('serving')?.chain.leaf.selfSigned, false);
  const { lastRequestAt, lastSerial } = record(node, 'serving-history.json');
  t.equal(lastRequestAt, asked, 'the history goes on');
  t.type(lastSerial, 'string');
});

t.test('run: a folder that 0.1.0 left with a pending client renewal: the same request is finished', async (t) => {
  const { node, before, asked } = await finishes(t, 'client');
  t.equal(node.current('client')?.chain.leaf.commonName, 'system:node:n1');
  const { lastRequestAt, lastSerial, renewWantedAt } = record(node, 'client-history.json');
  t.equal(lastRequestAt, asked, 'the history goes on');
  t.not(lastSerial, before['lastSerial']);
  t.equal(renewWantedAt, undefined, 'the wish of the administrator is fulfilled');
});
