/** What the program's processes show: environment and command line of every child, debugger, core dumps. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { stage } from '../../config/tooling/stage.ts';
import { CertletHost, CertletProcess } from '../fixtures/certlet-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { eventually } from '../fixtures/eventually.ts';
import { descendants, environmentOf, listeningTcp, readProcess } from './fixtures/proc.ts';

const root = resolve(import.meta.dirname, '../..');
const PATH = process.env['PATH'] ?? '';
const PROXY_PASSWORD = 'hunter2-proxy-password';

/** A program that leaves a copy of its environment and arguments in `folder`, then goes on with `rest`. */
function tellTale(folder: string, name: string, rest = ''): string {
  const path = join(folder, name);
  const copies = ['environ', 'cmdline'].map((kind) => `cat /proc/$$/${kind} > ${join(folder, `${name}.${kind}`)}`);
  writeFileSync(path, `#!/bin/sh\n${copies.join('\n')}\n${rest}\n`, { mode: 0o700 });
  return path;
}

function copyOf(
  folder: string,
  name: string,
): { readonly text: string; readonly names: readonly string[]; readonly argv: readonly string[] } {
  const environ = readFileSync(join(folder, `${name}.environ`), 'utf8');
  const cmdline = readFileSync(join(folder, `${name}.cmdline`), 'utf8');
  // PWD and the like are the shell's own.
  const names = Object.keys(environmentOf(environ)).filter(
    (variable) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(variable),
  );
  return { text: environ + cmdline, names: names.toSorted(), argv: cmdline.split('\0').slice(0, -1) };
}

t.test('a hook, an exec plugin and systemd-notify get a few variables each, and no secret', async (t) => {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  const tools = mkdtempSync(join(tmpdir(), 'certlet-'));
  t.teardown(() => rmSync(tools, { recursive: true, force: true }));
  const hostile = ['$(touch substituted)', '`touch quoted`', '; touch after', '| touch piped', '$HOME', '*', "'"];
  const hook = tellTale(tools, 'hook');
  const host = new CertletHost(t, cluster, {
    hooks: [{ name: 'tell', command: [hook, ...hostile], on: ['client'], timeout: '10s' }],
  });
  const token = `${cluster.settings.bootstrapTokens[0]?.id ?? ''}.${cluster.settings.bootstrapTokens[0]?.secret ?? ''}`;
  const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token } };
  const plugin = tellTale(tools, 'plugin', `echo '${JSON.stringify(credential)}'`);
  const bootstrap = join(host.folder, 'bootstrap-kubelet.conf');
  const exec = `{exec: {apiVersion: client.authentication.k8s.io/v1, command: ${plugin}, args: ['$HOME; id'], interactiveMode: Never, env: [{name: EXTRA, value: e}]}}`;
  writeFileSync(bootstrap, readFileSync(bootstrap, 'utf8').replace(/user:\n {4}token: .*/, `user: ${exec}`), {
    mode: 0o600,
  });
  // A manager that takes a message and never answers, so that each systemd-notify stays for a look.
  const notifySocket = join(host.folder, 'notify');
  const perl = `use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); bind($s, pack_sockaddr_un($ARGV[0])) or die; sleep 1e6;`;
  const manager = spawn('perl', ['-e', perl, notifySocket], { stdio: 'ignore' });
  t.teardown(() => manager.kill('SIGKILL'));
  await eventually('the manager listens', () => existsSync(notifySocket) || undefined);
  const proxy = `http://user:${PROXY_PASSWORD}@127.0.0.1:1`;
  const daemon = host.start(
    ['run'],
    [
      '/usr/bin/env',
      '-i',
      `PATH=${PATH}`,
      `HOME=${host.folder}`,
      'AWS_PROFILE=edge',
      'no_proxy=example.test',
      `HTTPS_PROXY=${proxy}`,
      `all_proxy=${proxy}`,
      'HTTP_PROXY=http://plain.test:3128',
      `NOTIFY_SOCKET=${notifySocket}`,
      'INVOCATION_ID=0',
      'JOURNAL_STREAM=1:2',
      'MALLOC_ARENA_MAX=1',
    ],
    // Without it no systemd-notify is started.
    ['--no-experimental-ffi'],
  );
  const pid = daemon.child.pid ?? 0;
  const notify = await eventually('systemd-notify', () =>
    descendants(pid).find(({ argv }) => argv[0] === 'systemd-notify'),
  );
  await host.until((status) => status.certificates.every(({ phase }) => phase === 'valid'));
  await eventually('the hook', () => existsSync(join(tools, 'hook.cmdline')) || undefined);
  t.strictSame(Object.keys(notify.environment).toSorted(), ['NOTIFY_SOCKET', 'PATH']);
  const [seenHook, seenPlugin] = [copyOf(tools, 'hook'), copyOf(tools, 'plugin')];
  t.strictSame(
    seenHook.names,
    [
      'CERTLET_CERTIFICATE',
      'CERTLET_CERT_FILE',
      'CERTLET_KUBECONFIG',
      'CERTLET_PAIR_FILE',
      'CERTLET_PURPOSE',
      'LANG',
      'PATH',
    ],
    'the hook',
  );
  t.strictSame(
    seenPlugin.names,
    ['AWS_PROFILE', 'EXTRA', 'HOME', 'HTTP_PROXY', 'KUBERNETES_EXEC_INFO', 'PATH', 'no_proxy'],
    "the plugin: as client-go gives it, but for what is the service's own and what holds a password",
  );
  t.strictSame(seenHook.argv.slice(2), hostile, 'no shell has read the words of the hook');
  t.strictSame(seenPlugin.argv.slice(2), ['$HOME; id'], 'nor those of the plugin');
  for (const name of ['substituted', 'quoted', 'after', 'piped'])
    for (const folder of ['/', tools, host.folder, root]) t.notOk(existsSync(join(folder, name)), name);
  const own = readProcess(pid)?.argv.join(' ') ?? '';
  const shown = [own, seenHook.text, seenPlugin.text, JSON.stringify(notify), daemon.stdout, daemon.stderr].join('\n');
  const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.{40})/.exec(
    readFileSync(join(host.certDir, 'kubelet-client-current.pem'), 'utf8'),
  )?.[1];
  t.ok(key !== undefined, 'there is a key to look for');
  for (const secret of [token, token.slice(7), PROXY_PASSWORD, key ?? ''])
    t.notOk(shown.includes(secret), `${secret.slice(0, 6)}… shows`);
  await daemon.end('SIGTERM');
});

