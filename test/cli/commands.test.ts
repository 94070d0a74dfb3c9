/** Commands in the test's own process: terminals, daemons that refuse or are starting, users who may not look. */
import { createServer } from 'node:net';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runCheck } from '../../src/cli/commands/check.ts';
import { runOnce } from '../../src/cli/commands/once.ts';
import { runRenew } from '../../src/cli/commands/renew.ts';
import { runReset } from '../../src/cli/commands/reset.ts';
import { runStatus } from '../../src/cli/commands/status.ts';
import type { RenewArguments, StatusArguments } from '../../src/cli/command.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import type { AgentSnapshot } from '../../src/rotation/snapshot.ts';
import { encodeStatus } from '../../src/status/codec.ts';
import { statusDocument } from '../../src/status/document.ts';
import { CommandHost } from '../fixtures/command-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { sampleFacts, sampleManager, sampleSnapshot, waitingServing } from '../fixtures/snapshots.ts';

/** Dates around today: what a daemon says is judged by this host's clock. */
const day = (days: number): Date => new Date(Date.now() + days * 86_400_000);
const facts = sampleFacts({ notBefore: day(-10), notAfter: day(300) });
const client = sampleManager({ certificate: facts, rotationDeadline: day(250) });
const text = (snapshot: AgentSnapshot): string =>
  encodeStatus(
    statusDocument(snapshot, { command: 'run', pid: process.pid, version: '0', now: new Date(), hooks: [] }),
  );
const healthy = text(sampleSnapshot({ managers: [client] }));
const waiting = text(sampleSnapshot({ managers: [client, waitingServing()] }));

const status = (parts: Partial<StatusArguments> = {}): StatusArguments => ({
  name: 'status',
  output: 'text',
  certificate: undefined,
  watch: false,
  verbose: false,
  ...parts,
});
const renew = (parts: Partial<RenewArguments> = {}): RenewArguments => ({
  name: 'renew',
  output: 'text',
  certificate: 'client',
  dryRun: false,
  restartNow: false,
  wait: true,
  timeoutMs: 60_000,
  ...parts,
});

/** A cluster that refuses connections; port 1 is nobody's. */
const UNREACHABLE = JSON.stringify({
  clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'u', user: { token: 'abcdef.0123456789abcdef' } }],
  contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
  'current-context': 'x',
});

t.test('--watch in a pipe repeats nothing while only the clock goes on', async (t) => {
  const host = new CommandHost(t);
  const { context, stdout, stop } = host.session();
  let looks = 0;
  await host.daemon({
    status: () => {
      looks += 1;
      const managers = looks < 3 ? [client, waitingServing()] : [client];
      const now = new Date(Date.now() + looks * 1000);
      const document = statusDocument(sampleSnapshot({ managers }), {
        command: 'run',
        pid: process.pid,
        version: '0',
        now,
        hooks: [],
      });
      if (looks === 4) stop.abort();
      return encodeStatus(document);
    },
  });
  t.equal(await runStatus(context, status({ watch: true, output: 'json' })), 0);
  const states = stdout.text
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { state: string }).state);
  t.strictSame(states, ['waiting', 'healthy']);
});

t.test('status without anything to read: an ordinary user is told on standard error, 6', async (t) => {
  const host = new CommandHost(t);
  const { context, stdout, stderr } = host.session({ userId: 65_534, argv: ['status', '-v'] });
  t.equal(await runStatus(context, status()), 6);
  t.equal(stdout.text, '');
  t.match(stderr.text, /^certlet: nothing to read: no daemon listens[^]*\n {2}fix: sudo certlet status -v\n/);
});

t.test('status from a socket that is a daemon of nobody: what it says is no status', async (t) => {
  const host = new CommandHost(t);
  const rude = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}')).listen(
    host.socket,
  );
  await once(rude, 'listening');
  t.teardown(() => void rude.close());
  const { context, stderr } = host.session();
  t.equal(await runStatus(context, status({ output: 'json' })), 6);
  t.match(stderr.text, /^certlet: /);
});

t.test('status of a node without serving certificate, from the disk', async (t) => {
  const host = new CommandHost(t, { rotateServerCertificates: false });
  const { context, stdout } = host.session({ userId: 0 });
  t.equal(await runStatus(context, status({ output: 'json' })), 3);
  t.match(JSON.parse(stdout.text), { source: 'disk', certificates: { length: 1 } });
});

