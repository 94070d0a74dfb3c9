/** The real program as a process. */
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { VERSION } from '../src/cli/version.ts';
import { certletCommand, SOURCES, STAGED_FOLDER } from './fixtures/program.ts';

const root = join(import.meta.dirname, '..');

function certlet(
  script: string,
  ...args: readonly string[]
): { status: number | null; stdout: string; stderr: string } {
  // In a shell, for redirections and pipes; "$@" is the program with its arguments.
  return spawnSync('bash', ['-c', script, 'bash', ...certletCommand(args)], { encoding: 'utf8', cwd: '/' });
}

t.test('the version is that of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  t.equal(VERSION, version);
  const { status, stdout, stderr } = certlet('"$@"', '--version');
  t.strictSame({ status, stdout, stderr }, { status: 0, stdout: `certlet ${version}\n`, stderr: '' });
});

t.test('a usage error ends with 64', async (t) => {
  const { status, stdout, stderr } = certlet('"$@"', 'statsu');
  t.equal(status, 64);
  t.equal(stdout, '');
  t.match(stderr, /^certlet: "statsu" is not a command; did you mean status\?\n/);
});

t.test('run with a bad settings file ends with 78 at once and names each place', async (t) => {
  const path = join(t.testdir({ 'c.yaml': 'events: 5\ncertDir: pki\n' }), 'c.yaml');
  chmodSync(path, 0o600);
  chmodSync(join(path, '..'), 0o755);
  const { status, stderr } = certlet('"$@"', 'run', '--config', path);
  t.equal(status, 78);
  t.ok(stderr.includes(`${path}:1: events: `), stderr);
  t.ok(stderr.includes(`${path}:2: certDir: `), stderr);
});

t.test('a pipe that is closed early is no error', async (t) => {
  const { status, stdout, stderr } = certlet('"$@" | head -1; exit ${PIPESTATUS[0]}', 'completion', 'zsh');
  t.strictSame({ status, stdout, stderr }, { status: 0, stdout: '#compdef certlet\n', stderr: '' });
});

t.test('closed standard error and a full disk behind it do not change the exit code', async (t) => {
  t.equal(certlet('"$@" 2>&-', 'nonsense').status, 64);
  t.equal(certlet('"$@" 2>/dev/full', 'nonsense').status, 64);
});

t.test('to a pipe the whole answer arrives', async (t) => {
  const { stdout } = certlet('"$@" | cat', 'completion', 'fish');
  t.ok(stdout.length > 20_000);
  t.ok(stdout.endsWith('\n'));
});

// In one file there is nothing to see of it.
const inOneFile = STAGED_FOLDER !== undefined && 'of the sources';
t.test('the daemon does not load the command line library', { skip: inOneFile }, async (t) => {
  const folder = t.testdir();
  const hook = join(folder, 'hook.mjs');
  writeFileSync(
    hook,
    `import { registerHooks } from 'node:module';
     registerHooks({ load(url, context, next) {
       if (/node_modules\\/yargs\\//.test(url)) console.error('LOADED ' + url);
       return next(url, context);
     } });`,
  );
  const hooked = (...args: readonly string[]) =>
    spawnSync(
      'bash',
      ['-c', `exec "$1" --import ${hook} "\${@:2}"`, 'bash', ...certletCommand(args, { file: SOURCES })],
      {
        encoding: 'utf8',
        cwd: '/',
      },
    );
  const quick = hooked('run', '--log-level', 'debug', '--config', '/nonexistent');
  t.equal(quick.status, 78);
  t.notMatch(quick.stderr, /LOADED/);
  t.match(hooked('run', '--help').stderr, /LOADED/, 'the test can see it');
});
