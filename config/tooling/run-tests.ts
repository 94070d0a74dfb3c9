/**
 * Runs one suite with tap and closes with a plain `N passed, N failed, N skipped` line (assertions).
 * `node config/tooling/run-tests.ts [unit|cluster|systemd|faults] [tap arguments]`
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const bin = join(root, 'node_modules/.bin');

interface Suite {
  readonly files: readonly string[];
  readonly tapArguments: readonly string[];
  /** Program and arguments that tap runs under. */
  readonly wrapper?: readonly string[];
}

const apart = ['--disable-coverage', '--allow-empty-coverage'];
const suites: Readonly<Record<string, Suite>> = {
  unit: { files: [], tapArguments: [] },
  cluster: { files: ['test/cluster/*.test.ts'], tapArguments: [...apart, '--jobs=1', '--timeout=600', '--exclude='] },
  systemd: {
    files: ['test/systemd/*.test.ts'],
    tapArguments: [...apart, '--jobs=1', '--timeout=300', '--exclude='],
    wrapper: [join(root, 'test/systemd/sdlab'), 'run'],
  },
  faults: { files: ['test/faults/*.test.ts'], tapArguments: [...apart, '--jobs=2', '--timeout=600', '--exclude='] },
};

/** tap keeps its plugin build in node_modules; a fresh `npm ci` has none, and the first run would fail for it. */
function buildPluginsOnce(): void {
  const stamp = join(root, 'node_modules/.certlet-tap-built');
  if (existsSync(stamp)) return;
  const built = spawnSync(join(bin, 'tap'), ['build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], env });
  if (built.status !== 0) throw new Error(`tap build ended with status ${String(built.status)}`);
  mkdirSync(join(root, 'node_modules'), { recursive: true });
  writeFileSync(stamp, '');
}

const env = {
  ...process.env,
  PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
  NODE_OPTIONS: '--disable-warning=ExperimentalWarning',
};

/** The numbers of tap's closing line `# { total: 10, pass: 8, fail: 1, todo: 1, skip: 1 }`. */
function counts(output: string): { passed: number; failed: number; skipped: number } {
  const line = output.match(/^# \{ (total: .*) \}$/m)?.[1] ?? '';
  const figure = (name: string): number => Number(line.match(new RegExp(`\\b${name}: (\\d+)`))?.[1] ?? 0);
  return { passed: figure('pass'), failed: figure('fail'), skipped: figure('skip') + figure('todo') };
}

function runTap(suite: Suite, extra: readonly string[]): Promise<{ output: string; status: number }> {
  const command = [
    ...(suite.wrapper ?? []),
    join(bin, 'tap'),
    '--reporter=tap',
    ...suite.tapArguments,
    ...(extra.some((argument) => !argument.startsWith('-')) ? [] : suite.files),
    ...extra,
  ];
  const child = spawn(command[0] ?? '', command.slice(1), { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    process.stdout.write(chunk);
  });
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (code) => done({ output, status: code ?? 1 }));
  });
}

const [name = 'unit', ...extra] = process.argv.slice(2);
const known = suites[name];
const suite = known ?? suites['unit'];
if (suite === undefined) throw new Error('no suite');
buildPluginsOnce();
const { output, status } = await runTap(suite, known === undefined ? [name, ...extra] : extra);
const { passed, failed, skipped } = counts(output);
if (status === 77 && passed === 0) {
  console.log('0 passed, 0 failed, 1 skipped');
} else {
  if (status !== 0 && failed === 0) {
    console.log(
      '# tap ended with an error although no assertion failed: coverage below the limits of .taprc, or a crash',
    );
  }
  console.log(
    `${String(passed)} passed, ${String(status !== 0 && failed === 0 ? 1 : failed)} failed, ${String(skipped)} skipped`,
  );
  process.exitCode = status;
}
