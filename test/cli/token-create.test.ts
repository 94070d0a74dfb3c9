/** `certlet token create`: what is made, written and told, in which order, and what is left when something fails. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import type { TokenCreateArguments } from '../../src/cli/command.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { runToken } from '../../src/cli/commands/token.ts';
import { createTokens, type MadeToken, printedLines, type TokenPorts, wishesOf } from '../../src/cli/token.ts';
import { CertletError } from '../../src/errors.ts';
import { bindingGroup } from '../../src/token/binding.ts';
import { adminHost, fakeCluster } from '../approve/world.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { kubeconfigText } from '../fixtures/cluster/kubeconfig-text.ts';
import { FakeClusterApi } from '../fixtures/fakes/cluster-api.ts';

const NOW = new Date('2030-01-01T12:00:00Z');
const { signal } = new AbortController();
const [authority, other] = [createAuthority({ name: 'kubernetes' }), createAuthority({ name: 'next' })];
const KUBEADM = 'system:bootstrappers:kubeadm:default-node-token';

const ARGS: TokenCreateArguments = {
  name: 'token',
  action: 'create',
  output: 'text',
  nodes: [],
  ttlMs: 0,
  once: false,
  groups: [],
  description: undefined,
  writeFolder: undefined,
  showToken: false,
  printSecret: false,
  printCsv: false,
  access: { kubeconfig: undefined, context: undefined },
};

/** Letters in order: `abcdef`, then what of a count is left. */
const ports = (): TokenPorts => ({
  random: (count) => Uint8Array.from({ length: count }, (_, index) => index),
  now: NOW,
  fs: new NodeFileSystem(),
});

function folderFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const access = (parts: object = {}) => ({
  server: 'https://192.0.2.10:6443',
  caPem: authority.pem,
  insecureSkipTlsVerify: false,
  ...parts,
});

async function made(...parts: Parameters<typeof createTokens>): Promise<readonly MadeToken[]> {
  const tokens: MadeToken[] = [];
  for await (const token of createTokens(...parts)) tokens.push(token);
  return tokens;
}

for (const { name, args, wishes } of [
  {
    name: 'one for any node that does not end',
    args: {},
    wishes: [{ nodeName: undefined, expiresAt: undefined, groups: [KUBEADM], description: undefined, once: false }],
  },
  {
    name: 'one for any node in a group of its own',
    args: { groups: ['system:bootstrappers:x'], ttlMs: 1000, description: 'd' },
    wishes: [
      {
        nodeName: undefined,
        expiresAt: new Date('2030-01-01T12:00:01Z'),
        groups: ['system:bootstrappers:x'],
        description: 'd',
        once: false,
      },
    ],
  },
  {
    name: 'one a node, told by its name',
    args: { nodes: ['n1', 'n2'], once: true },
    wishes: ['n1', 'n2'].map((nodeName) => ({
      nodeName,
      expiresAt: undefined,
      groups: ['system:bootstrappers:certlet-bound', bindingGroup(nodeName)],
      description: `certlet: for the node ${nodeName}`,
      once: true,
    })),
  },
  {
    name: 'a description that was given goes before the name',
    args: { nodes: ['n1'], description: '' },
    wishes: [{ nodeName: 'n1', description: '' }],
  },
]) {
  t.test(`wishes: ${name}`, async (t) => {
    const found = wishesOf({ ...ARGS, ...args }, NOW);
    t.equal(found.length, wishes.length);
    t.match(found, wishes);
  });
}

t.test('lines of a static token file: one for any node has no name behind its user', async (t) => {
  const lines = printedLines(ARGS, ports()).map((line) => line.reveal());
  t.strictSame(lines, [`abcdefghijklmnopqrstuvwxyz012345,certlet-bootstrap,certlet-bootstrap,"${KUBEADM}"`]);
});

const PIN = '--discovery-token-ca-cert-hash sha256:[0-9a-f]{64}';

