/** The runner of the tests: what it shows, what it counts, and what of the machine a test may see. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { broken, endMark, type FileOutcome, outcomeIn, skippedFiles } from '../../config/tooling/test-outcome.ts';
import { surroundings } from '../../config/tooling/test-process.ts';
import { closingLine, failureReport, fileLine } from '../../config/tooling/test-report.ts';
import { bareEnvironment } from '../fixtures/environment.ts';

const RUNNER = join(import.meta.dirname, '../../config/tooling/run-tests.ts');
const HEAD = "import t from 'tap';\n";

/** Runs files of these texts, all in one process. */
function run(t: Test, texts: Readonly<Record<string, string>>, environment: NodeJS.ProcessEnv = {}) {
  const folder = t.testdir(Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, HEAD + text])));
  const log = join(folder, 'run.log');
  const files = Object.keys(texts).map((name) => join(folder, name));
  const { status, stdout, stderr } = spawnSync(process.execPath, [RUNNER, '--jobs=1', `--log=${log}`, ...files], {
    encoding: 'utf8',
    env: { ...bareEnvironment(), ...environment },
  });
  return { status, stdout, stderr, log: readFileSync(log, 'utf8'), last: stdout.trimEnd().split('\n').at(-1) };
}

t.test('files that pass: a line each, the figures last, the output in the log', async (t) => {
  const { status, stdout, stderr, last, log } = run(t, {
    'one.test.ts': "t.test('adds up', async (t) => { t.equal(1 + 1, 2); t.pass(); });",
    'two.test.ts':
      "t.test('later', { skip: 'not here' }, async () => undefined); t.pass(); console.log('# figure of two: 2');",
  });
  t.equal(status, 0, stdout + stderr);
  t.match(
    stdout,
    /^ok {6}\S*one\.test\.ts +[\d.]+ s {2}2 passed\nok {6}\S*two\.test\.ts +[\d.]+ s {2}1 passed, 1 skipped: not here\n/,
  );
  t.equal(last, '3 passed, 0 failed, 1 skipped');
  t.match(log, /# Subtest: adds up\n[^]*# SKIP not here\n[^]*# figure of two: 2\n/);
});

t.test('a file that skips all that it has is shown as skipped, with the reason, and not as ok', async (t) => {
  const { status, stdout, last } = run(t, {
    'pass.test.ts': "t.pass('a control plane', { skip: 'no control plane here' });",
    'tests.test.ts':
      "for (const name of ['a', 'b']) t.test(name, { skip: 'no booted system' }, async () => undefined);",
    'good.test.ts': 't.pass();',
  });
  t.equal(status, 0, stdout);
  t.match(stdout, /^skipped \S*pass\.test\.ts +[\d.]+ s {2}no control plane here$/m);
  t.match(stdout, /^skipped \S*tests\.test\.ts +[\d.]+ s {2}no booted system$/m);
  t.equal(last, '1 passed, 0 failed, 3 skipped');
});

t.test('a suite of clusters names what this machine lacks, and is not green with nothing asserted', async (t) => {
  const folder = t.testdir();
  const suite = (...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [RUNNER, ...args.slice(0, 1), `--log=${join(folder, 'run.log')}`, ...args.slice(1)],
      {
        encoding: 'utf8',
        env: { ...bareEnvironment(), PATH: folder, CERTLET_PACKAGES: undefined, KUBEBUILDER_ASSETS: undefined },
      },
    );
    return { status, stdout, stderr };
  };
  const cluster = suite('cluster', join(import.meta.dirname, '../cluster/approve.test.ts'));
  t.equal(cluster.status, 0, cluster.stdout + cluster.stderr);
  t.match(cluster.stdout, /^skipped test\/cluster\/approve\.test\.ts +[\d.]+ s {2}KUBEBUILDER_ASSETS is not set/m);
  t.match(cluster.stdout, /\n0 passed, 0 failed, 1 skipped\n$/);
});

const BAD = [
  { name: 'a file that asserts nothing and tells no reason', text: '', told: /it asserted nothing/ },
  {
    name: 'an assertion that fails',
    text: "t.test('sums', async (t) => t.equal(1 + 1, 3, 'one and one'));",
    told: /sums > one and one/,
  },
  { name: 'an error thrown outside of all tests', text: "throw new Error('at the top');", told: /at the top/ },
  {
    name: 'a rejection that nobody handles',
    text: "t.test('x', async () => { void Promise.reject(new Error('nobody')); await new Promise(setImmediate); });",
    told: /nobody/,
  },
  {
    name: 'an error thrown by a timer of the second of three tests',
    text: "t.test('first', async (t) => t.pass()); t.test('second', async () => { setTimeout(() => { throw new Error('late'); }); await new Promise(() => {}); }); t.test('third', async (t) => t.pass());",
    told: /^ {2}second > late$/m,
  },
  {
    name: 'a rejection of a test that is over, while another one runs',
    text: "let reject; t.test('first', async (t) => { t.pass(); void new Promise((_, no) => { reject = no; }); }); t.test('second', async () => { reject(new Error('late')); await new Promise(() => {}); });",
    told: /^ {2}second > late$/m,
  },
  {
    name: 'a file that ends the process',
    text: "t.test('x', async () => process.exit(0));",
    told: /its process ended|ended/,
  },
  {
    name: 'a file that kills the process',
    text: "process.kill(process.pid, 'SIGKILL'); await new Promise(() => {});",
    told: /its process ended with SIGKILL/,
  },
] as const;

