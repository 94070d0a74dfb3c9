/** `certlet token` against the fake cluster, and what a bound token can have. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseAllDocuments } from 'yaml';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { runToken } from '../../src/cli/commands/token.ts';
import { parseKubeconfig } from '../../src/kubeconfig/codec.ts';
import { bindingGroup } from '../../src/token/binding.ts';
import { decodeToken, letters, newToken } from '../../src/token/bootstrap-token-object.ts';
import { groupsFor, isTokenGroup } from '../../src/token/groups.ts';
import { adminHost, fakeCluster } from '../approve/world.ts';
import type { FakeCluster } from '../fixtures/cluster/fake-cluster.ts';

async function run(t: Test, cluster: FakeCluster, ...words: readonly string[]) {
  const { host, admin } = adminHost(t, cluster);
  const { context, stdout, stderr } = host.session();
  const line = await parseCommandLine([
    'token',
    ...words.map((word) => word.replace('@', `${host.folder}/`)),
    '--kubeconfig',
    admin,
  ]);
  if (line.kind === 'wrong') return { code: 64, out: '', err: line.problems.join('\n'), folder: host.folder };
  if (line.kind !== 'command' || line.command.name !== 'token') throw new Error(line.kind);
  const code = await runToken(context, line.command);
  return { code, out: stdout.text, err: stderr.text, folder: host.folder };
}

const secretsOf = (cluster: FakeCluster) =>
  cluster.secrets.map(({ fields }) => fields as { data: Record<string, string> });
const plain = (text: string | undefined): string => Buffer.from(text ?? '', 'base64').toString();

t.test('create --node --write: a Secret as kubeadm makes it, and a kubeconfig that only its owner reads', async (t) => {
  const cluster = await fakeCluster(t);
  const { code, out, folder } = await run(
    t,
    cluster,
    'create',
    '--node',
    'n1,n2.example',
    '--ttl',
    '1h',
    '--once',
    '--write',
    '@tokens',
  );
  t.equal(code, 0);
  const found = secretsOf(cluster);
  t.equal(found.length, 2);
  for (const { data } of found) {
    t.match(plain(data['token-id']), /^[a-z0-9]{6}$/);
    t.match(plain(data['token-secret']), /^[a-z0-9]{16}$/);
    t.match(plain(data['expiration']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    t.equal(plain(data['usage-bootstrap-authentication']), 'true');
    t.notMatch(out, plain(data['token-secret']), 'the token is shown nowhere');
  }
  t.match(found.map(({ data }) => plain(data['auth-extra-groups'])).join(' '), bindingGroup('n2.example'));
  const path = join(folder, 'tokens/n2.example.conf');
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(statSync(join(folder, 'tokens')).mode & 0o777, 0o700);
  const { cluster: entry, user } = parseKubeconfig(readFileSync(path, 'utf8'), path);
  t.equal(entry.server, cluster.url);
  t.match(user, { kind: 'token' });
});

t.test('create --show-token shows it with the line for join', async (t) => {
  const cluster = await fakeCluster(t);
  const { out } = await run(t, cluster, 'create', '--node', 'n1', '--show-token');
  const secret = plain(secretsOf(cluster)[0]?.data['token-secret']);
  t.match(out, new RegExp(`token: [a-z0-9]{6}\\.${secret}`));
  t.match(out, /certlet join 127.0.0.1:\d+ --token-file - --discovery-token-ca-cert-hash sha256:[0-9a-f]{64}/);
});

t.test('create without a place for the token makes none', async (t) => {
  const cluster = await fakeCluster(t);
  const { code, err } = await run(t, cluster, 'create', '--node', 'n1');
  t.equal(code, 64);
  t.match(err, /say where the token goes/);
  t.equal(cluster.secrets.length, 0);
});

t.test('a token that the API server does not take leaves no file', async (t) => {
  const cluster = await fakeCluster(t);
  cluster.faults.add({ kind: 'status', code: 403 }, { resource: 'secrets' });
  await t.rejects(run(t, cluster, 'create', '--node', 'n1', '--write', '@tokens'), { code: 'ERR_API_FORBIDDEN' });
});

t.test('--print-secret and --print-csv print and change nothing', async (t) => {
  const cluster = await fakeCluster(t);
  const { out } = await run(t, cluster, 'create', '--node', 'n1', '--node', 'n2', '--print-secret');
  const objects = parseAllDocuments(out).map((document) => document.toJS() as Record<string, unknown>);
  t.match(objects, [{ kind: 'Secret', type: 'bootstrap.kubernetes.io/token' }, { kind: 'Secret' }]);
  t.match(decodeToken(objects[0]), {
    nodeName: 'n1',
    groups: groupsFor('n1', []),
    usages: ['authentication', 'signing'],
  });
  const csv = await run(t, cluster, 'create', '--node', 'n1', '--print-csv');
  t.match(
    csv.out,
    /^[a-z0-9]{32},certlet-bootstrap:n1,certlet-bootstrap:n1,"system:bootstrappers:certlet-bound,system:bootstrappers:certlet-node:[0-9a-f]{32}"\n$/,
  );
  t.match(csv.err, /--token-auth-file/);
  t.equal(cluster.requests.length, 0);
});

t.test('a Node that is called by its address got no token', async (t) => {
  const cluster = await fakeCluster(t);
  const { out } = await run(t, cluster, 'create', '--node', '192.0.2.1', '--print-secret');
  t.match(decodeToken(parseAllDocuments(out)[0]?.toJS()), {
    nodeName: '192.0.2.1',
    groups: groupsFor('192.0.2.1', []),
  });
});

t.test('list has the id, the node and the requests, and never the token; delete deletes', async (t) => {
  const cluster = await fakeCluster(t);
  await run(t, cluster, 'create', '--node', 'n1', '--once', '--print-secret');
  await run(t, cluster, 'create', '--node', 'n1', '--once', '--show-token');
  const data = secretsOf(cluster)[0]?.data ?? { 'token-id': '' };
  const id = plain(data['token-id']);
  const { out } = await run(t, cluster, 'list');
  t.match(
    out,
    new RegExp(
      `^TOKEN +TTL +EXPIRES +USAGES +DESCRIPTION +EXTRA GROUPS +NODE +REQUESTS\\n${id} +\\d+ hours.* n1 \\(once\\) +-\\n$`,
    ),
  );
  t.notMatch(out, plain(data['token-secret']));
  t.match(JSON.parse((await run(t, cluster, 'list', '--output', 'json')).out), { tokens: [{ id, nodeName: 'n1' }] });
  t.match((await run(t, cluster, 'delete', id)).out, `deleted: ${id}`);
  t.equal(cluster.secrets.length, 0);
  await t.rejects(run(t, cluster, 'delete', id), { code: 'ERR_API_NOT_FOUND' });
});

for (const row of [
  { words: ['create', '--node', 'No_Name', '--show-token'], says: /"no_name" is not the name of a Node/ },
  { words: ['create', '--groups', 'system:bootstrappers:a.b', '--show-token'], says: /groups of tokens are/ },
  { words: ['delete'], says: /say which/ },
  { words: ['list', 'abcdef'], says: /list takes none/ },
  { words: ['list', '--once'], says: /takes no flags of create/ },
  { words: ['nonsense'], says: /expected one of create, list, delete/ },
]) {
  t.test(`refused: token ${row.words.join(' ')}`, async (t) => {
    const { code, err } = await run(t, await fakeCluster(t), ...row.words);
    t.equal(code, 64);
    t.match(err, row.says);
  });
}

t.test('letters of a token are each as likely, and bytes that would spoil that are left out', async (t) => {
  t.equal(
    letters(3, () => Uint8Array.of(0, 252, 255, 35, 36)),
    'a9a',
  );
  const { id, secret } = newToken((count) => Uint8Array.from({ length: count }, (_, index) => index));
  t.equal(`${id}.${secret.reveal()}`, 'abcdef.abcdefghijklmnop');
});

t.test('groups that the API server takes for tokens', async (t) => {
  for (const group of groupsFor('node.example.com', [])) t.ok(isTokenGroup(group), group);
  for (const group of ['system:masters', 'system:bootstrappers:', 'system:bootstrappers:A', 'system:bootstrappers:a-'])
    t.notOk(isTokenGroup(group), group);
});
