/** The command: forms of the answer, exit codes, users who may not read. */
import { spawn, spawnSync } from 'node:child_process';
import t from 'tap';
import { runCheck } from '../../src/cli/commands/check.ts';
import type { FileSystem } from '../../src/adapters/file-system.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { CheckHost } from '../fixtures/check/host.ts';
import { bareEnvironment } from '../fixtures/environment.ts';
import { certletCommand, quoted } from '../fixtures/program.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';

t.test('nothing wrong: 0, as text and as JSON', async (t) => {
  const cluster = await startFakeCluster();
  t.teardown(() => cluster.close());
  const host = new CheckHost(t);
  host.bootstrap(cluster.bootstrapKubeconfig());
  t.equal(await runCheck(host.context(), { name: 'check', output: 'text' }), 0, host.stdout.text);
  t.match(host.stdout.text, /^Settings\n {2}ok {7}[\s\S]*?\bnode\s+n1\b/);
  t.notOk(host.stdout.text.includes('\u001b'), 'no colours in a pipe');
  host.stdout.text = '';
  t.equal(await runCheck(host.context(), { name: 'check', output: 'json' }), 0);
  t.match(JSON.parse(host.stdout.text), { version: 1, node: 'n1', summary: { problem: 0 } });
});

t.test('settings that cannot be used: 1, every problem told, nothing else looked at', async (t) => {
  const host = new CheckHost(t, { certDri: '/x', nodeIP: ['no address'] });
  t.equal(await runCheck(host.context(), { name: 'check', output: 'json' }), 1);
  const { findings } = JSON.parse(host.stdout.text) as {
    findings: readonly { id: string; what: string; verdict: string }[];
  };
  t.match(findings[0], { id: 'settings.invalid', verdict: 'problem', what: /certDri/ });
  t.match(findings[0]?.what, /nodeIP/);
  t.ok(findings.slice(1).every(({ verdict }) => verdict === 'skipped'));
});

t.test('a proxy that nobody can speak to is a finding', async (t) => {
  const host = new CheckHost(t);
  host.bootstrap(
    'apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: "https://192.0.2.1:6443"}}]\nusers: [{name: a, user: {token: abc}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\ncurrent-context: a\n',
  );
  t.equal(await runCheck(host.context({ HTTPS_PROXY: 'socks5://x' }), { name: 'check', output: 'json' }), 1);
  t.match(host.stdout.text, /"network\.proxy"/);
});

/** A disk on which this user may not read some files. */
function deny(paths: readonly string[]): FileSystem {
  const disk = new NodeFileSystem();
  const refuse = (path: string): Promise<never> =>
    Promise.reject(
      Object.assign(new Error(`EACCES: permission denied, open '${path}'`), { code: 'EACCES', path, syscall: 'open' }),
    );
  return new Proxy(disk, {
    get(target, name: keyof FileSystem) {
      if (name !== 'read') return (target[name] as (...words: unknown[]) => unknown).bind(target);
      return (path: string, limit: number) => (paths.includes(path) ? refuse(path) : target.read(path, limit));
    },
  });
}

t.test('an ordinary user is told what root would see, and it is no problem of the node', async (t) => {
  const cluster = await startFakeCluster();
  t.teardown(() => cluster.close());
  const host = new CheckHost(t);
  host.bootstrap(cluster.bootstrapKubeconfig());
  const fs = deny([host.bootstrapKubeconfig]);
  const result = await host.check({ fs, uid: 65_534 });
  t.match(result.find('kubeconfig.bootstrap-unreadable'), { verdict: 'skipped', denied: true });
  t.strictSame(
    result.ids('problem').filter((id) => !id.startsWith('files.')),
    [],
    result.text,
  );
  const service = await host.check({ fs });
  t.match(
    service.find('kubeconfig.bootstrap-unreadable'),
    { verdict: 'problem' },
    'the user of the service must be able to',
  );
});

const hasScript = spawnSync('script', ['--version']).status === 0;
t.test(
  'at a real terminal: coloured, and the exit code of the program',
  { skip: !hasScript && 'no script(1) here' },
  async (t) => {
    const cluster = await startFakeCluster({ bootstrapTokens: [] });
    t.teardown(() => cluster.close());
    const host = new CheckHost(t);
    host.bootstrap(cluster.bootstrapKubeconfig({ token: 'abcdef.0123456789abcdef' }));
    const command = certletCommand(['check', '--config', host.settingsPath]).map(quoted).join(' ');
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...bareEnvironment(), TERM: 'xterm' },
    });
    let text = '';
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString();
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    t.equal(code, 1, text);
    t.ok(text.includes('\u001b[31mPROBLEM\u001b[0m'), text);
    t.match(text, /1\. the token has expired or was deleted \(likely\)/);
    // A kubelet may run on this machine: what is wrong with it counts, too.
    t.match(text, /\d problems?, \d warnings?/);
  },
);
