/**
 * `npm run demo`: the main job on a throw-away cluster. Starts the fake API server with certificates that live half a minute, runs the real
 * daemon against it in a temporary folder, tells what happens, and ends by itself within 90 seconds: exit 0 only if all of it happened.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { type DemoProgress, demoGoals, noProgress, progressAfter } from './progress.ts';

const LIFETIME_MS = 24_000;
const LIMIT_MS = 85_000;
const root = resolve(import.meta.dirname, '../..');

const settingsText = (folder: string): string => `# Settings of this demo: everything in one folder, time scaled down.
bootstrapKubeconfig: ${folder}/bootstrap-kubelet.conf
kubeconfig: ${folder}/kubelet.conf
certDir: ${folder}/pki
runtimeDir: ${folder}/run
hostnameOverride: demo-node
nodeIP: [127.0.0.1]
rotation: {minimumSpacing: 1s, keepOldFiles: 1, pruneGrace: 2s, nodeRefresh: 3s, startSpread: 0s}
log: {format: json}
`;

const started = Date.now();
const colour = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
const paint = (code: number, text: string): string => (colour ? `\u001b[${String(code)}m${text}\u001b[0m` : text);

function tell(text: string): void {
  const seconds = ((Date.now() - started) / 1000).toFixed(1).padStart(5);
  console.log(`${paint(2, `${seconds} s`)}  ${text}`);
}

function startDaemon(settingsPath: string): ChildProcess {
  const program = [join(root, 'src/main.ts'), 'run', '--config', settingsPath];
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...program], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** Reads the daemon's log until every goal is met or the time is up. */
async function follow(daemon: ChildProcess, until: AbortSignal): Promise<DemoProgress> {
  let progress = noProgress;
  if (daemon.stderr === null) throw new Error('the daemon has no log');
  const lines = createInterface({ input: daemon.stderr, signal: until });
  for await (const line of lines) {
    const record: unknown = JSON.parse(line);
    progress = progressAfter(progress, record);
    const { event, ...fields } = record as Record<string, unknown>;
    const shown = Object.entries(fields)
      .filter(([key]) => !['time', 'level'].includes(key))
      .map(([key, value]) => `${key}=${Array.isArray(value) ? value.join(',') : String(value)}`);
    tell(`${String(event)} ${paint(2, shown.join(' '))}`);
    if (demoGoals(progress).every(({ met }) => met)) break;
  }
  return progress;
}

function showFolder(folder: string): void {
  console.log('\nThe cert-dir now:');
  for (const name of readdirSync(join(folder, 'pki')).sort()) {
    if (name.startsWith('.')) continue;
    const target = name.endsWith('-current.pem') ? ` -> ${readlinkSync(join(folder, 'pki', name))}` : '';
    console.log(`  ${name}${target}`);
  }
  console.log('\nThe kubeconfig that a kubelet starts on (CA left out):');
  const kubeconfig = readFileSync(join(folder, 'kubelet.conf'), 'utf8');
  for (const line of kubeconfig.split('\n')) if (line !== '') console.log(`  ${line.slice(0, 100)}`);
}

const folder = mkdtempSync(join(tmpdir(), 'certlet-demo-'));
const cluster = await startFakeCluster({ approveServing: true, lifetimeMs: LIFETIME_MS, backdateMs: 0 });
writeFileSync(join(folder, 'bootstrap-kubelet.conf'), cluster.bootstrapKubeconfig(), { mode: 0o600 });
writeFileSync(join(folder, 'config.yaml'), settingsText(folder), { mode: 0o600 });
console.log(
  `A throw-away cluster with certificates that live ${String(LIFETIME_MS / 1000)} seconds, and a node called demo-node.`,
);
console.log('certlet bootstraps it, then renews both certificates twice. This takes about 50 seconds.\n');

const daemon = startDaemon(join(folder, 'config.yaml'));
const stopped = new Promise<number | null>((done) => daemon.on('exit', (code) => done(code)));
const limit = AbortSignal.timeout(LIMIT_MS);
let progress = noProgress;
try {
  progress = await follow(daemon, AbortSignal.any([limit]));
} catch (error) {
  if (!limit.aborted) throw error;
}
daemon.stderr?.resume();
daemon.kill('SIGTERM');
const code = await stopped;
showFolder(folder);
await cluster.close();

const goals = [...demoGoals(progress), { name: 'the daemon stopped cleanly', met: code === 0 }];
console.log('\nWhat had to happen:');
for (const { name, met } of goals) console.log(`  ${met ? paint(32, 'done') : paint(31, 'MISSING')}  ${name}`);
console.log(`\nEverything is left in ${folder}`);
process.exitCode = goals.every(({ met }) => met) ? 0 : 1;
