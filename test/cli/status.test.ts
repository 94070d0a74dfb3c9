/** `certlet status` as a person or a monitor runs it: against the real daemon on a fake cluster, over pipes and a pseudo-terminal. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { acquireLock } from '../../src/adapters/lock.ts';
import { readOwnUnits } from '../../src/adapters/own-units.ts';
import { CertletHost, type CertletProcess } from '../fixtures/certlet-host.ts';
import { VERSION } from '../../src/cli/version.ts';
import { certletCommand, quoted } from '../fixtures/program.ts';
import type { StatusDocument } from '../../src/status/document.ts';
import { bareEnvironment } from '../fixtures/environment.ts';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';

interface Node {
  readonly cluster: FakeCluster;
  readonly host: CertletHost;
  readonly daemon: CertletProcess;
}

/** A daemon whose client certificate is issued and whose serving request waits for a person. */
async function waitingNode(t: Test, settings: Readonly<Record<string, unknown>> = {}): Promise<Node> {
  const cluster = await startFakeCluster();
  t.teardown(() => cluster.close());
  const host = new CertletHost(t, cluster, settings);
  const daemon = host.start(['run']);
  await host.until(isWaiting);
  return { cluster, host, daemon };
}

const isWaiting = ({ certificates, process }: StatusDocument): boolean =>
  process.stoppedAt === undefined && certificates.some(({ phase }) => phase === 'waiting for approval');

const servingName = (cluster: FakeCluster): string =>
  cluster.csrs.find(({ conditions }) => conditions.length === 0)?.name ?? '';

/** Dates and distances as they differ from run to run, by their shape. */
const shaped = (text: string): string =>
  text
    .replaceAll(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'DATE')
    .replaceAll(/\b\d+ (seconds?|minutes?|days?)\b/g, 'SPAN')
    // On a slow machine the first reminder has come by now.
    .replace(/\nLast warnings [^]*$/, '')
    .replaceAll(VERSION, 'VERSION')
    .replaceAll(/process \d+/g, 'process PID')
    .replaceAll(/node-csr-[\w-]{43}/g, 'CSR')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'SERVER');

const canScript = spawnSync('script', ['--version']).status === 0;

/** Everything below a folder with its times: what a reader must not change. */
const listing = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => `${name} ${String(statSync(join(folder, name)).mtimeMs)}`);

const isRoot = process.geteuid?.() === 0;

const setpriv = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const canDrop =
  isRoot && spawnSync(setpriv[0] ?? '', [...setpriv.slice(1), process.execPath, '--version']).status === 0;

/** The tests up to the last but one go through the life of this node, in their order. */
const { cluster, host, daemon } = await waitingNode(t);

t.test('a node that waits, from the socket', async (t) => {
  const text = await host.run(['status']);
  t.equal(text.code, 3);
  t.equal(
    shaped(text.stdout).replaceAll(host.folder, ''),
    `n1: waiting
  certlet         VERSION (run), process PID, started SPAN ago (DATE)
  time off        survives being off until DATE (SPAN)
  API server      https://SERVER

CERTIFICATE  STATE        EXPIRES               LEFT      NEXT      WAITS FOR
client       valid        DATE  SPAN  SPAN  -
serving      self-signed  -                     -         -         approval

serving  waiting for approval; a self-signed pair stands in until the first one is issued
  reason          the request waits for approval
  since           SPAN ago (DATE)
  request         CSR, posted, made SPAN ago (DATE)
  fix:            kubectl certificate approve CSR
`,
  );
  const one = await host.ask(['status', 'client', '-o', 'text']);
  t.equal(one.code, 0, 'of the one that was asked for');
  t.equal(
    shaped(one.stdout).replaceAll(host.folder, ''),
    `n1: healthy
  certlet         VERSION (run), process PID, started SPAN ago (DATE)
  time off        survives being off until DATE (SPAN)
  API server      https://SERVER

CERTIFICATE  STATE  EXPIRES               LEFT      NEXT      WAITS FOR
client       valid  DATE  SPAN  SPAN  -

client   valid (SPAN left)
  subject         O=system:nodes, CN=system:node:n1
  issuer          CN=fake-client-ca
  serial          1
  issued          SPAN ago (DATE)
  expires         in SPAN (DATE)
  next rotation   in SPAN (DATE)
  file            /pki/kubelet-client-current.pem
  last success    SPAN ago (DATE)
`,
  );
  const unknown = await host.ask(['status', 'servin']);
  t.equal(unknown.code, 64);
  t.match(unknown.stderr, /no certificate is named "servin"[^]*fix: certlet status --config \S+ serving\n/);
  t.ok(text.stdout.includes(servingName(cluster)));
  const json = await host.run(['status', '--output', 'json']);
  t.equal(json.code, 3);
  t.match(JSON.parse(json.stdout), {
    version: 1,
    state: 'waiting',
    source: 'socket',
    process: { command: 'run' },
    certificates: [
      { purpose: 'client', phase: 'valid' },
      { purpose: 'serving', pending: { name: servingName(cluster) } },
    ],
  });
  const yaml = await host.ask(['status', '--output', 'yaml']);
  t.match(parse(yaml.stdout), { state: 'waiting', node: { name: 'n1' } });
});