for (const { name, cluster, join: line } of [
  { name: 'an address and one CA', cluster: {}, join: `^certlet join 192.0.2.10:6443 --token-file - ${PIN}$` },
  {
    name: 'a host without a port',
    cluster: { server: 'https://api.example' },
    join: `^certlet join api.example --token-file - ${PIN}$`,
  },
  {
    name: 'IPv6, which a shell reads as a pattern',
    cluster: { server: 'https://[2001:db8::1]:6443' },
    join: `^certlet join '\\[2001:db8::1\\]:6443' --token-file - ${PIN}$`,
  },
  {
    name: 'two CAs, one of them twice: each hash once',
    cluster: { caPem: `${authority.pem}${other.pem}${authority.pem}` },
    join: `^certlet join 192.0.2.10:6443 --token-file - ${PIN} ${PIN}$`,
  },
  {
    name: 'a bundle with what is no certificate',
    cluster: { caPem: `# note\n${authority.pem}-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n` },
    join: `^certlet join 192.0.2.10:6443 --token-file - ${PIN}$`,
  },
]) {
  t.test(`the line for the node: ${name}`, async (t) => {
    const api = new FakeClusterApi(() => ({}));
    const [token] = await made(ARGS, { api, cluster: access(cluster) }, ports(), signal);
    t.match(token?.join, new RegExp(line, 'v'));
    t.strictSame(Object.keys(token ?? {}), ['id', 'groups', 'join'], 'what there is not is left out');
  });
}

t.test('a kubeconfig without a CA makes nothing: nodes could not know their cluster', async (t) => {
  const api = new FakeClusterApi(() => ({}));
  const folder = folderFor(t);
  await t.rejects(
    made({ ...ARGS, writeFolder: folder }, { api, cluster: access({ caPem: undefined }) }, ports(), signal),
    {
      code: 'ERR_KUBECONFIG_INVALID',
      message: 'the kubeconfig has no CA, which nodes need to know their cluster by',
      remedy: /certificate-authority/,
    },
  );
  t.strictSame(api.asked, []);
  t.strictSame(readdirSync(folder), []);
});

t.test('the file is on the disk, 0600, before the cluster knows the token', async (t) => {
  const folder = join(folderFor(t), 'deep', 'below');
  const path = join(folder, 'bootstrap-kubelet.conf');
  const api = new FakeClusterApi(() => {
    t.equal(statSync(path).mode & 0o777, 0o600);
    return {};
  });
  const [token] = await made({ ...ARGS, writeFolder: folder }, { api, cluster: access() }, ports(), signal);
  t.equal(token?.file, path);
  t.equal(token?.token, undefined, 'only where it was asked for');
  t.match(parse(readFileSync(path, 'utf8')), {
    clusters: [{ cluster: { server: 'https://192.0.2.10:6443' } }],
    users: [{ user: { token: 'abcdef.abcdefghijklmnop' } }],
  });
  t.match(api.asked, [{ method: 'POST', path: '/api/v1/namespaces/kube-system/secrets', body: { kind: 'Secret' } }]);
});

t.test('when the second of three is refused, its file goes, the first stays, and the third is not tried', async (t) => {
  const folder = folderFor(t);
  const refusal = new CertletError('ERR_API_FORBIDDEN', 'no');
  const api = new FakeClusterApi(() => {
    if (api.asked.length === 2) throw refusal;
    return {};
  });
  const args = { ...ARGS, nodes: ['n1', 'n2', 'n3'], writeFolder: folder };
  await t.rejects(made(args, { api, cluster: access() }, ports(), signal), { code: 'ERR_API_FORBIDDEN' });
  t.strictSame(readdirSync(folder), ['n1.conf']);
  t.equal(api.asked.length, 2);
});

t.test('a file that cannot be written asks nothing of the cluster', async (t) => {
  const folder = folderFor(t);
  mkdirSync(join(folder, 'n1.conf'));
  const api = new FakeClusterApi(() => ({}));
  const args = { ...ARGS, nodes: ['n1'], writeFolder: folder };
  await t.rejects(made(args, { api, cluster: access() }, ports(), signal), { code: 'ERR_STORE_IO' });
  t.strictSame(api.asked, []);
});

t.test('a refused token leaves the file of the former one as it was; it was removed', async (t) => {
  const folder = folderFor(t);
  const path = join(folder, 'n1.conf');
  writeFileSync(path, 'former', { mode: 0o600 });
  const api = new FakeClusterApi(() => {
    t.match(readFileSync(path, 'utf8'), /abcdef\.abcdefghijklmnop/);
    throw new CertletError('ERR_API_FORBIDDEN', 'no');
  });
  const args = { ...ARGS, nodes: ['n1'], writeFolder: folder };
  await t.rejects(made(args, { api, cluster: access() }, ports(), signal), { code: 'ERR_API_FORBIDDEN' });
  t.equal(readFileSync(path, 'utf8'), 'former');
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.strictSame(readdirSync(folder), ['n1.conf']);
});

