/**
 * `npm run bench [-- --runs N] [-- --idle SECONDS] [-- --program DIR]`: what a start of the staged program costs, in N runs, and in one more what it
 * takes while it waits for an approval and while it has nothing to do. `--idle 0` leaves that one out. With KUBEBUILDER_ASSETS and a containerd a real kubelet runs in turn with it on one control plane, A B A B. Prints medians,
 * ranges and ratios, and judges nothing: what CI judges are counts (`test/footprint/`).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { NODE_FLAGS } from '../../config/tooling/bundle.ts';
import { stage } from '../../config/tooling/stage.ts';
import { controlPlaneMissing } from '../cluster/fixtures/assets.ts';
import { type ControlPlane, startControlPlane } from '../cluster/fixtures/control-plane.ts';
import { staticUsers } from '../cluster/fixtures/control-plane-programs.ts';
import { TestHost } from '../cluster/fixtures/host.ts';
import { kubeletCommand, kubeletMissing, startContainerd } from '../cluster/fixtures/kubelet.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { launched } from '../fixtures/program.ts';
import { eventually } from '../fixtures/eventually.ts';
import { type Figures, measureRest, measureStart, type Subject, timeOf } from './run.ts';
import { tableOf } from './table.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    idle: { type: 'string', default: '155' },
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
const idleSeconds = Number(values.idle);
const starts = Array.from({ length: Number(values.runs) }, (_none, round) => String(round));
const rounds = [...starts, ...(idleSeconds > 0 ? ['rest'] : [])];

const measure = (round: string, subject: Subject): Promise<Figures> =>
  round === 'rest' ? measureRest(subject, idleSeconds) : measureStart(subject);

function certlet(settings: string, rest: Omit<Subject, 'command' | 'args' | 'env' | 'once'>): Subject {
  const [command = '', ...args] = launched(program, ['run', '--config', settings]);
  const [onceCommand = '', ...onceArgs] = launched(program, ['once', '--config', settings]);
  const once = { command: onceCommand, args: onceArgs };
  return { command, args, env: { PATH: process.env['PATH'] }, ...rest, once };
}

/** The link names an issued pair, and no self-signed one. */
const served = (link: string, before: string): Promise<true> =>
  eventually('the serving certificate', () => (readlinkSync(link) !== before ? true : undefined), 120);

async function besideFakeCluster(round: string): Promise<Figures> {
  const folder = join(work, `node-${round}`);
  mkdirSync(folder);
  const cluster = await startFakeCluster();
  writeFileSync(join(folder, 'bootstrap.conf'), cluster.bootstrapKubeconfig(), { mode: 0o600 });
  const settings = {
    bootstrapKubeconfig: join(folder, 'bootstrap.conf'),
    kubeconfig: join(folder, 'kubelet.conf'),
    certDir: join(folder, 'pki'),
    runtimeDir: join(folder, 'run'),
    hostnameOverride: 'bench',
  };
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(settings), { mode: 0o600 });
  const request = () => cluster.csrs.find(({ signerName = '' }) => signerName.endsWith('serving'));
  const link = join(folder, 'pki/kubelet-server-current.pem');
  const subject = certlet(join(folder, 'config.yaml'), {
    clientLink: join(folder, 'pki/kubelet-client-current.pem'),
    servingPosted: async () => request() !== undefined,
    serve: async () => {
      const before = readlinkSync(link);
      cluster.approve(request()?.name ?? '');
      await served(link, before);
    },
  });
  try {
    const figures = await measure(round, subject);
    return round === 'rest' ? figures : { ...figures, requests: cluster.requests.length };
  } finally {
    await cluster.close();
  }
}

/** What both programs are watched by: the client's link, and the serving request of this node. */
function subjectOf(plane: ControlPlane, host: TestHost): Omit<Subject, 'command' | 'args' | 'env'> {
  const requests = () => plane.csrs({ purpose: 'serving', node: host.nodeName });
  const link = host.link('serving');
  return {
    clientLink: host.link('client'),
    servingPosted: async () => (await requests()).length > 0,
    serve: async () => {
      const before = existsSync(link) ? readlinkSync(link) : '';
      for (const { metadata } of await requests()) await plane.approve(metadata.name);
      await eventually('the serving certificate', () => existsSync(link) || undefined, 120);
      await served(link, before);
    },
  };
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
  try {
    for (const round of rounds) {
      const own = hostOf(`certlet-${round}`);
      const settings = join(own.folder, 'config.yaml');
      note('certlet', await measure(round, certlet(settings, subjectOf(plane, own))));
      const host = hostOf(`kubelet-${round}`);
      const kubelet = await kubeletCommand(plane, {
        folder: join(host.folder, 'kubelet'),
        nodeName: host.nodeName,
        containerdSocket: containerd.socket,
        kubeconfig: host.kubeconfig,
        bootstrapKubeconfig: host.bootstrapKubeconfig,
        certDir: host.certDir,
      });
      note('kubelet', await measure(round, { ...kubelet, ...subjectOf(plane, host) }));
    }
  } finally {
    await Promise.all(hosts.map((host) => host.close()));
    await containerd.stop();
    await plane.close(false);
  }
}

try {
  const [command = '', ...args] = launched(program, ['--version']);
  for (const _round of starts) note('certlet', await timeOf(command, args));
  const missing = controlPlaneMissing() ?? kubeletMissing();
  if (missing === undefined) await besideKubelet();
  else {
    console.log(`certlet alone, beside a fake cluster: ${missing}`);
    for (const round of rounds) note('certlet', await besideFakeCluster(round));
  }
  console.log(`${String(starts.length)} runs in turn, Node ${process.versions.node}; median (least to most)\n`);
  console.log(tableOf(results));
} finally {
  rmSync(work, { recursive: true, force: true });
}
