/**
 * `node config/tooling/run-tests.ts [unit|staged|cluster|systemd|packages|faults] [--coverage | --coverage-report] [--log=FILE] [--jobs=N] [FILE...]`: runs a suite, or files of it, in
 * several processes. Shows a line a file, what failed, and `N passed, N failed[, N skipped]` (assertions); the whole
 * output, TAP, is in `.tap/SUITE.log` or FILE.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, globSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, homedir, tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { rootCertificates } from 'node:tls';
import { parseArgs } from 'node:util';
import { COVERAGE_TABLE, coverageReport, startCoverage } from './test-coverage.ts';
import { broken, type FileOutcome, skippedFiles } from './test-outcome.ts';
import { compileCache, surroundings, TestProcess } from './test-process.ts';
import { closingLine, failureReport, fileLine } from './test-report.ts';

const root = resolve(import.meta.dirname, '../..');
const MINUTE_MS = 60_000;
/** What a wrapper ends with where it cannot do its work on this machine. */
const SKIPPED_STATUS = 77;
const INTERRUPTED_STATUS = 130;
const FOLDER_MODE = 0o755;

interface Suite {
  /** What a person types to run it. */
  readonly command: string;
  readonly files: string;
  readonly without?: RegExp;
  readonly jobs: number;
  /** For one file. */
  readonly timeoutMs: number;
  /** Each file in a process of its own. */
  readonly apart: boolean;
  /** Program and arguments that the whole run is put under. */
  readonly wrapper?: readonly string[];
  /** Runs the shipped program: what `CERTLET_PROGRAM` names, or what is staged for this one run. */
  readonly staged?: boolean;
  /** Starts the program of the sources, put into one file for this one run. */
  readonly bundled?: boolean;
  /** Installs packages: those in the folder that `CERTLET_PACKAGES` names, or what is made for this one run, hardly compressed. */
  readonly packaged?: boolean;
}

const suites = {
  unit: {
    command: 'npm test --',
    files: 'test/**/*.test.ts',
    without: /^test\/(cluster|systemd|packages|faults)\//,
    // Half of the time a file waits for programs, servers and disks.
    jobs: 2 * availableParallelism(),
    timeoutMs: 10 * MINUTE_MS,
    apart: false,
    bundled: true,
  },
  staged: {
    command: 'npm run test:staged --',
    files: 'test/{integration/*,main,cli/{history,interrupt,once,renew,status}}.test.ts',
    jobs: Math.max(2, availableParallelism()),
    timeoutMs: 5 * MINUTE_MS,
    apart: false,
    staged: true,
  },
  cluster: {
    command: 'npm run test:cluster --',
    files: 'test/cluster/*.test.ts',
    jobs: 1,
    timeoutMs: 10 * MINUTE_MS,
    apart: true,
  },
  systemd: {
    command: 'npm run test:systemd --',
    files: 'test/systemd/*.test.ts',
    jobs: 1,
    timeoutMs: 5 * MINUTE_MS,
    apart: true,
    wrapper: [join(root, 'test/systemd/sdlab'), 'run'],
  },
  packages: {
    command: 'npm run test:packages --',
    files: 'test/packages/*.test.ts',
    jobs: 2,
    timeoutMs: 20 * MINUTE_MS,
    apart: true,
    packaged: true,
  },
  faults: {
    command: 'npm run test:faults --',
    files: 'test/faults/*.test.ts',
    jobs: 2,
    timeoutMs: 10 * MINUTE_MS,
    apart: true,
  },
} satisfies Readonly<Record<string, Suite>>;

interface Run {
  readonly suite: Suite;
  /** Files that wait, from the project's folder. */
  readonly queue: string[];
  /** Private to this run, and gone after it. */
  readonly folder: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly log: (text: string) => void;
  readonly processes: Set<TestProcess>;
}

