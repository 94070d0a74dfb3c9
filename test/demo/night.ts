/**
 * Makes `docs/a-night-of-trouble.md`: runs the real daemon through a night of trouble against the fake cluster, with certificates of two
 * minutes, and writes down what the journal says. `node test/demo/night.ts > docs/a-night-of-trouble.md`; takes about four minutes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';

const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'certlet-night-'));
const LIFETIME_MS = 120_000;
const page: string[] = [];
const lines: string[] = [];

const settings = `bootstrapKubeconfig: ${folder}/etc/bootstrap-kubelet.conf
kubeconfig: ${folder}/etc/kubelet.conf
certDir: ${folder}/pki
runtimeDir: ${folder}/run
hostnameOverride: edge-17
nodeIP: [127.0.0.1]
kubelet: {restart: never}
rotation: {minimumSpacing: 1s, startSpread: 0s, nodeRefresh: 2m}
log: {format: journal}
`;

/** Folders as they are on a host: the run uses a temporary one. Where the settings lie at their usual place, printed commands do not name it. */
const shown = (line: string): string =>
  line
    .replaceAll(`${folder}/etc`, '/etc/kubernetes')
    .replaceAll(`${folder}/pki`, '/var/lib/kubelet/pki')
    .replaceAll(` --config ${folder}/config.yaml`, '')
    .replaceAll(`${folder}/config.yaml`, '/etc/certlet/config.yaml')
    .replaceAll(folder, '/run/certlet')
    .replaceAll(/https:\/\/127\.0\.0\.1:\d+/g, 'https://10.0.0.1:6443')
    .replaceAll(/127\.0\.0\.1:\d+/g, '10.0.0.1:6443')
    .replaceAll(/127\.0\.0\.1 \d+/g, '10.0.0.1 6443');

function start(): ChildProcess {
  const program = [
    '--disable-warning=ExperimentalWarning',
    join(root, 'src/main.ts'),
    'run',
    '--config',
    `${folder}/config.yaml`,
  ];
  const daemon = spawn(process.execPath, program, { stdio: ['ignore', 'ignore', 'pipe'] });
  if (daemon.stderr === null) throw new Error('no log');
  createInterface({ input: daemon.stderr }).on('line', (line) => {
    const priority = Number(/^<(\d)>/.exec(line)?.[1] ?? 6);
    const time = new Date().toTimeString().slice(0, 8);
    lines.push(`${time} ${priority <= 3 ? 'E' : priority <= 4 ? 'W' : ' '} ${shown(line.replace(/^<\d>/, ''))}`);
  });
  return daemon;
}

/** Waits until a line of this scene holds `text`; gives the scene's lines. */
async function until(text: string, limitMs = 120_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!lines.some((line) => line.includes(text))) {
    if (Date.now() > deadline) throw new Error(`no line with: ${text}\n${lines.join('\n')}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

function scene(title: string, told: string): void {
  page.push('', `## ${title}`, '', told, '', '```', ...lines.splice(0), '```');
}

async function stopped(daemon: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = new Promise((done) => daemon.once('exit', done));
  daemon.kill(signal);
  await ended;
}

function token(cluster: FakeCluster, text: string): void {
  const path = `${folder}/etc/bootstrap-kubelet.conf`;
  writeFileSync(path, cluster.bootstrapKubeconfig({ token: text }), { mode: 0o600 });
  chmodSync(path, 0o600);
}

const cluster = await startFakeCluster({ lifetimeMs: LIFETIME_MS, backdateMs: 0 });
spawn('mkdir', ['-p', `${folder}/etc`]);
await new Promise((done) => setTimeout(done, 300));
writeFileSync(`${folder}/config.yaml`, settings, { mode: 0o600 });

page.push(
  '# A night of trouble, told by the journal',
  '',
  'A real run of certlet on a node called edge-17, with certificates that live two minutes instead of a year, so that a night has room for a',
  'year of trouble. `journalctl -u certlet` shows these lines; the letter before a line is its priority (W warning, E error). Folders and the',
  "API server's address are shown as they usually are. Made by `node test/demo/night.ts`.",
);

token(cluster, 'fedcba.0123456789abcdef');
let daemon = start();
await until('ERR_API_UNAUTHORIZED');
scene(
  'The token is dead',
  'Somebody installed the node with a token from last month. The line ranks the causes and has the command.',
);

token(cluster, 'abcdef.0123456789abcdef');
await until('purpose=client file=');
await until('waits for approval', 30_000);
scene(
  'A fresh token, and nobody to approve',
  'The administrator replaces the file; nothing is restarted. The client certificate comes at once, the serving request waits for a person. ' +
    'Meanwhile the kubelet runs on the self-signed pair.',
);

for (const { name, conditions } of cluster.csrs) if (conditions.length === 0) cluster.approve(name);
await until('purpose=serving file=');
scene('Approved', 'The administrator runs the command of the line.');

await cluster.stop();
await until('ERR_API_UNREACHABLE');
scene(
  'The API server goes away',
  'Renewal is due while the control plane is down. The old certificate stays in use; tries come closer together as its end nears.',
);

await cluster.start();
await until('purpose=client file=');
cluster.settings.approval = 'denying';
cluster.settings.denial = { reason: 'NotAllowed', message: 'edge-17 is in maintenance' };
await until('ERR_CSR_DENIED');
scene(
  'Back again, and then denied',
  'The client certificate is renewed as soon as the API server answers. A policy then denies a request: no hammering, hours of pause, reason and message shown.',
);

cluster.settings.approval = 'automatic';
cluster.settings.approveServing = true;
await stopped(daemon, 'SIGKILL');
lines.push('--:--:--   (power cut)');
unlinkSync(`${folder}/etc/bootstrap-kubelet.conf`);
await new Promise((done) => setTimeout(done, LIFETIME_MS + 2_000));
daemon = start();
await until('ERR_CREDENTIAL_MISSING');
scene(
  'Off for longer than the certificate lives',
  'The power is cut, and somebody tidies the bootstrap kubeconfig away. When the node comes back its certificate has expired. ' +
    'The line says what is missing and where it goes.',
);

token(cluster, 'abcdef.0123456789abcdef');
await until('purpose=client file=');
lines.push('--:--:--   (certlet renew serving)');
const renew = spawn(process.execPath, [
  '--disable-warning=ExperimentalWarning',
  join(root, 'src/main.ts'),
  'renew',
  'serving',
  '--config',
  `${folder}/config.yaml`,
]);
await new Promise((done) => renew.once('exit', done));
await until('purpose=serving file=', 30_000);
scene(
  'Morning',
  'A fresh token, dropped into place: the node is back without a restart. The denial is lifted and `certlet renew serving` tries at once.',
);

await stopped(daemon, 'SIGTERM');
await cluster.close();
rmSync(folder, { recursive: true });
console.log(page.join('\n'));
