import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** What one start came to. Times in milliseconds from exec, memory in MiB. A figure that a program does not have is absent. */
export type Figures = Readonly<Record<string, number>>;

/** A program that fetches the certificates of a node, and where it is seen that it has them. */
export interface Subject {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly clientLink: string;
  readonly servingPosted: () => Promise<boolean>;
  /** Approves the serving request, and resolves when its certificate is current. */
  readonly serve: () => Promise<void>;
  /** The command of the timer in place of the daemon, where the program has one. */
  readonly once?: { readonly command: string; readonly args: readonly string[] };
}

/** No start takes as long. */
const LIMIT_MS = 60_000;

function field(pid: number, name: string): number {
  const text = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 'NaN');
}

/** How often any of its threads has gone to sleep, and so was woken. */
function wakes(pid: number): number {
  const tasks = readdirSync(`/proc/${String(pid)}/task`);
  const counts = tasks.map((task) => readFileSync(`/proc/${String(pid)}/task/${task}/status`, 'utf8'));
  return counts
    .map((text) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1] ?? 'NaN'))
    .reduce((sum, one) => sum + one, 0);
}

/** Bytes that went to a block device. */
function written(pid: number): number {
  return Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${String(pid)}/io`, 'utf8'))?.[1] ?? 'NaN');
}

/** User and system time; clock ticks are 10 ms (proc(5)). */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** What a program takes over a minute. `state` names what it does meanwhile. */
async function rates(pid: number, state: string): Promise<Figures> {
  const before = { wakes: wakes(pid), written: written(pid), cpu: cpuMs(pid) };
  await delay(60_000);
  return {
    [`wake-ups a minute, all threads, ${state}`]: wakes(pid) - before.wakes,
    [`bytes written a minute, ${state}`]: written(pid) - before.written,
    [`processor time a minute, ms, ${state}`]: cpuMs(pid) - before.cpu,
  };
}

const memory = (pid: number, state: string): Figures => ({
  [`resident, MiB, ${state}`]: field(pid, 'VmRSS') / 1024,
  [`anonymous, MiB, ${state}`]: field(pid, 'RssAnon') / 1024,
  [`threads, ${state}`]: field(pid, 'Threads'),
});

/** From exec to the serving request. */
export async function measureStart(subject: Subject): Promise<Figures> {
  return whileRunning(subject, async (_pid, start) => start);
}

/**
 * What it takes while its serving request waits for approval, and while it has nothing to do: every certificate current, no watch open.
 * Both are counted `idleSeconds` after the start and after the swap: what the kubelet's port shows is looked at for 90 seconds.
 */
export async function measureRest(subject: Subject, idleSeconds: number): Promise<Figures> {
  const rest = await whileRunning(subject, async (pid) => {
    await delay(1000 * idleSeconds);
    const waiting = { ...memory(pid, 'waiting for approval'), ...(await rates(pid, 'waiting for approval')) };
    await subject.serve();
    await delay(1000 * idleSeconds);
    return { ...waiting, ...memory(pid, 'idle'), ...(await rates(pid, 'idle')) };
  });
  return subject.once === undefined ? rest : { ...rest, ...(await nothingDue(subject.once)) };
}

/** Runs of the timer's command after the daemon has ended. The first is left out: it proves the client certificate, which is done once a day. */
async function nothingDue({ command, args }: NonNullable<Subject['once']>): Promise<Figures> {
  const times: number[] = [];
  for (let run = 0; run < 6; run += 1) times.push(Object.values(await timeOf(command, args))[0] ?? Number.NaN);
  const [, , median = Number.NaN] = times.slice(1).sort((one, other) => one - other);
  return { 'once with nothing due, ms': median };
}

async function whileRunning(
  subject: Subject,
  work: (pid: number, start: Figures) => Promise<Figures>,
): Promise<Figures> {
  const started = performance.now();
  const child = spawn(subject.command, subject.args, { stdio: ['ignore', 'ignore', 'pipe'], env: subject.env });
  try {
    return await work(child.pid ?? 0, await startOf(child, subject, started));
  } finally {
    await ended(child);
  }
}

async function startOf(child: ChildProcess, subject: Subject, started: number): Promise<Figures> {
  const since = (): number => performance.now() - started;
  let firstLine = Number.NaN;
  let said = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    if (Number.isNaN(firstLine)) firstLine = since();
    said = `${said}${bytes.toString()}`.slice(-2000);
  });
  let client = Number.NaN;
  let serving = Number.NaN;
  const posted = (async () => {
    while (Number.isNaN(serving) && since() < LIMIT_MS) {
      if (await subject.servingPosted()) serving = since();
      await delay(5);
    }
  })();
  while (Number.isNaN(client) && since() < LIMIT_MS) {
    if (existsSync(subject.clientLink)) client = since();
    await delay(1);
  }
  await posted;
  if (Number.isNaN(client + serving)) throw new Error(`no certificates after a minute; it said last:\n${said}`);
  return {
    'first line, ms': firstLine,
    'client PEM on disk, ms': client,
    'serving CSR posted, ms': serving,
    'processor time until then, ms': cpuMs(child.pid ?? 0),
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  const patience = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(patience);
}

/** The same command again and again: from exec to its end, in milliseconds. */
export async function timeOf(command: string, args: readonly string[]): Promise<Figures> {
  const started = performance.now();
  const child = spawn(command, args, { stdio: 'ignore' });
  await new Promise((done) => child.once('exit', done));
  return { [`${args.at(-1) ?? command}, ms`]: performance.now() - started };
}