/** Two hosts: one that starts certlet.service at boot, and one that does not. */
function hostRoots(t: Test): { readonly enabled: string; readonly plain: string } {
  const units = { 'multi-user.target.wants': { 'certlet.service': '' } };
  const folder = t.testdir({ enabled: { etc: { systemd: { system: units } } }, plain: {} });
  return { enabled: join(folder, 'enabled'), plain: join(folder, 'plain') };
}

const DOWN = 'the daemon is not running: nothing is renewed';

t.test('status by root, from the disk: nothing was said of a daemon that is enabled and does not run', async (t) => {
  const host = new CommandHost(t);
  const { enabled, plain } = hostRoots(t);
  for (const row of [
    { hostRoot: plain, code: 3, told: false },
    { hostRoot: enabled, code: 6, told: true },
  ]) {
    const { context, stdout } = host.session({ userId: 0, hostRoot: row.hostRoot });
    t.equal(await runStatus(context, status({ output: 'json' })), row.code);
    const { source, reasons } = JSON.parse(stdout.text) as { source: string; reasons: readonly string[] };
    t.equal(source, 'disk');
    t.equal(reasons.includes(DOWN), row.told);
  }
});

t.test('… nor where the last run of a timer left its status', async (t) => {
  const host = new CommandHost(t);
  const { enabled, plain } = hostRoots(t);
  const once = { command: 'once', pid: 1, version: '0', now: new Date(), hooks: [] } as const;
  const left = encodeStatus(statusDocument(sampleSnapshot({ managers: [client] }), once));
  writeFileSync(join(host.runtimeDir, 'status.json'), host.own(left));
  t.equal(await runStatus(host.session({ hostRoot: plain }).context, status()), 0);
  const { context, stdout } = host.session({ hostRoot: enabled });
  t.equal(await runStatus(context, status({ output: 'json' })), 6);
  t.match(JSON.parse(stdout.text), { source: 'file', reasons: [DOWN] });
});

for (const row of [
  { name: 'colours at a terminal', environment: {}, colour: true },
  { name: 'an empty NO_COLOR is none', environment: { NO_COLOR: '' }, colour: true },
  { name: 'NO_COLOR is honoured', environment: { NO_COLOR: '1' }, colour: false },
]) {
  t.test(`status: ${row.name}`, async (t) => {
    const host = new CommandHost(t);
    await host.daemon({ status: () => healthy });
    const { context, stdout } = host.session({ terminal: true, environment: row.environment });
    t.equal(await runStatus(context, status()), 0);
    t.equal(stdout.text.includes('\u001b['), row.colour, stdout.text);
  });
}

