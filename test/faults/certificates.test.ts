/** No certificate ends the process: keys, curves, names, extensions and sizes of every kind through every door, in processes of their own. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { NODE_FLAGS } from '../../config/tooling/bundle.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { untilTimeLimit } from '../fixtures/time-limit.ts';
import { type OddMaterial, oddMaterial } from './fixtures/odd-material.ts';

const PROGRAM = new URL('fixtures/certificate-doors-program.ts', import.meta.url).pathname;
const MAIN = resolve(import.meta.dirname, '../../src/main.ts');
const SEED = 20_261;
const MUTATIONS = 60;
const LIMIT_MS = 240_000;
const DOORS = [
  'CA of a kubeconfig',
  'client certificate of a kubeconfig',
  'pair file',
  'issued chain',
  "join's CA",
  'server of a kubeconfig',
  'server that anybody may be',
  'server that is looked at',
  'https proxy',
  'server of a discovery file',
  "server of join's CA",
];

const material = oddMaterial(SEED, MUTATIONS);
const folder = t.testdir({});
const list = join(folder, 'material.json');
writeFileSync(list, JSON.stringify(material));

interface Line {
  readonly name: string;
  readonly told?: string;
}

interface End {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Without blocking: a fake cluster in this process answers the program. */
function run(args: readonly string[]): Promise<End> {
  return new Promise((done) => {
    const child = spawn(process.execPath, args, {
      env: { PATH: process.env['PATH'] },
      timeout: LIMIT_MS,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const end = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (end.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (end.stderr += text));
    child.on('close', (status, signal) => done({ ...end, status, signal }));
  });
}

for (const door of DOORS) {
  t.test(`no certificate ends the process at the door: ${door}`, async (t) => {
    const { status, signal, stdout, stderr } = await run([...NODE_FLAGS, PROGRAM, door, list]);
    const lines = stdout.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
    const last = lines.at(-1)?.name ?? 'nothing';
    t.strictSame({ status, signal }, { status: 0, signal: null }, `at ${last}: ${stderr.slice(0, 500)}`);
    const told = lines.filter((line) => line.told !== undefined);
    t.equal(told.length, material.length, 'each was looked at');
    t.strictSame(
      told.filter((line) => !/^(taken|ERR_(?!INTERNAL)[A-Z_]+)$/.test(line.told ?? '')),
      [],
      'each was taken or has a code',
    );
    t.ok(
      told.some((line) => line.told !== 'taken'),
      'some are refused',
    );
  });
}

const byName = (name: string): OddMaterial => {
  const found = material.find((odd) => odd.name === name);
  if (found === undefined) throw new Error(`no material ${name}`);
  return found;
};
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const ca = createAuthority({ name: 'kubernetes' });

function kubeconfig(path: string, caPem: string, user: Readonly<Record<string, string>>): string {
  const document = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'x',
    clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:9', 'certificate-authority-data': base64(caPem) } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user }],
  };
  writeFileSync(path, JSON.stringify(document), { mode: 0o600 });
  return path;
}

/** The program itself, started once on a node's files. */
function once(at: string, bootstrap: string, timeout: string): Promise<End> {
  const flags = {
    'cert-dir': join(at, 'pki'),
    kubeconfig: join(at, 'kubelet.conf'),
    'bootstrap-kubeconfig': bootstrap,
    'runtime-dir': join(at, 'run'),
    'hostname-override': 'n1',
    'rotate-server-certificates': 'false',
    timeout,
  };
  return run([...NODE_FLAGS, MAIN, 'once', ...Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`)]);
}

const TOKEN = { token: 'abcdef.0123456789abcdef' };
for (const curve of ['secp256k1', 'brainpoolP256r1']) {
  const odd = byName(`curve ${curve}`);
  for (const [door, make] of Object.entries<(at: string) => string>({
    'client certificate': (at) =>
      kubeconfig(join(at, 'boot.conf'), ca.pem, {
        'client-certificate-data': base64(odd.certPem),
        'client-key-data': base64(odd.keyPem),
      }),
    CA: (at) => kubeconfig(join(at, 'boot.conf'), odd.certPem, TOKEN),
    'pair file': (at) => {
      mkdirSync(join(at, 'pki'));
      writeFileSync(join(at, 'pki/kubelet-client-2026-01-01-00-00-00.pem'), odd.certPem + odd.keyPem, { mode: 0o600 });
      return kubeconfig(join(at, 'boot.conf'), ca.pem, TOKEN);
    },
  })) {
    t.test(`certlet dies before its first log line on a key on ${curve}: ${door}`, async (t) => {
      const at = join(folder, `${curve} ${door}`);
      mkdirSync(at);
      const bootstrap = make(at);
      const { status, signal, stderr } = await untilTimeLimit(
        (limit) => once(at, bootstrap, limit),
        (ended) => ended.stderr.includes(curve) || ended.signal !== null,
      );
      t.equal(signal, null);
      t.match(String(status), /^(75|78)$/);
      t.match(stderr, curve);
    });
  }
}

t.test('certlet dies at every start once a chain with a key on brainpoolP256r1 was issued', async (t) => {
  const { certPem } = byName('curve brainpoolP256r1');
  const cluster = await startFakeCluster({ sign: (task) => task.issue().chainPem + certPem });
  t.teardown(() => cluster.close());
  const at = join(folder, 'issued');
  mkdirSync(at);
  const bootstrap = join(at, 'boot.conf');
  writeFileSync(bootstrap, cluster.bootstrapKubeconfig(), { mode: 0o600 });
  for (const start of [1, 2]) {
    const { signal, stdout, stderr } = await untilTimeLimit(
      (limit) => once(at, bootstrap, limit),
      (ended) => start > 1 || ended.stderr.includes('brainpoolP256r1') || ended.signal !== null,
    );
    t.equal(signal, null, `start ${String(start)}`);
    t.match(stdout + stderr, /\S/, 'something is said');
    if (start === 1) t.match(stderr, /brainpoolP256r1/);
  }
});

t.test('the certificates are such that Node itself dies of them', async (t) => {
  const text = `new (require('node:crypto').X509Certificate)(process.argv[1]).toLegacyObject()`;
  const { signal } = spawnSync(process.execPath, ['-e', text, '--', byName('curve brainpoolP256r1').certPem], {
    encoding: 'utf8',
  });
  t.equal(signal, 'SIGSEGV', 'where this fails Node is mended, and what avoids its fault may go');
});

t.teardown(() =>
  console.log(
    `# figure certificates through ${String(DOORS.length)} doors without a crash: ${String(material.length)}`,
  ),
);
