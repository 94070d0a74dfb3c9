/** `certlet renew` with and without a daemon, on a fake cluster. */
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { acquireLock } from '../../src/adapters/lock.ts';
import { CertletHost } from '../fixtures/certlet-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { untilTimeLimit } from '../fixtures/time-limit.ts';

const cluster = await startFakeCluster({ approveServing: true });
t.teardown(() => cluster.close());

const pendingName = (): string => cluster.csrs.find(({ conditions }) => conditions.length === 0)?.name ?? '';

/** Names and serials as they differ from run to run, by their shape. */
const shaped = (text: string): string =>
  text
    .replaceAll(/node-csr-[\w-]{43}/g, 'CSR')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'SERVER')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:]{8}Z/g, 'DATE')
    .replaceAll(/\b(serial|certificate) [0-9a-f]+\b/g, '$1 SERIAL');

const listing = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => `${name} ${String(statSync(join(folder, name)).mtimeMs)}`);

const setpriv = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
const canDrop =
  process.geteuid?.() === 0 &&
  spawnSync(setpriv[0] ?? '', [...setpriv.slice(1), process.execPath, '--version']).status === 0;

const host = new CertletHost(t, cluster, { log: { level: 'warn' } });

t.test('without a daemon and without a certificate: bootstraps by itself', async (t) => {
  const { code, stdout, stderr } = await host.run(['renew', 'all']);
  t.equal(code, 0, stderr);
  t.match(stdout, /^no daemon runs: asking by itself\n/);
  t.match(shaped(stdout), /client: requesting: asking as bootstrap token abcdef/);
  t.match(shaped(stdout), /client: new certificate SERIAL until DATE\n/);
  t.match(shaped(stdout), /serving: new certificate SERIAL until DATE\n/);
  t.match(host.status(), { process: { command: 'renew' }, certificates: [{ phase: 'valid' }, { phase: 'valid' }] });
});

t.test('--dry-run tells what would be asked, and asks nothing', async (t) => {
  const requests = cluster.requests.length;
  const before = listing(host.folder);
  const { code, stdout } = await host.run(['renew', '--dry-run']);
  t.equal(code, 0);
  t.equal(
    shaped(stdout),
    `client: would ask for
  subject     O=system:nodes, CN=system:node:n1
  usages      digital signature, key encipherment, client auth
  key         new, ECDSA-P256
  signer      kubernetes.io/kube-apiserver-client-kubelet
  API server  https://SERVER
  asked by    the node itself, client certificate SERIAL
  why         asked for by an administrator
  approval    by kube-controller-manager where the roles say so, else by a person
serving: would ask for
  subject     O=system:nodes, CN=system:node:n1
  names       n1, 192.0.2.7, and what the Node object adds
  usages      digital signature, key encipherment, server auth
  key         new, ECDSA-P256
  signer      kubernetes.io/kubelet-serving
  API server  https://SERVER
  asked by    the node itself, client certificate SERIAL
  why         asked for by an administrator
  approval    by a person (kubectl certificate approve NAME) or a separate approver
`,
  );
  t.equal(cluster.requests.length, requests);
  t.strictSame(listing(host.folder), before);
});

t.test('--dry-run tells of other usages than those that the signer took last', async (t) => {
  const path = join(host.folder, 'pki/.certlet/client-history.json');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(text) as object), keyEncipherment: false }));
  const { stdout } = await host.ask(['renew', 'client', '--dry-run']);
  writeFileSync(path, text);
  t.match(stdout, /^ {2}usages {6}digital signature, client auth$/m);
});

t.test('--dry-run as a document', async (t) => {
  const { code, stdout, stderr } = await host.ask(['renew', '--dry-run', '--output', 'json']);
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(JSON.parse(stdout), {
    version: 1,
    requests: [
      {
        purpose: 'client',
        commonName: 'system:node:n1',
        usages: ['digital signature', 'key encipherment', 'client auth'],
        signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
        keyAlgorithm: 'ECDSA-P256',
        server: /^https:/,
        identity: /^the node itself/,
        reasons: ['asked for by an administrator'],
      },
      { purpose: 'serving', dnsNames: ['n1'], ipAddresses: ['192.0.2.7'] },
    ],
  });
});

