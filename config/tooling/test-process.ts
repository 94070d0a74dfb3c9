/** A worker process for test files, and the surroundings that it gets: nothing of the machine's but a shell and the usual tools. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { broken, type FileOutcome, outcomeIn, type WorkerOrder } from './test-outcome.ts';
import { type ProcessorTime, timeLine } from './test-report.ts';

const root = resolve(import.meta.dirname, '../..');
const USUAL_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** What the suites themselves are told by. */
const OURS = /^(CERTLET|SDLAB|PROBE|COMPARISON|NEWER_TREE)_|^KUBEBUILDER_ASSETS$/;
const LAST_LINES = 20;
/** tap's own limit of the file gives its reason first. */
const GRACE_MS = 30_000;

/** Where Node keeps compiled code during a run, so that the next process starts in half the time. */
export const compileCache = (folder: string): string => join(folder, 'compiled');

/** The environment of test processes: home and temporary files in `folder`, one zone, one language, and of the caller's only what is meant for tests. */
export function surroundings(folder: string, caller: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(Object.entries(caller).filter(([name]) => OURS.test(name))),
    PATH: [join(root, 'node_modules/.bin'), ...USUAL_FOLDERS].join(delimiter),
    HOME: folder,
    TMPDIR: folder,
    TZ: 'UTC',
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    NODE_OPTIONS: '--disable-warning=ExperimentalWarning',
    // The limit is each file's.
    TAP_TIMEOUT: '0',
  };
}

/** Of Linux, on every architecture that Node runs on. */
const TICK_MS = 10;
/** Places in `/proc/PID/stat` behind the program's name, of times in user and in kernel mode: the process's own, and its children's that ended. */
const TIMES = { own: [11, 12], programs: [13, 14] } as const;

/** Processor time that a process and its ended children have used; nothing of it where the system does not tell. */
function processorTime(pid: number | undefined): ProcessorTime {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
  } catch {
    return { ownMs: 0, programsMs: 0 };
  }
  // The name stands in parentheses and may hold any of both.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const sum = (places: readonly number[]): number =>
    places.reduce((ticks, place) => ticks + Number(fields[place]), 0) * TICK_MS;
  return { ownMs: sum(TIMES.own), programsMs: sum(TIMES.programs) };
}

/** One process that runs a file at a time. */
export class TestProcess {
  /** Resolves when the process has ended. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #log: (text: string) => void;
  #running: { readonly file: string; lines: string[]; done: (outcome: FileOutcome) => void } | undefined;
  #over: string | undefined;

  constructor(folder: string, environment: NodeJS.ProcessEnv, log: (text: string) => void) {
    this.#log = log;
    this.#child = spawn(process.execPath, [join(import.meta.dirname, 'test-worker.ts')], {
      // tap leaves a current folder that its tests' folders are not below.
      cwd: folder,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#take(line));
    this.ended = new Promise((done) => {
      this.#child.once('close', (code, signal) => {
        this.#over = signal ?? (code === 0 ? '' : `status ${String(code)}`);
        this.#broke(`its process ended with ${this.#over === '' ? 'status 0' : this.#over}`);
        done(this.#over);
      });
    });
  }

  get over(): boolean {
    return this.#over !== undefined;
  }

  /** Runs a file. */
  async run(order: WorkerOrder): Promise<FileOutcome> {
    const limit = setTimeout(() => this.kill(), order.timeoutMs + GRACE_MS);
    const before = processorTime(this.#child.pid);
    const outcome = await new Promise<FileOutcome>((done) => {
      this.#running = { file: order.name, lines: [], done };
      this.#child.send(order);
    });
    clearTimeout(limit);
    const after = processorTime(this.#child.pid);
    this.#log(
      timeLine(outcome, { ownMs: after.ownMs - before.ownMs, programsMs: after.programsMs - before.programsMs }),
    );
    if (outcome.timedOut) {
      // What the file started may go on for ever.
      this.kill();
      await this.ended;
    }
    return outcome;
  }

  /** No more files: it ends by itself, as a program that cleaned up does. Gives '' or what it ended with. */
  finish(): Promise<string> {
    if (this.#child.connected) this.#child.send('end');
    return this.ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #take(line: string): void {
    const outcome = outcomeIn(line);
    if (outcome === undefined) {
      this.#log(`${line}\n`);
      this.#running?.lines.push(line);
      return;
    }
    const running = this.#running;
    this.#running = undefined;
    running?.done(outcome);
  }

  #broke(reason: string): void {
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) running.done(broken(running.file, reason, running.lines.slice(-LAST_LINES)));
  }
}
