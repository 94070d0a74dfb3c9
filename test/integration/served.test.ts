/** The daemon beside servers that take a new pair over as kubelets of different releases do, over real TLS. */
import { existsSync, readFileSync, rmSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import t, { type Test } from 'tap';
import { parseChain } from '../../src/pki/certificate.ts';
import type { StatusDocument } from '../../src/status/document.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { eventually } from '../fixtures/eventually.ts';
import { type KubeletRelease, ServingKubelet } from '../fixtures/serving-kubelet.ts';
import { shortFolder } from '../fixtures/short-folder.ts';
import { NodeFolder } from './program.ts';

const before = createAuthority({ name: 'kubernetes' }).issue({ commonName: 'system:node:n1', dnsNames: ['n1'] });
const { serial: oldSerial } = parseChain(before.chainPem).leaf;

async function nodeOf(t: Test) {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  const node = new NodeFolder(shortFolder(t));
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  return { cluster, node };
}

/** Root's side of a flag: whoever is meant begins anew each time that it stands. */
function takesFlag(t: Test, flag: string, restart: () => Promise<void>): void {
  let working = Promise.resolve();
  const look = (): void => {
    working = working.then(async () => {
      if (!existsSync(flag)) return;
      rmSync(flag);
      await restart();
    });
  };
  const watcher = watch(dirname(flag), look);
  t.teardown(async () => {
    watcher.close();
    await working;
  });
}

/** It was started before certlet came, on another pair. */
async function servingKubelet(t: Test, release: KubeletRelease, node: NodeFolder): Promise<ServingKubelet> {
  let early = true;
  const link = node.file('pki/kubelet-server-current.pem');
  const kubelet = new ServingKubelet(release, () => {
    const pem = early ? undefined : readFileSync(link, 'utf8');
    return pem === undefined ? before : { chainPem: pem, keyPem: pem };
  });
  await kubelet.start();
  early = false;
  t.teardown(() => kubelet.stop());
  return kubelet;
}

for (const { release, restarts, to } of [
  { release: '1.20', restarts: 1, to: 'every client' },
  { release: '1.31', restarts: 1, to: 'clients that connect by address' },
  { release: '1.36', restarts: 0, to: undefined },
] as const) {
  t.test(
    `a kubelet ${release} is restarted ${String(restarts)} times after a renewal, and serves the new pair`,
    async (t) => {
      const { node } = await nodeOf(t);
      const kubelet = await servingKubelet(t, release, node);
      node.writeSettings(`kubelet: {port: ${String(kubelet.port)}, reloadWithin: 2s}`);
      const program = node.run('run');
      t.teardown(() => program.end('SIGKILL'));
      await program.said('Starting certlet');
      await eventually('the runtime folder', () => existsSync(node.file('run')) || undefined);
      takesFlag(t, node.file('run/restart-kubelet'), () => kubelet.restart());
      await program.said('The new pair is served');
      t.equal(kubelet.restarts, restarts);
      const [stale] = program.of('The kubelet serves a stale pair and is restarted');
      t.equal(stale?.['to'], to);
      if (to !== undefined) t.equal(stale?.['serial'], oldSerial);
      t.strictSame(kubelet.complaints, []);
      const current = node.current('serving')?.chain.leaf;
      const { certificates } = await eventually('the status file to follow', () => {
        const read = JSON.parse(readFileSync(node.file('run/status.json'), 'utf8')) as StatusDocument;
        return read.certificates.some(({ served }) => served?.state === 'current') ? read : undefined;
      });
      t.match(
        certificates.find(({ purpose }) => purpose === 'serving'),
        { certificate: { serial: current?.serial }, served: { state: 'current', port: kubelet.port } },
      );
      t.equal(await program.end(), 0);
      const looks = kubelet.asked.length;
      const again = node.run('run');
      t.teardown(() => again.end('SIGKILL'));
      await eventually('a look at the start', () => kubelet.asked.length > looks || undefined);
      t.equal(kubelet.restarts, restarts, 'a start restarts nothing');
    },
  );
}

t.test(
  'a kubelet 1.20 whose restart waits for a window: told, over a restart of certlet, until an administrator ends it',
  async (t) => {
    const { cluster, node } = await nodeOf(t);
    const kubelet = await servingKubelet(t, '1.20', node);
    // Half a year away: no run of this test meets it.
    const start = `0 3 1 ${String(((new Date().getUTCMonth() + 6) % 12) + 1)} *`;
    const window = `{start: "${start}", length: 2h, timeZone: America/St_Johns}`;
    node.writeSettings(
      `events: true\nkubelet: {port: ${String(kubelet.port)}, reloadWithin: 2s, restartWindow: ${window}}`,
    );
    const planned = () => {
      const { certificates } = JSON.parse(readFileSync(node.file('run/status.json'), 'utf8')) as StatusDocument;
      return certificates.find(({ purpose }) => purpose === 'serving')?.kubeletRestart;
    };
    const first = node.run('run');
    t.teardown(() => first.end('SIGKILL'));
    const told = await eventually(
      'the restart to wait',
      () => (existsSync(node.file('run/status.json')) ? planned() : undefined),
      60,
    );
    t.ok(Date.parse(told.at) > Date.now(), told.at);
    await eventually('the Event', () => cluster.events.find(({ reason }) => reason === 'KubeletRestartPlanned'));
    t.equal(await first.end(), 0);

    const second = node.run('run');
    t.teardown(() => second.end('SIGKILL'));
    await second.said('Starting certlet');
    takesFlag(t, node.file('run/restart-kubelet'), () => kubelet.restart());
    const again = await eventually('the restart to wait again', () => planned(), 60);
    t.strictSame(again, told, 'the moment that was told');
    t.equal(kubelet.restarts, 0);
    const renew = node.run('renew', '--restart-now');
    t.equal(await renew.exited, 0);
    await second.said('Asked to restart the kubelet now');
    const [asked] = second.of('Asked to restart the kubelet now');
    t.match(asked, { by: /^(?:root|user \d+)/, purposes: [/^serving$/] }, 'who asked, and for what');
    await second.said('The new pair is served');
    t.equal(kubelet.restarts, 1);
    await eventually('nothing to wait', () => (planned() === undefined ? true : undefined));
  },
);

t.test('a program with reload and verify: looked at after its reload, and told when it did not help', async (t) => {
  const { cluster, node } = await nodeOf(t);
  cluster.settings.sign = ({ issue }) => issue().chainPem;
  const exporter = new ServingKubelet('1.20', () => before);
  await exporter.start();
  t.teardown(() => exporter.stop());
  node.writeSettings(`
certificatesDir: ${node.file('certs')}
certificates:
  - name: node-exporter
    signerName: example.com/monitoring
    commonName: "{nodeName}"
    names: node
    usages: [digital signature, server auth]
    reload: exporter
    verify: {address: "127.0.0.1:${String(exporter.port)}", within: 1s}
`);
  const program = node.run('run');
  t.teardown(() => program.end('SIGKILL'));
  await cluster.until(() => cluster.csrs.length === 3);
  cluster.approve(cluster.csrs.find(({ signerName }) => signerName === 'example.com/monitoring')?.name ?? '');
  await eventually('the flag', () => existsSync(node.file('run/reload/exporter')) || undefined);
  rmSync(node.file('run/reload/exporter'));
  await program.said('Hook failed');
  t.match(program.of('Hook failed'), [
    {
      hook: 'reload exporter',
      error: `127.0.0.1:${String(exporter.port)} serves the certificate with serial ${oldSerial} to every client after its reload, too, and not the current one`,
    },
  ]);
  t.notOk(existsSync(node.file('run/reload/exporter')), 'one reload for each pair');
});
