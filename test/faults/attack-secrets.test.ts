/** Every secret that a run has, looked for in everything that it prints, writes for others to read or shows of its processes. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { caPinOf } from '../../src/discovery/ca-pin.ts';
import { CertletHost } from '../fixtures/certlet-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { listeningTcp, readProcess } from './fixtures/proc.ts';

const TOKEN = 'abcdef.0123456789abcdef';
const TOKEN_SECRET = '0123456789abcdef';
const PROXY_PASSWORD = 'hunter2-proxy-password';

/** The middle of each key: its lines without the label, which `redact` or a crop could leave behind. */
function keyBodies(folder: string): readonly string[] {
  return filesBelow(folder).flatMap((path) => {
    const text = readFileSync(path, 'utf8');
    return [...text.matchAll(/-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\n|\\n)([A-Za-z0-9+/]{40})/g)].map(
      (match) => match[1] ?? '',
    );
  });
}

function filesBelow(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

t.test('no secret shows: output, log, status, metrics, process list, files that others can read', async (t) => {
  const cluster = await startFakeCluster({ approveServing: false });
  t.teardown(() => cluster.close());
  const host = new CertletHost(t, cluster, {
    log: { level: 'debug', format: 'text' },
    hooks: [{ name: 'show', command: ['/usr/bin/env'], on: ['client', 'serving'], timeout: '10s' }],
  });
  const seen: string[] = [];
  // Not the environment that the test runner gives every process.
  const daemon = host.start(
    ['run'],
    ['/usr/bin/env', '-i', `PATH=${process.env['PATH'] ?? ''}`, 'CANARY=canary-of-the-environment'],
  );
  await host.until((status) =>
    status.certificates.some(({ purpose, pending }) => purpose === 'serving' && pending !== undefined),
  );
  const pid = String(daemon.child.pid);
  seen.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  t.strictSame(listeningTcp(pid), [], 'no TCP socket listens');
  const [serving] = cluster.csrs.filter(
    ({ name }) => cluster.csrs.find((csr) => csr.name === name)?.certificatePem === undefined,
  );
  const message = `no: Bearer ${TOKEN} \u001b]0;owned\u0007\u001b[2J\u009b2J\nERROR forged=1 \u202e`;
  if (serving !== undefined) cluster.deny(serving.name, 'Because', message);
  await host.until((status) => status.certificates.some(({ lastError }) => lastError?.code === 'ERR_CSR_DENIED'));
  for (const args of [
    ['status'],
    ['status', '--output', 'json'],
    ['status', '--output', 'yaml'],
    ['check'],
    ['check', '--output', 'json'],
    ['renew', 'client'],
    ['renew', '--dry-run'],
  ]) {
    const { stdout, stderr } = await host.run(args);
    seen.push(stdout, stderr);
  }
  // A token that is no longer good, and a proxy with a password that nobody answers at.
  const bootstrap = join(host.folder, 'bootstrap-kubelet.conf');
  writeFileSync(
    bootstrap,
    cluster.bootstrapKubeconfig({
      token: `${TOKEN.slice(0, 7)}${'f'.repeat(16)}`,
      proxyUrl: `http://user:${PROXY_PASSWORD}@127.0.0.1:1`,
    }),
    { mode: 0o600 },
  );
  seen.push(...Object.values(await host.run(['check'])).map(String));
  writeFileSync(bootstrap, `users: [{name: u, user: {token: "${TOKEN}", token: "${TOKEN}"}}]\n`, { mode: 0o600 });
  seen.push(...Object.values(await host.run(['check'])).map(String));
  seen.push(
    ...Object.values(
      await host.run([
        'join',
        '127.0.0.1:1',
        '--token',
        TOKEN,
        '--discovery-token-ca-cert-hash',
        `sha256:${'c0de'.repeat(16)}`,
        '--timeout',
        '1s',
      ]),
    ).map(String),
  );
  const { stdout, stderr } = await daemon.end('SIGTERM');
  seen.push(stdout, stderr);
  const variables = [...stderr.matchAll(/Hook output .*line="?(\w+)=/g)].map((match) => match[1]);
  t.ok(variables.includes('CERTLET_PURPOSE'), 'the hook showed its environment');
  const files = ['CERTLET_CERT_FILE', 'CERTLET_PAIR_FILE', 'CERTLET_KUBECONFIG'];
  const expected = ['PATH', 'LANG', 'CERTLET_PURPOSE', 'CERTLET_CERTIFICATE', ...files];
  t.strictSame([...new Set(variables)], expected, 'and nothing of ours');
  const readable = filesBelow(host.folder).filter((path) => (statSync(path).mode & 0o044) !== 0);
  t.ok(readable.some((path) => path.endsWith('status.json')));
  const secrets = [TOKEN, TOKEN_SECRET, 'f'.repeat(16), PROXY_PASSWORD, ...keyBodies(host.folder)];
  t.ok(secrets.length > 5, 'there are keys to look for');
  const everything = [...seen, ...readable.map((path) => readFileSync(path, 'utf8'))].join('\n');
  for (const secret of secrets)
    t.notOk(everything.includes(secret), `${secret.slice(0, 6)}…: ${around(everything, secret)}`);
  // oxlint-disable-next-line no-control-regex -- what a terminal would obey
  t.notMatch(everything, /[\u001b\u0007\u0080-\u009f\u202e]/, 'nothing steers a terminal');
  t.match(everything, /forged=1/, 'the words of the denial were shown');
  t.notMatch(everything, /^ERROR forged=1/m, 'no line is forged');
  console.log(`# figure secrets looked for: ${String(secrets.length)} in ${String(everything.length)} characters`);
});

t.test('a join that succeeds shows no token: output, log, status, process list, environment, files', async (t) => {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  const endpoint = new URL(cluster.url).host;
  const pin = caPinOf(new X509Certificate(cluster.serverCa.pem));
  for (const way of ['file', 'standard input', 'argument'] as const) {
    const host = new CertletHost(t, cluster);
    const tokenFile = join(host.folder, 'token');
    writeFileSync(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
    rmSync(join(host.folder, 'bootstrap-kubelet.conf'));
    const token = way === 'argument' ? ['--token', TOKEN] : ['--token-file', way === 'file' ? tokenFile : '-'];
    // The shell only gives standard input and goes away.
    const joining = host.start(
      ['join', endpoint, ...token, '--discovery-token-ca-cert-hash', pin],
      ['/bin/sh', '-c', 'exec "$@" < "$0"', tokenFile],
    );
    const pid = joining.child.pid ?? 0;
    const shown: string[] = [];
    // As often as the machine allows: what `ps` would have shown at any moment once the program runs.
    const look = setInterval(() => shown.push(JSON.stringify(readProcess(pid) ?? '')), 1);
    if (way === 'argument') {
      await joining.printed('stderr', /shows in the process list/);
      shown.splice(0);
    }
    const { code, stdout, stderr } = await joining.ended;
    clearInterval(look);
    t.equal(code, 0, stderr);
    t.match(stdout, /written: /);
    t.ok(shown.length > 0, `${way}: looked`);
    const once = await host.run(['once', '--timeout', '30s']);
    t.equal(once.code, 0, once.stderr);
    const status = await host.run(['status', '--output', 'json']);
    const readable = filesBelow(host.folder).filter((path) => (statSync(path).mode & 0o044) !== 0);
    const everything = [
      stdout,
      stderr,
      once.stdout,
      once.stderr,
      status.stdout,
      status.stderr,
      ...shown,
      ...readable.map((path) => readFileSync(path, 'utf8')),
    ].join('\n');
    t.notOk(everything.includes(TOKEN_SECRET), `${way}: ${around(everything, TOKEN_SECRET)}`);
  }
});

function around(text: string, part: string): string {
  const at = text.indexOf(part);
  return at < 0 ? 'nowhere' : JSON.stringify(text.slice(Math.max(0, at - 120), at + 10));
}
