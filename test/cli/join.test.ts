import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { createDiscoveryFetch, type DiscoveryFetch } from '../../src/adapters/discovery-fetch.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import type { Sealer } from '../../src/adapters/systemd/sealer.ts';
import { joinCluster, joinedText, type ServiceReader } from '../../src/cli/join.ts';
import type { JoinArguments } from '../../src/cli/join-plan.ts';
import { caPinOf } from '../../src/discovery/ca-pin.ts';
import { CertletError } from '../../src/errors.ts';
import type { ClusterAccess } from '../../src/kubeconfig/client-config.ts';
import type { KubeconfigReading } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import {
  type ClusterInfoServer,
  type ClusterInfoServerOptions,
  clusterInfoBody,
  publicKubeconfig,
  startClusterInfoServer,
} from '../fixtures/cluster-info-server.ts';

const TOKEN = 'abcdef.0123456789abcdef';
const BASE: JoinArguments = {
  caCertHashes: [],
  unsafeSkipCaVerification: false,
  timeoutMs: 60_000,
  force: false,
  writeKubeconfig: false,
  seal: false,
};

const NO_SEALER: Sealer = {
  check: () => Promise.reject(new CertletError('ERR_USAGE', 'this host cannot seal')),
  seal: () => Promise.reject(new Error('sealed without being asked to')),
};

interface Run {
  readonly error: unknown;
  readonly told: readonly string[];
  readonly warned: readonly string[];
  readonly progress: readonly string[];
  readonly sleptMs: readonly number[];
  readonly path: string;
  readonly folder: string;
  /** Of the node's kubeconfig. */
  readonly writes: readonly { readonly cluster: ClusterAccess; readonly pairPath: string }[];
}

interface RunOptions {
  readonly folder?: string;
  readonly stdin?: string;
  readonly roll?: number;
  readonly existing?: { readonly server: string; readonly caPem?: string };
  readonly unusable?: boolean;
  readonly fetch?: DiscoveryFetch;
  readonly nodeReading?: KubeconfigReading;
  readonly kubeconfigPath?: string;
  readonly managed?: boolean;
  /** Text of the settings file. */
  readonly settings?: string;
  readonly kubeletUnit?: string;
  readonly service?: ServiceReader;
  readonly node?: { readonly server: string; readonly caPem: string };
}

async function run(t: Test, args: Partial<JoinArguments>, options: RunOptions = {}): Promise<Run> {
  const folder = options.folder ?? t.testdir({});
  const path = join(folder, 'etc', 'bootstrap-kubelet.conf');
  const settingsPath = join(folder, 'config.yaml');
  if (options.settings !== undefined) writeFileSync(settingsPath, options.settings);
  const told: string[] = [];
  const writes: { cluster: ClusterAccess; pairPath: string }[] = [];
  const warned: string[] = [];
  const progress: string[] = [];
  const sleptMs: number[] = [];
  let nowMs = Date.parse('2030-01-01T00:00:00Z');
  const reading = (file: string, cluster: RunOptions['existing']): KubeconfigReading => {
    if (cluster === undefined) return { kind: 'absent', path: file };
    const access = { ...cluster, insecureSkipTlsVerify: false };
    return {
      kind: 'usable',
      path: file,
      config: { source: file, cluster: access, credential: { kind: 'none' }, files: [], warnings: [] },
    };
  };
  const ports = {
    fetch: options.fetch ?? createDiscoveryFetch({}),
    fs: new NodeFileSystem(),
    clock: {
      now: () => new Date(nowMs),
      sleepUntil: async (deadline: Date) => {
        sleptMs.push(deadline.getTime() - nowMs);
        nowMs = deadline.getTime();
      },
    },
    chance: { roll: () => options.roll ?? 0 },
    progress: (text: string) => progress.push(text),
    warn: (line: string) => warned.push(line),
    readStdin: async () => options.stdin ?? '',
    sealer: NO_SEALER,
    letGroupRead: async (file: string, gid: number) => void progress.push(`${file} for group ${String(gid)}`),
  };
  const files = {
    bootstrapPath: path,
    kubeconfigs: {
      readBootstrap: async (): Promise<KubeconfigReading> =>
        options.unusable ? { kind: 'unusable', path, error: new Error('broken') } : reading(path, options.existing),
      readNode: async () => options.nodeReading ?? reading('/etc/kubernetes/kubelet.conf', options.node),
      writeNode: async (cluster: ClusterAccess, pairPath: string) => {
        writes.push({ cluster, pairPath });
        return true;
      },
    },
    node: {
      path: options.kubeconfigPath ?? '/etc/kubernetes/kubelet.conf',
      certDir: join(folder, 'pki'),
      stateDir: join(folder, 'pki/.certlet'),
      managed: options.managed ?? true,
      settingsPath,
      kubeletUnit: options.kubeletUnit ?? 'k3s-agent.service',
    },
    service: options.service,
    sealed: { sealed: join(folder, 'etc/sealed.cred'), opened: join(folder, 'opened.conf') },
  };
  let error: unknown;
  try {
    const joined = await joinCluster({ ...BASE, ...args }, files, ports, new AbortController().signal);
    told.push(...joinedText(joined).trimEnd().split('\n'));
  } catch (thrown) {
    error = thrown;
  }
  const texts = [
    ...told,
    ...warned,
    ...progress,
    String(error),
    error instanceof CertletError ? String(error.remedy) : '',
  ];
  t.notMatch(texts.join('\n'), /0123456789abcdef/, 'the token is nowhere in what is shown');
  return { error, told, warned, progress, sleptMs, path, folder, writes };
}