t.test(
  'at a terminal words have colour',
  { skip: canScript ? false : 'script (util-linux) is not installed' },
  async (t) => {
    const line = certletCommand(['status', '--config', host.settingsPath]).map(quoted).join(' ');
    const shown = spawnSync('script', ['-qec', line, '/dev/null'], {
      encoding: 'utf8',
      env: { ...bareEnvironment(), NO_COLOR: '' },
    });
    t.equal(shown.status, 3, 'the exit code passes through');
    t.ok(shown.stdout.startsWith('\u001b[1mn1\u001b[0m: \u001b[33mwaiting\u001b[0m'));
    t.match(stripVTControlCharacters(shown.stdout), /^n1: waiting\r\n {2}certlet {9}[0-9.]+ \(run\), process/);
    const plain = spawnSync('script', ['-qec', line, '/dev/null'], {
      encoding: 'utf8',
      env: { ...bareEnvironment(), NO_COLOR: '1' },
    });
    t.ok(plain.stdout.startsWith('n1: waiting'));
  },
);

t.test(
  'anybody reads the status file of a running daemon, and may not order it',
  { skip: canDrop ? false : 'needs root, setpriv and a Node that others may run' },
  async (t) => {
    const other = await host.run(['status', '--output', 'json'], setpriv);
    t.equal(other.code, 3, other.stderr);
    t.match(JSON.parse(other.stdout), { source: 'file', state: 'waiting' });
    t.match(
      shaped((await host.run(['status'], setpriv)).stdout),
      /certlet {9}VERSION \(run\), process PID, started[^]*read from/,
    );
    const refused = await host.run(['renew'], setpriv);
    t.equal(refused.code, 77);
    t.match(refused.stderr, /control\.sock is for its owner and root alone\n {2}fix: sudo certlet renew/);
  },
);

t.test('--watch shows each change, and ends at a signal with the state', async (t) => {
  const watch = host.start(['status', '--watch', '--output', 'json']);
  await watch.printed('stdout', /"state":"waiting"[^]*\n/);
  cluster.approve(servingName(cluster));
  await watch.printed('stdout', /"state":"healthy"[^]*\n/);
  const { code, stdout } = await watch.end('SIGTERM');
  t.equal(code, 0);
  const documents = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { state: string });
  t.equal(documents[0]?.state, 'waiting');
  t.equal(documents.at(-1)?.state, 'healthy');
  t.equal((await host.ask(['status'])).code, 0);
});