t.test('--dry-run of a node without anything', async (t) => {
  const bare = new CertletHost(t, cluster, {
    bootstrapKubeconfig: '/nonexistent/bootstrap.conf',
    expirationSeconds: 86_400,
  });
  const { code, stdout } = await bare.ask(['renew', '--dry-run']);
  t.equal(code, 0);
  t.match(stdout, /asked by {4}nobody: no client certificate yet, and \/nonexistent\/bootstrap\.conf is missing/);
  t.match(stdout, /asked by {4}the node itself, once it has a client certificate/);
  t.match(stdout, /API server {2}none: no kubeconfig names one/);
  t.match(stdout, /lifetime {4}86400 s/);
  const fresh = new CertletHost(t, cluster);
  const bootstrap = await fresh.ask(['renew', 'client', '--dry-run']);
  t.match(
    bootstrap.stdout,
    /asked by {4}bootstrap token abcdef of .*bootstrap-kubelet\.conf \(no client certificate yet\)/,
  );
  t.notMatch(bootstrap.stdout, /0123456789abcdef/);
});

t.test(
  '--dry-run by a user who may not look is refused, not told that there is no certificate',
  { skip: canDrop ? false : 'needs root, setpriv and a Node that others may run' },
  async (t) => {
    const { code, stdout, stderr } = await host.run(['renew', '--dry-run'], setpriv);
    t.equal(code, 77);
    t.equal(stdout, '');
    t.match(stderr, /kubelet-client-current\.pem: permission denied/);
  },
);

t.test(
  'root is sent to the user of the service, and is not told to remove what belongs to that one',
  { skip: canDrop ? false : 'needs root, setpriv and a Node that others may run' },
  async (t) => {
    const own = new CertletHost(t, cluster);
    mkdirSync(join(own.certDir, '.certlet'), { recursive: true, mode: 0o700 });
    for (const path of [own.certDir, join(own.certDir, '.certlet')]) chownSync(path, 65_534, 65_534);
    for (const command of ['renew', 'once', 'reset']) {
      const { code, stderr } = await own.run([command]);
      t.equal(code, 77);
      t.match(stderr, /pki\/\.certlet belongs to user 65534, who runs the service/);
      t.match(stderr, /runuser -u .{1,2}\$\(id -nu 65534\).{1,2} -- certlet/);
      t.notMatch(stderr, /lock/, 'the text of the lock would have root remove it');
    }
    t.strictSame(readdirSync(own.certDir), ['.certlet'], 'nothing of root is left there');
  },
);

t.test('by itself, waiting for an approval until the timeout: 75 and the command', async (t) => {
  cluster.settings.approveServing = false;
  const { code, stdout, stderr } = await untilTimeLimit(
    (limit) => host.run(['renew', 'serving', '--timeout', limit]),
    ({ stderr }) => stderr.includes('certificate approve'),
  );
  t.equal(code, 75);
  t.match(
    shaped(stdout),
    /serving: waiting for approval: the request waits for approval \[CSR\]\n {2}fix: kubectl certificate approve CSR\n/,
  );
  t.match(shaped(stderr), /not issued after \d+ s: serving: waiting for approval[^]*kubectl certificate approve CSR/);
  const planned = await host.ask(['renew', 'serving', '--dry-run']);
  t.match(shaped(planned.stdout), /under way {3}CSR: renew goes on waiting for this request\n/);
});