async function serve(t: Test, options: ClusterInfoServerOptions): Promise<ClusterInfoServer> {
  const server = await startClusterInfoServer(options);
  t.teardown(() => server.close());
  return server;
}

const good: ClusterInfoServerOptions['answer'] = (_count, kubeconfig) => clusterInfoBody(kubeconfig, [TOKEN]);
const stranger = createAuthority({ name: 'stranger' });
const pinOf = (server: ClusterInfoServer): string => caPinOf(new X509Certificate(server.authority.pem));

t.test('a pinned join writes a private bootstrap kubeconfig after two fetches', async (t) => {
  const server = await serve(t, { answer: good });
  const result = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server).toUpperCase()] },
    { stdin: `${TOKEN}\n` },
  );
  t.equal(result.error, undefined);
  t.equal(statSync(result.path).mode & 0o777, 0o600);
  t.match(parse(readFileSync(result.path, 'utf8')), {
    clusters: [{ name: 'kubernetes', cluster: { server: `https://${server.endpoint}` } }],
    users: [{ name: 'token-bootstrap-client', user: { token: TOKEN } }],
  });
  t.equal(server.requests.length, 2);
  for (const request of server.requests) {
    t.strictSame(request, { url: '/api/v1/namespaces/kube-public/configmaps/cluster-info', authorization: undefined });
  }
  t.strictSame(result.told, [
    `cluster: https://${server.endpoint}`,
    `cluster CA: ${pinOf(server)}`,
    `written: ${result.path}`,
    'next: systemctl enable --now certlet   (without systemd: certlet once)',
  ]);
  t.strictSame(result.warned, []);
  t.strictSame(readdirSync(join(result.folder, 'etc')), ['bootstrap-kubelet.conf'], 'nothing is left beside it');
});

for (const { name, gid, read, warned } of [
  { name: 'its group reads the file, whose mode is widened for nobody else', gid: 812, read: true, warned: [] },
  {
    name: 'one that this host does not have yet: told how, with one command',
    gid: undefined,
    read: false,
    warned: [
      /^warning: the service runs as certlet, .* could not read .*\n {2}fix: systemd-sysusers && chgrp certlet \S+ && chmod 640 \S+$/,
    ],
  },
]) {
  t.test(`a service with a user of its own could not read what join wrote: ${name}`, async (t) => {
    const server = await serve(t, { answer: good });
    const args = { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] };
    const result = await run(t, args, { stdin: TOKEN, service: { user: 'certlet', gid } });
    t.equal(result.error, undefined);
    t.equal(result.progress.includes(`${result.path} for group ${String(gid)}`), read);
    t.match(result.warned, warned);
    t.equal(result.warned.length, warned.length);
  });
}