t.test('a daemon that stopped in order says when it did', async (t) => {
  t.equal((await daemon.end('SIGTERM')).code, 0);
  t.notOk(existsSync(join(host.runtimeDir, 'control.sock')));
  t.match(host.status(), { process: { stoppedAt: /Z$/ } });
  t.match(shaped((await host.ask(['status'])).stdout), /process PID is gone, stopped SPAN ago/);
  t.equal(statSync(join(host.runtimeDir, 'status.json')).mode & 0o777, 0o644);
  t.equal(statSync(host.runtimeDir).mode & 0o777, 0o755);
  t.notMatch(readFileSync(join(host.runtimeDir, 'status.json'), 'utf8'), /PRIVATE KEY|0123456789abcdef/);
});

t.test(
  'anybody learns that it is down, and with nothing to read that nothing is known',
  { skip: canDrop ? false : 'needs root, setpriv and a Node that others may run' },
  async (t) => {
    t.equal((await host.run(['status'], setpriv)).code, 6);
    rmSync(host.runtimeDir, { recursive: true });
    const nothing = await host.run(['status'], setpriv);
    t.equal(nothing.code, 6);
    t.match(
      nothing.stderr,
      /certlet: nothing to read: no daemon listens at .*control\.sock, and there is no .*status\.json/,
    );
  },
);

t.test(
  'root reads the cert-dir itself, without lock and without a change',
  { skip: isRoot ? false : 'needs root' },
  async (t) => {
    rmSync(host.runtimeDir, { recursive: true, force: true });
    const lock = await acquireLock(host.certDir, { label: 'the test' });
    const before = listing(host.certDir);
    const read = await host.run(['status', '--output', 'json']);
    await lock.release();
    // The program looks at this machine's units: where certlet is enabled, it says that its daemon does not run.
    const { service } = await readOwnUnits('/');
    t.equal(read.code, service ? 6 : 0, read.stdout + read.stderr);
    t.match(JSON.parse(read.stdout), {
      state: service ? 'unknown' : 'healthy',
      source: 'disk',
      process: { command: 'none' },
      certificates: [{ phase: 'valid' }, { phase: 'valid', certificate: { ipAddresses: ['192.0.2.7'] } }],
    });
    t.strictSame(
      listing(host.certDir).slice(1),
      before.slice(1).filter((line) => !line.includes('.lock.holder')),
      'nothing changed',
    );
    t.notOk(existsSync(host.runtimeDir));
  },
);

t.test(
  'Events on the Node tell of it; a daemon that is killed leaves file and socket, and the next one takes them over',
  async (t) => {
    const { cluster, daemon, host } = await waitingNode(t, { events: true });
    await cluster.until(() => cluster.events.length >= 2);
    cluster.deny(servingName(cluster), 'NotAllowed', 'not this node');
    await cluster.until(() => cluster.events.length >= 3);
    t.match(
      cluster.events.map(({ type, reason, message, involvedObject }) => ({ type, reason, message, involvedObject })),
      [
        { type: 'Normal', reason: 'CertificateRotated', message: /^client certificate 1 is current until/ },
        { type: 'Warning', reason: 'CertificateRequestWaiting', message: /kubectl certificate approve|waits/ },
        { type: 'Warning', reason: 'CertificateRequestDenied', message: /NotAllowed.*not this node/ },
      ],
    );
    t.match(cluster.events[0], { involvedObject: { kind: 'Node', name: 'n1' }, source: { component: 'certlet' } });

    await daemon.end('SIGKILL');
    t.ok(existsSync(join(host.runtimeDir, 'control.sock')), 'the file of the socket stays behind');
    const down = await host.ask(['status']);
    t.equal(down.code, 6);
    t.match(
      shaped(down.stdout),
      /^ {2}certlet {9}NOT RUNNING \(VERSION, process PID is gone\)\n {2}fix: {12}systemctl start certlet$/m,
    );
    t.match(shaped(down.stdout), /^ {2}read from {7}\S+\/run\/status\.json, last changed SPAN ago \(DATE\)$/m);
    const next = host.start(['run']);
    await host.until(({ process }) => process.pid === next.child.pid);
    t.match(JSON.parse((await host.ask(['status', '--output', 'json'])).stdout), { source: 'socket' });
  },
);