t.test(
  'by itself, as a document: progress goes to standard error, the document comes with the failure too',
  async (t) => {
    const { code, stdout, stderr } = await untilTimeLimit(
      (limit) => host.run(['renew', 'serving', '--timeout', limit, '--output', 'json']),
      ({ stderr }) => stderr.includes('certificate approve'),
    );
    t.equal(code, 75);
    t.match(JSON.parse(stdout), {
      version: 1,
      asked: ['serving'],
      through: 'itself',
      inPlace: false,
      certificates: [{ purpose: 'serving', phase: 'waiting for approval', pending: { approved: false } }],
    });
    t.match(
      shaped(stderr),
      /^no daemon runs: asking by itself\n[^]*serving: waiting for approval[^]*not issued after \d+ s/,
    );
  },
);

t.test('by itself, denied: ends at once with the reason', async (t) => {
  const denied = pendingName();
  const run = host.start(['renew', 'serving', '--timeout', '60s']);
  await run.printed('stdout', /waiting for approval/);
  cluster.deny(denied, 'NotAllowed', 'not this one');
  const { code, stderr } = await run.ended;
  t.equal(code, 75);
  t.match(stderr, /serving: certificate signing request .* is denied, reason: NotAllowed, message: not this one/);
});

t.test('a certlet that holds the lock without a socket keeps it out', async (t) => {
  const lock = await acquireLock(host.certDir, { label: 'certlet once' });
  const { code, stderr } = await host.run(['renew', 'client']);
  await lock.release();
  t.equal(code, 75);
  t.match(stderr, /is managed by process \d+ \(certlet once/);
});

t.test('through the daemon: asks and ends; with --wait follows it to its end', async (t) => {
  const daemon = host.start(['run']);
  await host.until(({ process }) => process.command === 'run' && process.stoppedAt === undefined);
  const serials = (): readonly string[] =>
    host.status()?.certificates.map(({ certificate }) => certificate?.serial ?? '') ?? [];
  const [client] = serials();

  const asked = await host.run(['renew', 'client']);
  t.equal(asked.code, 0, asked.stderr);
  t.equal(asked.stdout, 'asked the daemon for a new client certificate\n');
  await host.until(({ certificates }) => certificates[0]?.certificate?.serial !== client);

  const waiting = host.start(['renew', '--wait', '--timeout', '60s']);
  await waiting.printed('stdout', /serving: waiting for approval/);
  cluster.approve(pendingName());
  const followed = await waiting.ended;
  t.equal(followed.code, 0, followed.stderr);
  t.match(followed.stdout, /^asked the daemon for new client and serving certificates\n/);
  t.match(shaped(followed.stdout), /client: new certificate SERIAL until DATE\n/);
  t.match(shaped(followed.stdout), /serving: new certificate SERIAL until DATE\n/);

  const told = await host.ask(['renew', 'client', '--output', 'json']);
  t.equal(told.code, 0, told.stderr);
  t.strictSame(JSON.parse(told.stdout), { version: 1, asked: ['client'], through: 'daemon' });
  t.equal(told.stderr, 'asked the daemon for a new client certificate\n');
  const whole = await host.run(['renew', 'client', '--wait', '--output', 'yaml']);
  t.match(parse(whole.stdout), { inPlace: true, certificates: [{ purpose: 'client', certificate: {} }] });

  const late = await untilTimeLimit(
    (limit) => host.run(['renew', 'serving', '--wait', '--timeout', limit]),
    ({ stderr }) => stderr.includes('certificate approve'),
  );
  t.equal(late.code, 75);
  t.match(shaped(late.stderr), /certlet: not issued after \d+ s: serving:[^]*fix: kubectl certificate approve CSR/);
  await daemon.end('SIGTERM');
});

t.test('a serving certificate that is not managed: by name an error, else left out', async (t) => {
  const alone = new CertletHost(t, cluster, { rotateServerCertificates: false });
  const named = await alone.run(['renew', 'serving']);
  t.equal(named.code, 64);
  t.match(named.stderr, /the serving certificate is not managed: rotateServerCertificates is false/);
  const all = await alone.run(['renew', '--dry-run']);
  t.notMatch(all.stdout, /serving: would/);
});