t.test('a CA of an attacker who has the token does not come along with the pinned one', async (t) => {
  const intruder = createAuthority({ name: 'intruder' });
  const server = await serve(t, { answer: good, otherCas: [intruder] });
  const args = { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)], writeKubeconfig: true };
  const result = await run(t, args, { stdin: TOKEN });
  t.equal(result.error, undefined);
  const written = parse(readFileSync(result.path, 'utf8')) as {
    clusters: readonly { cluster: { 'certificate-authority-data': string } }[];
  };
  const data = written.clusters[0]?.cluster['certificate-authority-data'] ?? '';
  t.equal(Buffer.from(data, 'base64').toString(), server.authority.pem);
  t.equal(result.writes[0]?.cluster.caPem, server.authority.pem);
  t.match(result.told[1], `cluster CA: ${pinOf(server)}`);
  const pin = caPinOf(new X509Certificate(intruder.pem));
  t.match(result.warned, [`warning: CAs of the document that are not pinned are left out: ${pin}`]);
});

t.test('the second reading trusts nothing but what is pinned', async (t) => {
  const server = await serve(t, { answer: good, otherCas: [stranger], tlsAuthority: stranger });
  const args = { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] };
  const result = await run(t, args, { stdin: TOKEN });
  t.match(result.error, { code: 'ERR_API_TLS' });
  t.notOk(existsSync(result.path));
});

t.test('without pins, when spelled out, one fetch and a warning', async (t) => {
  const server = await serve(t, { answer: good });
  const result = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', unsafeSkipCaVerification: true },
    { stdin: TOKEN },
  );
  t.equal(result.error, undefined);
  t.equal(server.requests.length, 1);
  t.match(result.warned, ['warning: the CA is not pinned; whoever knows the token can pose as this cluster']);
});

t.test('a signature that comes late is waited for, 5 s at a time with jitter, and said once', async (t) => {
  const server = await serve(t, {
    answer: (count, kubeconfig) => clusterInfoBody(kubeconfig, count > 3 ? [TOKEN] : ['zzzzzz.0000000000000000']),
  });
  const result = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] },
    { stdin: TOKEN, roll: 0.5 },
  );
  t.equal(result.error, undefined);
  t.strictSame(result.sleptMs, [5750, 5750, 5750]);
  t.equal(result.progress.length, 1);
  t.match(result.progress[0], /^waiting: .*not signed for token id abcdef yet$/);
});

t.test('a signature that never comes ends in a time limit, with the command to look', async (t) => {
  const server = await serve(t, { answer: (_count, kubeconfig) => clusterInfoBody(kubeconfig, []) });
  const result = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)], timeoutMs: 12_000 },
    { stdin: TOKEN },
  );
  t.match(result.error, {
    code: 'ERR_TIMEOUT',
    message: /^gave up after 12 s; last: .*not signed/,
    remedy: /kubeadm token list/,
  });
  t.strictSame(result.sleptMs, [5000, 5000]);
  t.notOk(existsSync(result.path));
});

t.test('an API server that is still starting is waited for', async (t) => {
  const statuses = [503, 404, 429];
  const server = await serve(t, {
    answer: (count, kubeconfig) => {
      const status = statuses[count - 1];
      return status === undefined ? clusterInfoBody(kubeconfig, [TOKEN]) : { status, body: '{}' };
    },
  });
  const result = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] },
    { stdin: TOKEN },
  );
  t.equal(result.error, undefined);
  t.equal(result.progress.length, 3);
});

t.test('a server that takes the connection and is silent is not waited for without end', async (t) => {
  const silent = createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => void silent.close());
  silent.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.unref();
  });
  const { port } = silent.address() as AddressInfo;
  const fetch = createDiscoveryFetch({}, 50);
  await t.rejects(fetch(`https://127.0.0.1:${String(port)}/x`, { kind: 'unverified' }, new AbortController().signal), {
    code: 'ERR_API_UNREACHABLE',
    message:
      /^GET \/x at .*: no (?:whole answer in time \(TimeoutError\)|connection in time \(UND_ERR_CONNECT_TIMEOUT\))$/,
    remedy: /nc -vz/,
  });
  const stop = new AbortController();
  const stopped = fetch(`https://127.0.0.1:${String(port)}/x`, { kind: 'unverified' }, stop.signal);
  stop.abort(new Error('told to stop'));
  await t.rejects(stopped, { message: 'told to stop' });
});