t.test('a file that cannot be removed does not hide why the token was refused', async (t) => {
  const folder = folderFor(t);
  const path = join(folder, 'n1.conf');
  const api = new FakeClusterApi(() => {
    rmSync(path);
    mkdirSync(path);
    throw new CertletError('ERR_API_FORBIDDEN', 'no', { remedy: '# Ask.' });
  });
  const args = { ...ARGS, nodes: ['n1'], writeFolder: folder };
  await t.rejects(made(args, { api, cluster: access() }, ports(), signal), {
    code: 'ERR_API_FORBIDDEN',
    message:
      /^no; .*n1\.conf holds a token that was not made and could not be taken back: .*n1\.conf.*\((?:EISDIR|EPERM)\)$/,
    remedy: '# Ask.',
  });
});

async function run(t: Test, args: Partial<TokenCreateArguments>) {
  const cluster = await fakeCluster(t);
  const { host, admin } = adminHost(t, cluster);
  const { context, stdout, stderr } = host.session();
  const command = { ...ARGS, ...args, access: { kubeconfig: admin, context: undefined } };
  const code = await runToken(context, command);
  return { code, out: stdout.text, err: stderr.text, cluster, context, admin, stdout, host };
}

for (const { name, args, says } of [
  {
    name: 'any node, without end',
    args: { showToken: true },
    says: /^token [a-z0-9]{6}, for any node, does not end\n/,
  },
  {
    name: 'a node, with an end',
    args: { showToken: true, nodes: ['n1'], ttlMs: 60_000 },
    says: /^token [a-z0-9]{6} for the node n1, until \d{4}-\d\d-\d\dT[\d:.]+Z\n {2}token: [a-z0-9]{6}\.[a-z0-9]{16}\n {2}certlet join /,
  },
  {
    name: 'two of them, an empty line between',
    args: { showToken: true, nodes: ['n1', 'n2'] },
    says: /standard input\n\ntoken [a-z0-9]{6} for the node n2, does not end\n/,
  },
]) {
  t.test(`the answer for a person: ${name}`, async (t) => {
    const { code, out, err } = await run(t, args);
    t.equal(code, 0);
    t.match(out, says);
    t.equal(err, '');
  });
}

for (const { output, read } of [
  { output: 'json', read: JSON.parse as (text: string) => unknown },
  { output: 'yaml', read: parse as (text: string) => unknown },
] as const) {
  for (const showToken of [true, false]) {
    t.test(
      `${output} ${showToken ? 'with' : 'without'} --show-token, and the list and the deletion after it`,
      async (t) => {
        const { out, cluster, context, admin, stdout } = await run(t, { output, showToken, nodes: ['n1'] });
        const { version, tokens } = read(out) as { version: number; tokens: Record<string, unknown>[] };
        t.equal(version, 1);
        t.match(tokens, [{ node: 'n1', id: /^[a-z0-9]{6}$/ }]);
        t.equal('token' in (tokens[0] ?? {}), showToken);
        const more = { name: 'token', output, access: { kubeconfig: admin, context: undefined } } as const;
        stdout.text = '';
        t.equal(await runToken(context, { ...more, action: 'list' }), 0);
        t.match(read(stdout.text), { tokens: [{ id: tokens[0]?.['id'], nodeName: 'n1', once: false }] });
        stdout.text = '';
        t.equal(await runToken(context, { ...more, action: 'delete', ids: [String(tokens[0]?.['id'])] }), 0);
        t.strictSame(read(stdout.text), { version: 1, deleted: [tokens[0]?.['id']] });
        t.equal(cluster.secrets.length, 0);
      },
    );
  }
}

for (const { output, read } of [
  { output: 'text', read: (text: string): unknown => [...text.matchAll(/ node (n\d)/g)].map(([, node]) => ({ node })) },
  { output: 'json', read: (text: string): unknown => (JSON.parse(text) as { tokens: unknown }).tokens },
] as const) {
  t.test(`nothing told which tokens were made before the one that failed (${output})`, async (t) => {
    const cluster = await fakeCluster(t);
    const { host, admin } = adminHost(t, cluster);
    const { context, stdout } = host.session();
    const access = { kubeconfig: admin, context: undefined };
    const writeFolder = folderFor(t);
    mkdirSync(join(writeFolder, 'n3.conf'));
    const command = { ...ARGS, output, nodes: ['n1', 'n2', 'n3'], writeFolder, access };
    await t.rejects(runToken(context, command), { code: 'ERR_STORE_IO' });
    t.match(read(stdout.text), [{ node: 'n1' }, { node: 'n2' }]);
    const ids = cluster.secrets.map(({ name }) => name.slice(-6));
    t.equal(ids.length, 2);
    for (const id of ids) t.ok(stdout.text.includes(id));
  });

  t.test(`nothing told which tokens were deleted before one that is not there (${output})`, async (t) => {
    const { out, context, admin, stdout } = await run(t, { output: 'json' });
    const [token] = (JSON.parse(out) as { tokens: { id: string }[] }).tokens;
    const id = token?.id ?? '';
    stdout.text = '';
    const access = { kubeconfig: admin, context: undefined };
    const command = { name: 'token', action: 'delete', output, ids: [id, 'zzzzzz'], access } as const;
    await t.rejects(runToken(context, command), { code: 'ERR_API_NOT_FOUND' });
    if (output === 'text') t.equal(stdout.text, `deleted: ${id}\n`);
    else t.strictSame(JSON.parse(stdout.text), { version: 1, deleted: [id] });
  });
}