/** Whether a process that got SIGUSR1 has opened Node's debugger. */
async function debuggerOf(
  process: CertletProcess,
  pid: number,
  settled: () => Promise<unknown>,
): Promise<readonly string[]> {
  globalThis.process.kill(pid, 'SIGUSR1');
  await settled();
  return [...listeningTcp(pid), ...(process.stderr.match(/Debugger listening.*/g) ?? [])];
}

/** Sends SIGHUP and waits for what the daemon says of it: by then a signal before it has been dealt with. */
async function reloaded(daemon: CertletProcess, pid: number): Promise<void> {
  process.kill(pid, 'SIGHUP');
  await daemon.printed('stderr', /[Rr]eload/);
}

async function hostWithPair(t: Test): Promise<CertletHost> {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  return new CertletHost(t, cluster);
}

const valid = (host: CertletHost): Promise<void> =>
  host.until((status) => status.certificates.every(({ phase }) => phase === 'valid'));

t.test('SIGUSR1 opened a debugger that every user of the host can reach', async (t) => {
  const plain = new CertletProcess(
    [process.execPath, '--inspect-port=0', '-e', 'console.log(1);setInterval(() => {}, 1e6)'],
    { PATH },
  );
  t.teardown(() => plain.child.kill('SIGKILL'));
  await plain.printed('stdout', /1/);
  const opened = await debuggerOf(plain, plain.child.pid ?? 0, () => plain.printed('stderr', /Debugger listening/));
  t.equal(opened.length, 2, 'a plain Node does, so this test can fail');

  const host = await hostWithPair(t);
  const source = host.start(['run'], ['/usr/bin/env', '-i', `PATH=${PATH}`]);
  await valid(host);
  const pid = source.child.pid ?? 0;
  t.strictSame(await debuggerOf(source, pid, () => reloaded(source, pid)), [], 'without any flag');
  await source.end('SIGTERM');

  const npm = await hostWithPair(t);
  const script = new CertletProcess(
    ['npm', 'run', '-s', '--prefix', root, 'certlet', '--', 'run', '--config', npm.settingsPath],
    { PATH, HOME: npm.folder },
  );
  t.teardown(() => script.child.kill('SIGKILL'));
  await valid(npm);
  const node = descendants(script.child.pid ?? 0).find(
    ({ argv }) => argv.some((word) => word.endsWith('src/main.ts')) && argv[0]?.endsWith('node'),
  );
  t.ok(node?.argv.includes('--disable-sigusr1'), 'npm run certlet has the flag');
  t.strictSame(await debuggerOf(script, node?.pid ?? 0, () => reloaded(script, node?.pid ?? 0)), [], 'npm run certlet');
  if (node !== undefined) process.kill(node.pid, 'SIGTERM');
  await script.ended;
});

t.test('the staged launcher: no debugger by a signal or the environment, no core dump', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-stage-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  await stage(folder);
  // It names the place where it is installed.
  const launcher = join(folder, 'usr/bin/certlet');
  writeFileSync(
    launcher,
    readFileSync(launcher, 'utf8').replaceAll('/usr/lib/certlet', join(folder, 'usr/lib/certlet')),
  );
  const host = await hostWithPair(t);
  const daemon = new CertletProcess(
    // As a person's shell that wants core dumps.
    [
      '/bin/sh',
      '-c',
      'ulimit -S -c unlimited 2> /dev/null; exec "$@"',
      'sh',
      launcher,
      'run',
      '--config',
      host.settingsPath,
    ],
    { PATH, NODE_OPTIONS: '--inspect=127.0.0.1:0' },
  );
  t.teardown(() => daemon.child.kill('SIGKILL'));
  await valid(host);
  const pid = daemon.child.pid ?? 0;
  t.match(readFileSync(`/proc/${String(pid)}/limits`, 'utf8'), /^Max core file size +0 +0 /m);
  t.strictSame(await debuggerOf(daemon, pid, () => reloaded(daemon, pid)), []);
  await daemon.end('SIGTERM');
  for (const unit of ['certlet.service', 'certlet-once.service'])
    t.match(readFileSync(join(folder, 'usr/lib/systemd/system', unit), 'utf8'), /^LimitCORE=0$/m, unit);
});