/** Runs waiting files in one process until none waits or the process has ended. */
async function runProcess(run: Run): Promise<readonly FileOutcome[]> {
  const outcomes: FileOutcome[] = [];
  const tests = new TestProcess(run.folder, run.environment, run.log);
  run.processes.add(tests);
  let last = '';
  while (!tests.over && (outcomes.length === 0 || !run.suite.apart)) {
    const file = run.queue.shift();
    if (file === undefined) break;
    last = file;
    const outcome = await tests.run({
      name: file,
      file: resolve(root, file),
      folder: join(run.folder, String(run.queue.length)),
      timeoutMs: run.suite.timeoutMs,
    });
    outcomes.push(outcome);
    console.log(fileLine(outcome));
  }
  const ended = await tests.finish();
  run.processes.delete(tests);
  const fine = ended === '' || outcomes.some(({ failed }) => failed > 0);
  return fine ? outcomes : [...outcomes, broken(last, `its process ended with ${ended} after its tests`)];
}

async function runLane(run: Run): Promise<readonly FileOutcome[]> {
  const outcomes: FileOutcome[] = [];
  while (run.queue.length > 0) outcomes.push(...(await runProcess(run)));
  return outcomes;
}

function filesOf(suite: Suite, named: readonly string[]): string[] {
  if (named.length > 0) {
    const paths = named.map((file) => relative(root, resolve(file)));
    return paths.map((path) => (path.startsWith('..') ? resolve(root, path) : path));
  }
  return globSync(suite.files, { cwd: root })
    .filter((file) => suite.without?.test(file) !== true)
    .sort((one, other) => Number(isLong(other)) - Number(isLong(one)) || (one < other ? -1 : 1));
}

/** Files that start many programs, play months or wait come first: the last to end would run alone. */
const isLong = (file: string): boolean =>
  /^test\/(integration|tooling|config|rotation\/ca)\/|^test\/(main|surroundings|rotation\/hundred|cli\/(interrupt|once|own-agent|renew|status))\./.test(
    file,
  );

/** Private, short (sockets want that), and in no folder that another user may change. */
function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-test-'));
  chmodSync(folder, FOLDER_MODE);
  return folder;
}

/** In place of the CAs that the machine trusts: one, as hosts have them in a file and in a folder. Hundreds would be read for each connection by them. */
function rootsBelow(folder: string): Pick<NodeJS.ProcessEnv, 'SSL_CERT_FILE' | 'SSL_CERT_DIR'> {
  const roots = join(folder, 'roots');
  mkdirSync(roots, { mode: FOLDER_MODE });
  const path = join(roots, 'root.pem');
  writeFileSync(path, rootCertificates[0] ?? '');
  return { SSL_CERT_FILE: path, SSL_CERT_DIR: roots };
}

/** The program as it ships, for this run. */
async function stageBelow(folder: string): Promise<string> {
  const { stage } = await import('./stage.ts');
  await stage(join(folder, 'staged'));
  return join(folder, 'staged');
}

