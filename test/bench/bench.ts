/**
 * `npm run bench [-- --runs N] [-- --idle SECONDS] [-- --program DIR]`: what a start of the staged program costs, and what it takes while it has
 * nothing to do. With KUBEBUILDER_ASSETS and a containerd a real kubelet runs in turn with it on one control plane, A B A B. Prints medians,
 * ranges and ratios, and judges nothing: what CI judges are counts (`test/footprint/`).
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { NODE_FLAGS } from '../../config/tooling/bundle.ts';
import { stage } from '../../config/tooling/stage.ts';
import { controlPlaneMissing } from '../cluster/fixtures/assets.ts';
import { startControlPlane } from '../cluster/fixtures/control-plane.ts';
import { staticUsers } from '../cluster/fixtures/control-plane-programs.ts';
import { TestHost } from '../cluster/fixtures/host.ts';
import { kubeletCommand, kubeletMissing, startContainerd } from '../cluster/fixtures/kubelet.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { launched } from '../fixtures/program.ts';
import { type Figures, measure, type Subject, timeOf } from './run.ts';
import { tableOf } from './table.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    idle: { type: 'string', default: '5' },
    program: { type: 'string' },
  },
});
const work = mkdtempSync(join(tmpdir(), 'certlet-bench-'));
const program = values.program === undefined ? join(work, 'program') : resolve(values.program);
if (values.program === undefined) await stage(program);
const lib = join(program, 'usr/lib/certlet');
try {
  execFileSync(join(lib, 'node'), [...NODE_FLAGS, join(lib, 'build-cache.cjs')], { stdio: 'pipe' });
} catch {
  console.log('without a code cache: only root makes one that is used');
}

const results: Record<string, Figures[]> = {};
const note = (name: string, figures: Figures): void => void (results[name] ??= []).push(figures);
const rounds = Array.from({ length: Number(values.runs) }, (_none, round) => round);

function certlet(settings: string, clientLink: string, servingPosted: Subject['servingPosted']): Subject {
  const [command = '', ...args] = launched(program, ['run', '--config', settings]);
  return { command, args, env: { PATH: process.env['PATH'] }, clientLink, servingPosted };
}

async function besideFakeCluster(round: number): Promise<Figures> {
  const folder = join(work, `node-${String(round)}`);
  mkdirSync(folder);
  const cluster = await startFakeCluster({ approveServing: true });
  writeFileSync(join(folder, 'bootstrap.conf'), cluster.bootstrapKubeconfig(), { mode: 0o600 });
  const settings = {
    bootstrapKubeconfig: join(folder, 'bootstrap.conf'),
    kubeconfig: join(folder, 'kubelet.conf'),
    certDir: join(folder, 'pki'),
    runtimeDir: join(folder, 'run'),
    hostnameOverride: 'bench',
  };
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(settings), { mode: 0o600 });
  const posted = async (): Promise<boolean> =>
    cluster.csrs.some(({ signerName = '' }) => signerName.endsWith('serving'));
  const subject = certlet(join(folder, 'config.yaml'), join(folder, 'pki/kubelet-client-current.pem'), posted);
  try {
    return { ...(await measure(subject, Number(values.idle))), requests: cluster.requests.length };
  } finally {
    await cluster.close();
  }
}

async function besideKubelet(): Promise<void> {
  const plane = await startControlPlane();
  const containerd = await startContainerd(join(plane.folder, 'containerd'));
  const hosts: TestHost[] = [];
  const hostOf = (name: string): TestHost => {
    const host = new TestHost(plane, name);
    hosts.push(host);
    host.bootstrapWith(staticUsers.automatic.token);
    return host;
  };
  const posted = (node: string) => async () => (await plane.csrs({ purpose: 'serving', node })).length > 0;
  const idle = Number(values.idle);
  try {
    for (const round of rounds) {
      const own = hostOf(`certlet-${String(round)}`);
      const settings = join(own.folder, 'config.yaml');
      note('certlet', await measure(certlet(settings, own.link('client'), posted(own.nodeName)), idle));
      const host = hostOf(`kubelet-${String(round)}`);
      const { command, args, env } = await kubeletCommand(plane, {
        folder: join(host.folder, 'kubelet'),
        nodeName: host.nodeName,
        containerdSocket: containerd.socket,
        kubeconfig: host.kubeconfig,
        bootstrapKubeconfig: host.bootstrapKubeconfig,
        certDir: host.certDir,
      });
      const subject = { command, args, env, clientLink: host.link('client'), servingPosted: posted(host.nodeName) };
      note('kubelet', await measure(subject, idle));
    }
  } finally {
    await Promise.all(hosts.map((host) => host.close()));
    await containerd.stop();
    await plane.close(false);
  }
}

try {
  const [command = '', ...args] = launched(program, ['--version']);
  for (const _round of rounds) note('certlet', await timeOf(command, args));
  const missing = controlPlaneMissing() ?? kubeletMissing();
  if (missing === undefined) await besideKubelet();
  else {
    console.log(`certlet alone, beside a fake cluster: ${missing}`);
    for (const round of rounds) note('certlet', await besideFakeCluster(round));
  }
  console.log(`${String(rounds.length)} runs in turn, Node ${process.versions.node}; median (least to most)\n`);
  console.log(tableOf(results));
} finally {
  rmSync(work, { recursive: true, force: true });
}