t.test('an endpoint where nothing answers is tried until the time limit', async (t) => {
  const server = await serve(t, { answer: good });
  await server.close();
  const result = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)], timeoutMs: 6000 },
    { stdin: TOKEN },
  );
  t.match(result.error, { code: 'ERR_TIMEOUT', message: /ECONNREFUSED/, remedy: /nc -vz 127\.0\.0\.1 \d+/ });
});

interface Refusal {
  readonly name: string;
  readonly server: ClusterInfoServerOptions;
  readonly pin?: string;
  readonly code: string;
  readonly message: RegExp;
}
const REFUSALS: readonly Refusal[] = [
  {
    name: 'a token with another secret',
    server: { answer: (_, kubeconfig) => clusterInfoBody(kubeconfig, ['abcdef.aaaaaaaaaaaaaaaa']) },
    code: 'ERR_DISCOVERY',
    message: /does not match/,
  },
  {
    name: 'anonymous requests are off',
    server: { answer: () => ({ status: 401, body: '' }) },
    code: 'ERR_DISCOVERY',
    message: /401, anonymous/,
  },
  {
    name: 'anonymous requests are limited',
    server: { answer: () => ({ status: 403, body: '' }) },
    code: 'ERR_DISCOVERY',
    message: /403, anonymous/,
  },
  {
    name: 'a redirect is not followed',
    server: { answer: () => ({ status: 302, body: '' }) },
    code: 'ERR_DISCOVERY',
    message: /302, a redirect/,
  },
  {
    name: 'another CA than the pinned one',
    server: { answer: good },
    pin: `sha256:${'c0de'.repeat(16)}`,
    code: 'ERR_DISCOVERY',
    message: /none of the pinned/,
  },
  {
    name: 'a server certificate of another CA',
    server: { answer: good, tlsAuthority: stranger },
    code: 'ERR_API_TLS',
    message: /certificate/,
  },
  {
    name: 'a server certificate for another address',
    server: { answer: good, ipAddresses: ['127.0.0.2'] },
    code: 'ERR_API_TLS',
    message: /127\.0\.0\.1/,
  },
  {
    name: 'a server certificate that has expired',
    server: { answer: good, notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) },
    code: 'ERR_API_TLS_DATES',
    message: /expired/,
  },
  {
    name: 'a second document that differs by one byte',
    server: { answer: (count, kubeconfig) => clusterInfoBody(count === 1 ? kubeconfig : `${kubeconfig}\n`, [TOKEN]) },
    code: 'ERR_DISCOVERY',
    message: /differs from the one read first/,
  },
  {
    name: 'a document that is no YAML',
    server: { answer: () => clusterInfoBody('a: [', [TOKEN]) },
    code: 'ERR_DISCOVERY',
    message: /data\.kubeconfig:1:/,
  },
  {
    name: 'an answer without end',
    server: { answer: () => ({ status: 200, body: 'x'.repeat(3_000_000) }) },
    code: 'ERR_API_PROTOCOL',
    message: /larger than/,
  },
];
for (const row of REFUSALS) {
  t.test(`refused at once, nothing written: ${row.name}`, async (t) => {
    const server = await serve(t, row.server);
    const result = await run(
      t,
      { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [row.pin ?? pinOf(server)] },
      { stdin: TOKEN },
    );
    t.match(result.error, { code: row.code, message: row.message });
    t.strictSame(result.sleptMs, []);
    t.notOk(existsSync(result.path));
  });
}

t.test('a token on the command line works and is warned about', async (t) => {
  const server = await serve(t, { answer: good });
  const result = await run(t, { endpoint: server.endpoint, token: TOKEN, caCertHashes: [pinOf(server)] });
  t.equal(result.error, undefined);
  t.match(result.warned, [/process list/]);
});