t.test('a token that was named twice was deleted, and then told as one that is not there', async (t) => {
  const { out, context, admin, stdout } = await run(t, { output: 'json' });
  const [token] = (JSON.parse(out) as { tokens: { id: string }[] }).tokens;
  const id = token?.id ?? '';
  stdout.text = '';
  const access = { kubeconfig: admin, context: undefined };
  const ids = [id, id, `${id}.0123456789abcdef`];
  t.equal(await runToken(context, { name: 'token', action: 'delete', output: 'text', ids, access }), 0);
  t.equal(stdout.text, `deleted: ${id}\n`);
});

t.test('nothing is told where the first token fails', async (t) => {
  const { host, admin } = adminHost(t, await fakeCluster(t));
  const { context, stdout } = host.session();
  const writeFolder = folderFor(t);
  mkdirSync(join(writeFolder, 'n1.conf'));
  const access = { kubeconfig: admin, context: undefined };
  const command = { ...ARGS, output: 'json', nodes: ['n1', 'n2'], writeFolder, access } as const;
  await t.rejects(runToken(context, command), { code: 'ERR_STORE_IO' });
  t.equal(stdout.text, '');
});

t.test(
  '--write said where the file goes, and not what joins the node: the line it tells does, on the node',
  async (t) => {
    const folder = folderFor(t);
    const { out, host, cluster } = await run(t, { writeFolder: folder, nodes: ['n1'] });
    const path = join(folder, 'n1.conf');
    t.match(out, `  bootstrap kubeconfig: ${path}   # holds the token: copy it to the node, 0600\n`);
    const [, file = '', removed] = /^ {2}certlet join --discovery-file (\S+) && rm (\S+) {3}#/m.exec(out) ?? [];
    t.strictSame([file, removed], ['n1.conf', 'n1.conf'], 'the name that it has wherever it was copied to');
    t.notMatch(out, /--token-file/, 'the file holds the token');
    const { stdout, context } = host.session();
    const args = {
      caCertHashes: [],
      unsafeSkipCaVerification: false,
      timeoutMs: 1_000,
      force: false,
      writeKubeconfig: false,
      seal: false,
      discoveryFile: join(folder, file),
    };
    t.equal(await dispatch({ name: 'join', output: 'json', join: args }, context), 0);
    const { written } = JSON.parse(stdout.text) as { readonly written: string };
    const userOf = (at: string): unknown =>
      (parse(readFileSync(at, 'utf8')) as { readonly users: readonly { readonly user: unknown }[] }).users[0]?.user;
    t.strictSame(userOf(written), userOf(path));
    t.match(parse(readFileSync(written, 'utf8')), { clusters: [{ cluster: { server: cluster.url } }] });
  },
);

t.test('the line for a token of any node, whose file was given a folder with a blank', async (t) => {
  const folder = join(folderFor(t), 'my tokens');
  const { out } = await run(t, { writeFolder: folder });
  t.match(out, `  certlet join --discovery-file bootstrap-kubelet.conf && rm bootstrap-kubelet.conf   # on the node`);
});

t.test(
  'a certificate of the CA bundle that cannot be used is told on standard error, and the answer stays a document',
  async (t) => {
    const cluster = await fakeCluster(t);
    const { host, admin } = adminHost(t, cluster);
    const { context, stderr, stdout } = host.session();
    const { chainPem, keyPem } = cluster.clientCa.issue({ commonName: 'admin', organizations: ['system:masters'] });
    const text = kubeconfigText({
      server: cluster.url,
      caPem: `${cluster.serverCa.pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      clientCertificatePem: chainPem,
      clientKeyPem: keyPem,
    });
    writeFileSync(admin, text, { mode: 0o600 });
    const access = { kubeconfig: admin, context: undefined };
    t.equal(await runToken(context, { name: 'token', action: 'list', output: 'json', access }), 0);
    t.match(stderr.text, /^certlet: .*certificate-authority-data/);
    t.strictSame(JSON.parse(stdout.text), { version: 1, tokens: [] });
  },
);