/** `bad0` and what is wrong with it, `good0`, `bad1`, …: a good file behind each bad one. One run, for a run is two processes. */
const badFile = (index: number): string => `bad${String(index)}.test.ts`;
const goodFile = (index: number): string => `good${String(index)}.test.ts`;

/** What is told at the end of one file, without the blank line around it. */
function reportOf(stdout: string, file: string): string {
  const reports = stdout.slice(stdout.indexOf('\nFAILED ') + 1).split(/\n\n(?=FAILED )/);
  return reports.filter((report) => report.split('\n', 1)[0]?.endsWith(`/${file}`)).join('\n\n');
}

t.test('a bad file', async (t) => {
  const texts = BAD.flatMap(({ text }, index) => [
    [badFile(index), text],
    [goodFile(index), 't.pass();'],
  ]);
  const { status, stdout, last } = run(t, Object.fromEntries(texts));
  t.equal(status, 1, stdout);
  t.match(last, /^\d+ passed, \d+ failed$/);
  const failed = Number(/(\d+) failed$/.exec(last ?? '')?.[1]);
  t.ok(failed >= BAD.length, `${String(failed)} failed`);
  for (const [index, { name, told }] of BAD.entries())
    t.test(`${name}: told at the end with the command to see it again, and the other file runs`, async (t) => {
      t.match(stdout, new RegExp(`^FAILED {2}\\S*${badFile(index)} `, 'm'));
      t.match(stdout, new RegExp(`^ok {6}\\S*${goodFile(index)} `, 'm'));
      const report = reportOf(stdout, badFile(index));
      t.match(report, told);
      t.match(report, new RegExp(`\\n {2}again: npm test -- \\S*${badFile(index)}(\\n|$)`));
    });
});

t.test('a file knows nothing of what the file before it did with tap', async (t) => {
  const { stdout, last } = run(t, {
    'one.test.ts': "t.beforeEach(() => { throw new Error('of one'); }); t.teardown(() => {}); t.pass();",
    'two.test.ts': "t.test('x', async (t) => t.pass());",
  });
  t.match(last, /^2 passed, 0 failed/, stdout);
});

t.test('proxy, zone, language, home and options for Node of the caller do not reach a test', async (t) => {
  const { stdout, last, log } = run(
    t,
    {
      'one.test.ts':
        "console.log(JSON.stringify(process.env)); t.equal(new Intl.DateTimeFormat().resolvedOptions().timeZone, 'UTC'); t.equal((0.5).toLocaleString(), '0.5'); t.equal(process.umask(), 0o022);",
    },
    { TZ: 'Asia/Kathmandu', LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8', HOME: '/nonexistent', HTTPS_PROXY: 'http://x' },
  );
  t.match(last, /^3 passed, 0 failed/, stdout);
  t.notMatch(log, /nonexistent|HTTPS_PROXY|Kathmandu/);
});

t.test('of the environment a test gets what is meant for tests', async (t) => {
  const got = surroundings('/f', {
    CERTLET_SEED: '1',
    KUBEBUILDER_ASSETS: '/k',
    SDLAB_PID: '2',
    NODE_OPTIONS: '--x',
    PATH: '/own',
  });
  t.match(got, { CERTLET_SEED: '1', KUBEBUILDER_ASSETS: '/k', SDLAB_PID: '2', HOME: '/f', TMPDIR: '/f', TZ: 'UTC' });
  t.notMatch(got['PATH'], '/own');
  t.notMatch(got['NODE_OPTIONS'], '--x');
});

t.test('an outcome goes through a line of output', async (t) => {
  const outcome: FileOutcome = broken('test/a.test.ts', 'it\nbroke', ['last', 'lines']);
  t.strictSame(outcomeIn(endMark(outcome)), outcome);
  t.equal(endMark(outcome).includes('\n'), false);
  t.equal(outcomeIn('ok 1 - # certlet test file: {}'), undefined);
});

t.test('the report of a failure is bounded, and leaves out what tap keeps for itself', async (t) => {
  const detail = {
    diff: Array.from({ length: 90 }, (_, line) => `line ${String(line)}`).join('\n'),
    source: 'SECRETLY',
    at: { line: 3 },
  };
  const outcome = { ...broken('test/a.test.ts', 'x'), failures: [{ name: 'a > b', detail }] };
  const lines = failureReport([outcome], 'npm run test:faults --');
  t.strictSame(lines.slice(0, 4), ['', 'FAILED test/a.test.ts', '  a > b', '      diff: line 0']);
  t.match(lines.at(-2), /… \d+ lines more in the log/);
  t.equal(lines.at(-1), '  again: npm run test:faults -- test/a.test.ts');
  t.notMatch(lines.join('\n'), 'SECRETLY');
  t.match(fileLine(outcome), /^FAILED {2}test\/a\.test\.ts +0\.0 s {2}1 of 1 failed$/);
  t.equal(closingLine([outcome, { ...outcome, passed: 4, failed: 0 }]), '4 passed, 1 failed');
  t.match(
    fileLine(skippedFiles('test/packages/*.test.ts', 'no rpmbuild')),
    /^skipped test\/packages\/\*\.test\.ts .* {2}no rpmbuild$/,
  );
});
