/** First client certificates for bound tokens, and what becomes of a token that was made with --once. */
import t, { type Test } from 'tap';
import type { ApproveArguments } from '../../src/cli/command.ts';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { bindingGroup } from '../../src/token/binding.ts';
import { CLIENT_SIGNER } from '../../src/approve/settings.ts';
import type { FakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { defaultBindings } from '../fixtures/cluster/roles.ts';
import { CLIENT_USAGES } from './requests.ts';
import { adminHost, ask, conditionOf, fakeCluster, SELF_NODE_SERVER } from './world.ts';

async function start(t: Test, cluster: FakeCluster, ...words: readonly string[]) {
  const approve = { clientBootstrap: 'bound', deleteTokens: true };
  const { host, admin } = adminHost(t, cluster, { approve, log: { format: 'text' } });
  const { context, stderr, stop } = host.session();
  const line = await parseCommandLine([...words, '--kubeconfig', admin]);
  if (line.kind !== 'command') throw new Error(line.kind);
  const command =
    line.command.name === 'approve'
      ? ({ ...line.command, settingsPath: host.settingsPath } satisfies ApproveArguments)
      : line.command;
  const running = dispatch(command, context);
  const end = async (): Promise<number> => {
    stop.abort();
    return running;
  };
  t.teardown(end);
  return { log: stderr, running };
}

function askByToken(cluster: FakeCluster, name: string, id: string, bound: string): void {
  ask(cluster, name, {
    content: { dnsNames: [], ipAddresses: [] },
    signerName: CLIENT_SIGNER,
    usages: CLIENT_USAGES,
    username: `system:bootstrap:${id}`,
    groups: ['system:bootstrappers', 'system:bootstrappers:certlet-bound', bindingGroup(bound), 'system:authenticated'],
  });
}

const tokenId = (cluster: FakeCluster): string =>
  cluster.secrets[0]?.name.slice('kube-system/bootstrap-token-'.length) ?? '';

t.test('a bound token gets its own node, no other, and goes when the node has asked as itself', async (t) => {
  const cluster = await fakeCluster(t, { bindings: [SELF_NODE_SERVER] });
  await (await start(t, cluster, 'token', 'create', '--node', 'n1', '--once', '--show-token')).running;
  const id = tokenId(cluster);
  const approver = await start(t, cluster, 'approve', '--watch');
  askByToken(cluster, 'csr-other', id, 'n2');
  askByToken(cluster, 'csr-own', id, 'n1');
  await cluster.until(() => conditionOf(cluster, 'csr-own') !== '');
  t.match(conditionOf(cluster, 'csr-own'), /^Approved CertletApproved: .*binding/);
  await approver.log.shows(/Not approved.*is not bound to the node/);
  t.equal(conditionOf(cluster, 'csr-other'), '');
  t.equal(cluster.secrets.length, 1, 'the node still fetches its certificate with it');
  ask(cluster, 'csr-as-itself');
  await cluster.until(() => cluster.secrets.length === 0);
});

t.test('a token that was made without --once stays', async (t) => {
  const cluster = await fakeCluster(t, { bindings: [SELF_NODE_SERVER] });
  await (await start(t, cluster, 'token', 'create', '--node', 'n1', '--show-token')).running;
  await start(t, cluster, 'approve', '--watch');
  askByToken(cluster, 'csr-own', tokenId(cluster), 'n1');
  await cluster.until(() => conditionOf(cluster, 'csr-own') !== '');
  ask(cluster, 'csr-as-itself');
  await cluster.until(() =>
    cluster.requests.some(({ method, path }) => method === 'GET' && path.includes('/secrets/')),
  );
  await cluster.until(() => conditionOf(cluster, 'csr-as-itself') !== '');
  t.equal(cluster.secrets.length, 1);
});

t.test(
  'where every token may have any node approved, binding is void and the binding to remove is named',
  async (t) => {
    const cluster = await fakeCluster(t, { bindings: defaultBindings(true), approval: 'never' });
    const approver = await start(t, cluster, 'approve', '--watch');
    askByToken(cluster, 'csr-own', 'abcdef', 'n1');
    await approver.log.shows(
      /Not approved.*may have any node approved: remove what lets it create .*nodeclient.*ClusterRoleBinding/,
    );
    t.equal(conditionOf(cluster, 'csr-own'), '');
  },
);