/** Packages for this run alone: their folder, or what this machine lacks to make them. Throws with the tool's words where one cannot be made. */
function packageBelow(folder: string): { readonly made: string } | { readonly missing: string } {
  const made = join(folder, 'packages');
  const tool = join(import.meta.dirname, 'package/package.ts');
  const { status, stderr } = spawnSync(process.execPath, [tool, made, '--quick'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  if (status === SKIPPED_STATUS) return { missing: stderr.trim() };
  if (status !== 0) throw new Error(`the packages could not be made: ${stderr.trim()}`);
  return { made };
}

/** What is shown of a suite that this machine lacks something for: a line for its files, and the figures. */
function showSkipped(files: string, reason: string): void {
  const outcome = skippedFiles(files, reason);
  console.log(`${fileLine(outcome)}\n${closingLine([outcome])}`);
}

function removeAndEnd(run: Run): void {
  for (const tests of run.processes) tests.kill();
  rmSync(run.folder, { recursive: true, force: true });
  process.exit(INTERRUPTED_STATUS);
}

/** The suite in this process and its workers. Gives the exit status. */
async function runSuite(
  suite: Suite,
  files: string[],
  logPath: string,
  coverage: 'none' | 'file' | 'shown',
): Promise<number> {
  mkdirSync(dirname(logPath), { recursive: true });
  writeFileSync(logPath, '');
  // Behind whatever is there: another run may have begun the same file anew.
  const logFile = openSync(logPath, 'a');
  const folder = makeFolder();
  const environment = surroundings(folder, process.env);
  // What the suites with real programs were given is kept there.
  if (suite.apart) environment['XDG_CACHE_HOME'] = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  else Object.assign(environment, rootsBelow(folder));
  // A run within a test has that of the tests; Node compares what lies there with the sources.
  if (coverage === 'none')
    environment['NODE_COMPILE_CACHE'] = process.env['NODE_COMPILE_CACHE'] ?? compileCache(folder);
  else environment['NODE_V8_COVERAGE'] = startCoverage();
  if (suite.bundled === true && files.some((file) => file.startsWith('test/'))) {
    const { programBelow } = await import('./test-program.ts');
    environment['CERTLET_BUNDLE'] = await programBelow(folder, environment, files.length > suite.jobs);
  }
  if (suite.staged === true) environment['CERTLET_PROGRAM'] ??= await stageBelow(folder);
  if (suite.packaged === true && environment['CERTLET_PACKAGES'] === undefined) {
    const packages = packageBelow(folder);
    if ('missing' in packages) {
      rmSync(folder, { recursive: true, force: true });
      showSkipped(suite.files, packages.missing);
      return 0;
    }
    environment['CERTLET_PACKAGES'] = packages.made;
  }
  const log = (text: string): void => writeFileSync(logFile, text);
  const run: Run = { suite, queue: files, folder, environment, log, processes: new Set() };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => removeAndEnd(run));
  const lanes = await Promise.all(Array.from({ length: Math.min(suite.jobs, files.length) }, () => runLane(run)));
  closeSync(logFile);
  rmSync(folder, { recursive: true, force: true });
  const outcomes = lanes.flat();
  for (const line of failureReport(outcomes, suite.command)) console.log(line);
  let enough = true;
  if (coverage !== 'none') {
    const report = coverageReport();
    enough = report.enough;
    if (coverage === 'shown') console.log(report.table);
    console.log(`\ncoverage: ${report.figures} (${COVERAGE_TABLE})`);
    if (!enough) console.log('FAILED coverage is below the limits of .taprc');
  }
  const line = closingLine(enough ? outcomes : [...outcomes, broken('coverage', 'below the limits of .taprc')]);
  console.log(`all output: ${relative(root, logPath)}\n${line}`);
  return enough && outcomes.every(({ failed }) => failed === 0) ? 0 : 1;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    log: { type: 'string' },
    jobs: { type: 'string' },
    inside: { type: 'boolean', default: false },
    coverage: { type: 'boolean', default: false },
    'coverage-report': { type: 'boolean', default: false },
    'disable-coverage': { type: 'boolean', default: false },
    'allow-empty-coverage': { type: 'boolean', default: false },
  },
});
const [first = 'unit', ...rest] = positionals;
const name = Object.hasOwn(suites, first) ? (first as keyof typeof suites) : 'unit';
const named = name === first ? rest : positionals;
const suite: Suite = { ...suites[name], ...(values.jobs === undefined ? {} : { jobs: Number(values.jobs) }) };
if (suite.wrapper !== undefined && !values.inside) {
  const [program = '', ...args] = suite.wrapper;
  const command = [
    ...args,
    process.execPath,
    ...process.execArgv,
    import.meta.filename,
    ...process.argv.slice(2),
    '--inside',
  ];
  const { status } = spawnSync(program, command, { stdio: 'inherit' });
  if (status === SKIPPED_STATUS) showSkipped(suite.files, 'the line above says what is missing');
  process.exitCode = status ?? 1;
} else {
  const whole = named.length === 0 && name === 'unit' && !values['disable-coverage'];
  const wanted = values['coverage-report'] ? 'shown' : values.coverage ? 'file' : 'none';
  const coverage = whole ? wanted : 'none';
  process.exitCode = await runSuite(
    suite,
    filesOf(suite, named),
    resolve(values.log ?? join(root, `.tap/${name}.log`)),
    coverage,
  );
}