t.test('a token file that others can read is warned about, a private one is not', async (t) => {
  const server = await serve(t, { answer: good });
  const folder = t.testdir({ token: `${TOKEN}\n` });
  const tokenFile = join(folder, 'token');
  for (const [mode, warnings] of [
    [0o644, 1],
    [0o600, 0],
  ] as const) {
    chmodSync(tokenFile, mode);
    const result = await run(t, { endpoint: server.endpoint, tokenFile, caCertHashes: [pinOf(server)] }, { folder });
    t.equal(result.error, undefined);
    t.equal(result.warned.length, warnings);
  }
});

const USAGE: readonly { readonly name: string; readonly args: Partial<JoinArguments>; readonly message: RegExp }[] = [
  { name: 'nothing', args: {}, message: /ENDPOINT is missing/ },
  { name: 'no token', args: { endpoint: 'a:1' }, message: /token is missing/ },
  { name: 'two tokens', args: { endpoint: 'a:1', token: TOKEN, tokenFile: 'x' }, message: /exclude each other/ },
  { name: 'no pin and no word about it', args: { endpoint: 'a:1', token: TOKEN }, message: /the CA is not pinned/ },
  {
    name: 'pin and no pin',
    args: { endpoint: 'a:1', token: TOKEN, caCertHashes: [`sha256:${'a'.repeat(64)}`], unsafeSkipCaVerification: true },
    message: /exclude each other/,
  },
  { name: 'endpoint and file', args: { endpoint: 'a:1', discoveryFile: 'x' }, message: /exclude each other/ },
  { name: 'file and pins', args: { discoveryFile: 'x', unsafeSkipCaVerification: true }, message: /brings the CA/ },
  {
    name: 'no such token file',
    args: { endpoint: 'a:1', tokenFile: '/nonexistent/token', unsafeSkipCaVerification: true },
    message: /no such file/,
  },
  {
    name: 'a bad token',
    args: { endpoint: 'a:1', tokenFile: '-', unsafeSkipCaVerification: true },
    message: /standard input: not a bootstrap token/,
  },
  { name: 'a discovery file over http', args: { discoveryFile: 'http://a/b' }, message: /only paths and https/ },
];
for (const row of USAGE) {
  t.test(`usage: ${row.name}`, async (t) => {
    t.match((await run(t, row.args)).error, { code: 'ERR_USAGE', message: row.message });
  });
}

t.test('a bootstrap kubeconfig of another cluster is not overwritten without --force', async (t) => {
  const server = await serve(t, { answer: good });
  const args = { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] };
  const existing = { server: 'https://old:6443', caPem: server.authority.pem };
  const refused = await run(t, args, { stdin: TOKEN, existing });
  t.match(refused.error, {
    code: 'ERR_DISCOVERY',
    message: /not overwritten: .*for https:\/\/old:6443$/,
    remedy: /certlet reset/,
  });
  t.notOk(existsSync(refused.path));
  const otherCa = await run(t, args, {
    stdin: TOKEN,
    existing: { server: `https://${server.endpoint}`, caPem: stranger.pem },
  });
  t.match(otherCa.error, { message: /with another CA$/ });
  const unusable = await run(t, args, { stdin: TOKEN, unusable: true });
  t.match(unusable.error, { message: /cannot be read as a kubeconfig/ });
  const forced = await run(t, { ...args, force: true }, { stdin: TOKEN, existing });
  t.equal(forced.error, undefined);
  t.match(forced.warned, [/^warning: replacing .*https:\/\/old:6443/]);
});

t.test('a bootstrap kubeconfig of the same server without a CA is of another cluster', async (t) => {
  const server = await serve(t, { answer: good });
  const { error } = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] },
    { stdin: TOKEN, existing: { server: `https://${server.endpoint}` } },
  );
  t.match(error, { code: 'ERR_DISCOVERY', message: /which is for https:.* with another CA/ });
});

t.test('the same cluster with a fresh token is simply written', async (t) => {
  const server = await serve(t, { answer: good });
  const existing = { server: `https://${server.endpoint}`, caPem: server.authority.pem };
  const result = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] },
    { stdin: TOKEN, existing },
  );
  t.equal(result.error, undefined);
  t.strictSame(result.warned, []);
  t.ok(existsSync(result.path));
});