for (const row of [
  {
    name: 'a terminal is painted anew',
    terminal: true,
    output: 'text',
    // oxlint-disable-next-line no-control-regex -- what a terminal is sent is what this looks for
    between: /^\u001b\[H\u001b\[J[^]*healthy[^]*\u001b\[H\u001b\[J[^]*waiting/,
  },
  {
    name: 'texts in a pipe have an empty line between them',
    terminal: false,
    output: 'text',
    between: /^n1: healthy[^]*\n\nn1: waiting/,
  },
  {
    name: 'YAML documents begin with their mark',
    terminal: false,
    output: 'yaml',
    between: /^---\nversion: 1[^]*\n---\nversion: 1/,
  },
  {
    name: 'JSON documents have a line each',
    terminal: true,
    output: 'json',
    between: /^\{.*"state":"healthy".*\}\n\{.*"state":"waiting".*\}\n$/,
  },
] as const) {
  t.test(`status --watch: ${row.name}`, async (t) => {
    const host = new CommandHost(t);
    let now = healthy;
    await host.daemon({ status: () => now });
    const { context, stdout, stop } = host.session({ terminal: row.terminal, environment: { NO_COLOR: '1' } });
    const ended = runStatus(context, status({ watch: true, output: row.output }));
    await stdout.shows(/healthy/);
    now = waiting;
    await stdout.shows(/waiting for approval/);
    stop.abort();
    t.equal(await ended, 3, 'the code of the last state');
    t.match(stdout.text, row.between);
  });
}

t.test('renew: a daemon that refuses says which field', async (t) => {
  const host = new CommandHost(t);
  await host.daemon({ purposes: () => ['client'] });
  const { context } = host.session();
  await t.rejects(runRenew(context, renew({ certificate: 'serving' })), {
    code: 'ERR_CONTROL',
    message: /^the daemon refused: purposes\[0\]: /,
  });
});

for (const { name, restarts, parts, text } of [
  {
    name: 'held',
    restarts: ['serving', 'cluster CA'],
    parts: {},
    text: 'the kubelet is restarted now, for serving and cluster CA\n',
  },
  { name: 'nothing held', restarts: [], parts: {}, text: 'no restart of the kubelet waits\n' },
  {
    name: 'as a document',
    restarts: ['client'],
    parts: { output: 'json' },
    text: '{\n  "version": 1,\n  "restarts": [\n    "client"\n  ]\n}\n',
  },
] as const) {
  t.test(`renew --restart-now: ${name}`, async (t) => {
    const host = new CommandHost(t);
    let asked = 0;
    const restartNow = (): readonly string[] => {
      asked += 1;
      return restarts;
    };
    await host.daemon({ restartNow });
    const { context, stdout } = host.session();
    const only = { certificate: undefined, wait: false, restartNow: true, output: 'text' } as const;
    t.equal(await runRenew(context, renew({ ...only, ...parts })), 0);
    t.equal(stdout.text, text);
    t.equal(asked, 1);
  });
}

t.test('renew --restart-now without a daemon says how the kubelet is restarted', async (t) => {
  const { context } = new CommandHost(t).session();
  await t.rejects(runRenew(context, renew({ certificate: undefined, wait: false, restartNow: true })), {
    code: 'ERR_CONTROL',
    message: /no daemon runs/,
    remedy: 'systemctl restart kubelet.service',
  });
});

for (const parts of [{ certificate: 'client' }, { wait: true }, { dryRun: true }]) {
  t.test(`renew --restart-now with ${Object.keys(parts).join()} is refused, and nothing is restarted`, async (t) => {
    const host = new CommandHost(t);
    const restartNow = (): never => t.fail('restarted') as never;
    await host.daemon({ restartNow });
    const { context } = host.session();
    const line = renew({ certificate: undefined, wait: false, restartNow: true, ...parts });
    await t.rejects(runRenew(context, line), { code: 'ERR_USAGE', message: /--restart-now renews nothing/ });
  });
}

t.test('renew --wait while the daemon starts, has nothing yet, and is told to stop waiting', async (t) => {
  const host = new CommandHost(t);
  const asked = Promise.withResolvers<void>();
  const looks = [undefined, text(sampleSnapshot({ managers: [] }))];
  await host.daemon({ status: () => looks.shift(), renew: async () => asked.resolve() });
  const { context, stop, stdout } = host.session();
  const ended = runRenew(context, renew({ output: 'json' }));
  await asked.promise;
  stop.abort();
  t.equal(await ended, 75);
  t.strictSame(JSON.parse(stdout.text), {
    version: 1,
    asked: ['client'],
    through: 'daemon',
    inPlace: false,
    certificates: [],
  });
});

t.test(
  'renew asks nothing of a daemon that cannot tell yet whose node it is, and ends when it is told to',
  async (t) => {
    const host = new CommandHost(t);
    const looked = Promise.withResolvers<void>();
    const status = (): undefined => {
      looked.resolve();
      return undefined;
    };
    await host.daemon({ status, renew: async () => void t.fail('asked') });
    const { context, stop } = host.session();
    const ended = runRenew(context, renew());
    void ended.catch(() => undefined);
    await looked.promise;
    stop.abort();
    await t.rejects(ended, { code: 'ERR_CONTROL', message: /the daemon refused: the daemon has just started/ });
  },
);

const B = { nodeName: 'n2', certDir: '/nonexistent/b/pki' };
const RUNTIME_DIR = { code: 'ERR_CONTROL', remedy: /^# Set runtimeDir: .* in the settings\./ };
const OTHERS =
  /control\.sock is of node n1 with the cert-dir .*\/pki; these settings are of node n2 with the cert-dir \/nonexistent\/b\/pki$/;

for (const { name, parts } of [
  { name: 'renew client', parts: {} },
  { name: 'renew --restart-now', parts: { certificate: undefined, wait: false, restartNow: true } },
]) {
  t.test(`${name} with the settings of B went to the daemon of A, with which B shares its runtimeDir`, async (t) => {
    const asked: string[] = [];
    const host = new CommandHost(t, { certDir: B.certDir, hostnameOverride: B.nodeName });
    await host.daemon({
      renew: async () => void asked.push('renew'),
      restartNow: () => (asked.push('restart'), []),
    });
    await t.rejects(runRenew(host.session().context, renew(parts)), { ...RUNTIME_DIR, message: OTHERS });
    t.strictSame(asked, []);
  });
}

t.test('check with the settings of B said that its daemon runs, which is that of A', async (t) => {
  const host = new CommandHost(t, { certDir: B.certDir, hostnameOverride: B.nodeName });
  await host.daemon({ status: () => healthy });
  const { context, stdout } = host.session();
  t.equal(await runCheck(context, { name: 'check', output: 'json' }), 1);
  const { findings } = JSON.parse(stdout.text) as { readonly findings: readonly { readonly id: string }[] };
  t.match(
    findings.find(({ id }) => id.startsWith('daemon.')),
    { id: 'daemon.elsewhere', verdict: 'problem', what: OTHERS, remedy: /^# Set runtimeDir:/ },
  );
});

t.test('status with the settings of B called A healthy, with which B shares its runtimeDir', async (t) => {
  const host = new CommandHost(t, { certDir: B.certDir, hostnameOverride: B.nodeName });
  await host.daemon({ status: () => healthy });
  const { context, stdout, stderr } = host.session();
  t.equal(await runStatus(context, status()), 6);
  t.equal(stdout.text, '');
  t.match(stderr.text, /is of node n1 with the cert-dir .* node n2 with the cert-dir .*\n {2}do: Set runtimeDir:/);
});

t.test('renew --wait of a daemon whose request is denied ends at once with the words of the denial', async (t) => {
  const host = new CommandHost(t);
  let denied = false;
  const lastError = { code: 'ERR_CSR_DENIED', message: 'denied: no', remedy: undefined, at: day(0) } as const;
  await host.daemon({
    status: () =>
      text(sampleSnapshot({ managers: [denied ? { ...client, phase: 'waiting to retry', lastError } : client] })),
    renew: async () => {
      denied = true;
    },
  });
  const { context, stdout } = host.session();
  await t.rejects(runRenew(context, renew({ output: 'json' })), {
    code: 'ERR_CSR_DENIED',
    message: 'client: denied: no',
    remedy: undefined,
  });
  t.match(JSON.parse(stdout.text), { inPlace: false, certificates: [{ lastError: { code: 'ERR_CSR_DENIED' } }] });
});

t.test('renew by itself is stopped by a signal, and logs more at level debug', async (t) => {
  const host = new CommandHost(t, { log: { level: 'debug', format: 'text' } });
  writeFileSync(join(host.folder, 'bootstrap-kubelet.conf'), UNREACHABLE, { mode: 0o600 });
  const { context, stop, stdout, stderr } = host.session();
  const ended = runRenew(context, renew());
  await stdout.shows(/waiting to retry/);
  stop.abort();
  t.equal(await ended, 75);
  t.match(stderr.text, / DEBUG | INFO /);
});

t.test('renew --dry-run with a bootstrap kubeconfig that cannot be used says why nobody could ask', async (t) => {
  const host = new CommandHost(t);
  writeFileSync(join(host.folder, 'bootstrap-kubelet.conf'), 'a: [', { mode: 0o600 });
  const { context, stdout } = host.session();
  t.equal(await runRenew(context, renew({ dryRun: true })), 0);
  t.match(stdout.text, /asked by {4}nobody: no client certificate yet, and .*bootstrap-kubelet\.conf cannot be used: /);
});

t.test('once: the time is over, and what was waited for is named', async (t) => {
  const host = new CommandHost(t);
  const { context } = host.session();
  await t.rejects(runOnce(context, { name: 'once', output: 'text', timeoutMs: 1_500 }), {
    code: 'ERR_TIMEOUT',
    message: /^not up to date after 2 s: client: /,
  });
});

for (const row of [
  { name: 'a daemon that answers runs', health: true, id: 'daemon' },
  { name: 'a socket that breaks off leaves it open', health: false, id: 'daemon.unknown' },
]) {
  t.test(`check: ${row.name}`, async (t) => {
    const host = new CommandHost(t, { kubelet: { version: 'v1.30.0' } });
    if (row.health) await host.daemon({});
    else {
      const rude = createServer((socket) => socket.destroy()).listen(host.socket);
      await once(rude, 'listening');
      t.teardown(() => void rude.close());
    }
    const { context, stdout } = host.session();
    t.equal(await runCheck(context, { name: 'check', output: 'json' }), 1, 'there is no kubeconfig');
    t.match(
      (JSON.parse(stdout.text) as { findings: readonly { id: string }[] }).findings.map(({ id }) => id),
      new RegExp(`(^|,)${row.id}(,|$)`),
    );
  });
}

t.test('reset: both kubeconfigs by option; a pipe is no terminal, so nobody can be asked', async (t) => {
  const host = new CommandHost(t);
  const bootstrap = join(host.folder, 'bootstrap-kubelet.conf');
  writeFileSync(bootstrap, 'x', { mode: 0o600 });
  const reset = { name: 'reset', output: 'json', yes: false, withBootstrapKubeconfig: true } as const;
  const asked = host.session({ argv: ['reset', '--with-bootstrap-kubeconfig'] });
  await t.rejects(runReset(asked.context, reset), {
    code: 'ERR_USAGE',
    remedy: 'certlet reset --with-bootstrap-kubeconfig --yes',
  });
  t.match(JSON.parse(asked.stdout.text), { removed: false, remove: [{ path: bootstrap }] }, 'what would go is shown');
  t.equal(asked.stderr.text, '');
  t.equal(readFileSync(bootstrap, 'utf8'), 'x');
  const told = host.session();
  t.equal(await runReset(told.context, { ...reset, yes: true, output: 'text' }), 0);
  t.match(told.stdout.text, /To be removed:\n.*bootstrap[^]*Removed one file\.\n/);
  const nothing = host.session();
  t.equal(await runReset(nothing.context, { ...reset, yes: true }), 0);
  t.match(JSON.parse(nothing.stdout.text), { version: 1, removed: false, remove: [], keep: [] });
});

t.test(
  'reset for a program at a terminal: list and question on standard error, the document alone on standard output',
  async (t) => {
    const host = new CommandHost(t);
    writeFileSync(join(host.folder, 'bootstrap-kubelet.conf'), 'x', { mode: 0o600 });
    const { context, stdin, stdout, stderr } = host.session({ terminal: true });
    const ended = runReset(context, { name: 'reset', output: 'yaml', yes: false, withBootstrapKubeconfig: true });
    await stderr.shows(/\[y\/N\]/);
    stdin.write('n\n');
    t.equal(await ended, 1);
    t.match(stderr.text, /To be removed:[^]*Remove one file\? \[y\/N\][^]*Nothing was removed\.\n/);
    t.match(stdout.text, /^version: 1\nremoved: false\nremove:\n/);
  },
);

t.test('adopt and join as the program calls them', async (t) => {
  const cluster = await startFakeCluster();
  t.teardown(() => cluster.close());
  const host = new CommandHost(t, { kubelet: { unit: 'certlet-test-no-such-unit.service', version: 'v1.30.0' } });
  const adopt = host.session();
  const code = await dispatch(
    { name: 'adopt', output: 'json', write: false, writeKubeconfig: false, kubeProxy: true },
    adopt.context,
  );
  const answer = JSON.parse(adopt.stdout.text) as { readonly version: number; readonly found: boolean };
  t.equal(answer.version, 1);
  t.equal(answer.found, false, 'a kubelet that runs on this machine is none of the test');
  t.equal(code, 1);

  mkdirSync(join(host.folder, 'x'));
  const discoveryFile = join(host.folder, 'x', 'discovery.conf');
  writeFileSync(discoveryFile, cluster.bootstrapKubeconfig(), { mode: 0o600 });
  const joined = host.session();
  const join_ = {
    caCertHashes: [],
    unsafeSkipCaVerification: false,
    timeoutMs: 1_000,
    force: false,
    writeKubeconfig: false,
    seal: false,
    discoveryFile,
  };
  t.equal(await dispatch({ name: 'join', output: 'json', join: join_ }, joined.context), 0);
  t.match(JSON.parse(joined.stdout.text), {
    version: 1,
    server: cluster.url,
    caPins: [/^sha256:[0-9a-f]{64}$/],
    written: join(host.folder, 'bootstrap-kubelet.conf'),
    next: ['systemctl enable --now certlet'],
  });
  t.notMatch(joined.stdout.text + joined.stderr.text, /0123456789abcdef/);
  const words = host.session();
  t.equal(await dispatch({ name: 'join', output: 'text', join: join_ }, words.context), 0);
  t.match(words.stdout.text, /^cluster: https:[^]*\nwritten: [^]*\nnext: systemctl enable --now certlet {3}\(without/);
});
