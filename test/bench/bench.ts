/**
 * `npm run bench [-- --runs N] [-- --program FILE]`: time from start to both certificates, requests, memory, processor time and wake-ups, each
 * measured on the real program against the fake cluster on this machine. Prints what it saw; judges nothing.
 * `--program` names a bundled certlet.cjs (see `npm run stage`); without it the sources run.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    program: { type: 'string' },
    idle: { type: 'string', default: '10' },
  },
});
const program = values.program ?? resolve(import.meta.dirname, '../../src/main.ts');
/** As the shipped launcher starts it. */
const NODE_FLAGS = [
  '--max-old-space-size=48',
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
  '--disable-warning=ExperimentalWarning',
];

interface Run {
  readonly clientMs: number;
  readonly bothMs: number;
  readonly requests: number;
  readonly residentMiB: number;
  readonly anonymousMiB: number;
  readonly cpuMs: number;
  readonly threads: number;
  readonly wakesPerMinute: number;
}

function status(pid: number, field: string): number {
  const text = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 'NaN');
}

/** User and system time, in clock ticks of 10 ms (proc(5)). */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

async function until(condition: () => boolean, limitMs: number): Promise<number> {
  const started = performance.now();
  while (!condition()) {
    if (performance.now() - started > limitMs) throw new Error('not within the limit');
    await pause(2);
  }
  return performance.now() - started;
}

async function measure(): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-bench-'));
  const cluster = await startFakeCluster({ approveServing: true });
  writeFileSync(join(folder, 'bootstrap.conf'), cluster.bootstrapKubeconfig(), { mode: 0o600 });
  const settings = [
    `bootstrapKubeconfig: ${folder}/bootstrap.conf`,
    `kubeconfig: ${folder}/kubelet.conf`,
    `certDir: ${folder}/pki`,
    `runtimeDir: ${folder}/run`,
    'hostnameOverride: bench',
  ];
  writeFileSync(join(folder, 'config.yaml'), settings.join('\n'), { mode: 0o600 });
  const link = (purpose: string): string => join(folder, `pki/kubelet-${purpose}-current.pem`);
  const child = spawn(process.execPath, [...NODE_FLAGS, program, 'run', '--config', join(folder, 'config.yaml')], {
    stdio: 'ignore',
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('the program did not start');
  const clientMs = await until(() => existsSync(link('client')), 20_000);
  // The first serving link names the self-signed pair: the second one counts.
  const issued = (): boolean =>
    existsSync(link('server')) && cluster.requests.filter(({ method }) => method === 'POST').length >= 3;
  const placeholder = existsSync(link('server')) ? readlinkSync(link('server')) : '';
  const bothMs = clientMs + (await until(() => issued() && readlinkSync(link('server')) !== placeholder, 20_000));
  const requests = cluster.requests.length;
  const idleMs = Number(values.idle) * 1000;
  await pause(1000);
  const before = status(pid, 'voluntary_ctxt_switches');
  await pause(idleMs);
  const wakes = status(pid, 'voluntary_ctxt_switches') - before;
  const run = {
    clientMs,
    bothMs,
    requests,
    residentMiB: status(pid, 'VmRSS') / 1024,
    anonymousMiB: status(pid, 'RssAnon') / 1024,
    cpuMs: cpuMs(pid),
    threads: status(pid, 'Threads'),
    wakesPerMinute: (wakes / idleMs) * 60_000,
  };
  const stopped = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  await stopped;
  await cluster.close();
  rmSync(folder, { recursive: true });
  return run;
}

const runs: Run[] = [];
for (let count = Number(values.runs); count > 0; count -= 1) runs.push(await measure());
console.log(`${program}\n${String(runs.length)} runs, Node ${process.versions.node}; median (least to most)`);
for (const key of Object.keys(runs[0] ?? {}) as (keyof Run)[]) {
  const sorted = runs.map((run) => run[key]).sort((left, right) => left - right);
  const [least, median, most] = [sorted[0]!, sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!];
  console.log(`  ${key.padEnd(16)} ${median.toFixed(1).padStart(8)}  (${least.toFixed(1)} to ${most.toFixed(1)})`);
}