t.test('a node kubeconfig of another cluster is pointed out', async (t) => {
  const server = await serve(t, { answer: good });
  const node = { server: 'https://old:6443', caPem: stranger.pem };
  const result = await run(
    t,
    { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] },
    { stdin: TOKEN, node },
  );
  t.equal(result.error, undefined);
  t.match(result.warned, [
    'warning: /etc/kubernetes/kubelet.conf, which is for https://old:6443\n  fix: certlet reset\n  why: joins this cluster anew',
  ]);
});

t.test('a discovery file gives server and CA; the token comes with it or by option', async (t) => {
  const bare = publicKubeconfig('https://10.9.8.7:6443', stranger.pem);
  const folder = t.testdir({
    bare,
    full: `${bare.replace('users: null\n', '')}users:\n- name: x\n  user: {token: some-other-token}\n`,
  });
  const missing = await run(t, { discoveryFile: join(folder, 'bare') }, { folder });
  t.match(missing.error, { code: 'ERR_USAGE', message: /--token-file is missing/ });
  const given = await run(t, { discoveryFile: join(folder, 'bare'), tokenFile: '-' }, { folder, stdin: TOKEN });
  t.equal(given.error, undefined);
  t.match(parse(readFileSync(given.path, 'utf8')), {
    clusters: [{ cluster: { server: 'https://10.9.8.7:6443' } }],
    users: [{ user: { token: TOKEN } }],
  });
  const full = await run(t, { discoveryFile: join(folder, 'full') }, { folder });
  t.equal(full.error, undefined);
  t.match(parse(readFileSync(full.path, 'utf8')), { users: [{ user: { token: 'some-other-token' } }] });
  const absent = await run(t, { discoveryFile: join(folder, 'absent') }, { folder });
  t.match(absent.error, { code: 'ERR_DISCOVERY', message: /no such file/ });
  writeFileSync(join(folder, 'broken'), 'a: [');
  t.match((await run(t, { discoveryFile: join(folder, 'broken') }, { folder })).error, { code: 'ERR_DISCOVERY' });
});

t.test('a discovery file behind a URL: what it says is taken, what its server refuses is told', async (t) => {
  const { pem } = createAuthority({ name: 'kubernetes' });
  const args = { discoveryFile: 'https://site.example/c.conf', tokenFile: '-' };
  const answers =
    (status: number): DiscoveryFetch =>
    async (url, trust) => {
      t.equal(url, args.discoveryFile);
      t.equal(trust.kind, 'system');
      return { status, body: publicKubeconfig('https://192.0.2.1:6443', pem) };
    };
  const taken = await run(t, args, { stdin: TOKEN, fetch: answers(200) });
  t.equal(taken.error, undefined);
  t.equal(taken.told[0], 'cluster: https://192.0.2.1:6443');
  const gone = await run(t, args, { stdin: TOKEN, fetch: answers(404) });
  t.match(gone.error, { code: 'ERR_DISCOVERY', message: /c\.conf: status 404$/, status: 404 });
  t.notOk(existsSync(gone.path));
});

t.test('a discovery file behind a URL is only believed over TLS that the system trusts', async (t) => {
  const server = await serve(t, { answer: good });
  const result = await run(t, { discoveryFile: `https://${server.endpoint}/cluster` });
  t.match(result.error, { code: 'ERR_API_TLS' });
});

t.test('a join that was killed leaves no token: the next one sweeps its temporary file', async (t) => {
  const server = await serve(t, { answer: good });
  const folder = t.testdir({ etc: { '.bootstrap-kubelet.conf.0123456789abcdef.certlet-tmp': 'token' } });
  const args = { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)] };
  const result = await run(t, args, { stdin: TOKEN, folder });
  t.equal(result.error, undefined);
  t.strictSame(readdirSync(join(folder, 'etc')), ['bootstrap-kubelet.conf']);
});

t.test('--seal on a host that cannot seal asks nobody and writes nothing', async (t) => {
  const server = await serve(t, { answer: good });
  const args = { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)], seal: true };
  const { error, path } = await run(t, args, { stdin: TOKEN });
  t.match(error, { code: 'ERR_USAGE', message: 'this host cannot seal' });
  t.equal(server.requests.length, 0);
  t.notOk(existsSync(path));
});

t.test("--write-kubeconfig writes the node's kubeconfig too, and says how to close it to the service", async (t) => {
  const server = await serve(t, { answer: good });
  const args = { endpoint: server.endpoint, tokenFile: '-', caCertHashes: [pinOf(server)], writeKubeconfig: true };
  const { error, writes, told, folder } = await run(t, args, { stdin: TOKEN });
  t.equal(error, undefined);
  t.match(writes, [
    { cluster: { server: `https://${server.endpoint}` }, pairPath: join(folder, 'pki/kubelet-client-current.pem') },
  ]);
  const next = told.at(-1) ?? '';
  t.match(next, /manageKubeconfig: false/);
  t.match(next, /certlet-once\.service\.d .*10-kubeconfig-by-root\.conf/);
  t.match(next, /systemctl restart k3s-agent\.service/, "the kubelet's unit of the settings");
});

const NEW_CLUSTER = { server: 'https://new:6443', caPem: createAuthority({ name: 'new' }).pem };

for (const { name, settings, appended } of [
  { name: 'without a settings file', settings: undefined, appended: true },
  { name: 'beside other settings', settings: 'nodeIp: 192.0.2.1\n', appended: true },
  { name: 'that are JSON', settings: '{"nodeIp": "192.0.2.1"}\n', appended: false },
  { name: 'that say true', settings: 'manageKubeconfig: true\n', appended: false },
  { name: 'whose last line has no end', settings: 'nodeIp: 192.0.2.1', appended: false },
]) {
  t.test(`the line that leaves the kubeconfig to root breaks no settings: ${name}`, async (t) => {
    const found = await run(t, { writeKubeconfig: true }, { existing: NEW_CLUSTER, ...(settings && { settings }) });
    t.equal(found.error, undefined);
    t.equal(found.told.at(-1)?.includes('>>'), appended);
    const path = join(found.folder, 'config.yaml');
    t.strictSame(found.warned, appended ? [] : [`warning: first set manageKubeconfig: false in ${path}, by hand`]);
  });
}

t.test("a kubelet's unit with a backslash in its name is told as one word of a shell", async (t) => {
  const kubeletUnit = 'kubelet-a\\x2db.service';
  const { told } = await run(t, { writeKubeconfig: true }, { existing: NEW_CLUSTER, managed: false, kubeletUnit });
  t.match(told.at(-1), `systemctl restart '${kubeletUnit}'`);
});

t.test('--write-kubeconfig alone goes by the bootstrap kubeconfig and needs no token', async (t) => {
  const { error, writes, told } = await run(t, { writeKubeconfig: true }, { existing: NEW_CLUSTER, managed: false });
  t.equal(error, undefined);
  t.match(writes, [{ cluster: NEW_CLUSTER }]);
  t.match(told.at(-1), /^next: systemctl restart k3s-agent\.service /);
});

for (const row of [
  { name: 'there is no bootstrap kubeconfig', options: {}, code: 'ERR_CREDENTIAL_MISSING' },
  { name: 'the bootstrap kubeconfig cannot be used', options: { unusable: true }, code: undefined },
  {
    name: 'the service writes the folder of the kubeconfig',
    options: { existing: NEW_CLUSTER, inPki: true },
    code: 'ERR_CONFIG_INVALID',
  },
  {
    name: "the file holds the node's only certificate",
    options: {
      existing: NEW_CLUSTER,
      nodeReading: {
        kind: 'usable',
        path: '/etc/kubernetes/kubelet.conf',
        config: {
          source: '',
          cluster: { ...NEW_CLUSTER, insecureSkipTlsVerify: false },
          credential: { kind: 'certificate', chainPem: '', keyPem: new Secret('') },
          files: [],
          warnings: [],
        },
      } as const,
    },
    code: 'ERR_DISCOVERY',
  },
] as const) {
  t.test(`--write-kubeconfig writes nothing where ${row.name}`, async (t) => {
    const folder = t.testdir({});
    const inPki = 'inPki' in row.options ? { kubeconfigPath: join(folder, 'pki/kubelet.conf') } : {};
    const { error, writes } = await run(t, { writeKubeconfig: true }, { ...row.options, ...inPki, folder });
    t.ok(error instanceof Error);
    if (row.code !== undefined) t.match(error, { code: row.code });
    t.strictSame(writes, []);
  });
}
