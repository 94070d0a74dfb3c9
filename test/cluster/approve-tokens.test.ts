/** Bound tokens on a real API server: the groups that it takes, whose certificate they get, and when one made with --once goes. */
import { join, resolve } from 'node:path';
import t from 'tap';
import { certletCommand } from '../fixtures/program.ts';
import { noteSecret } from '../fixtures/record.ts';
import { ApproverHost, bindSelfNodeServer } from './fixtures/approver.ts';
import { eventually } from '../fixtures/eventually.ts';
import { runWell } from './fixtures/processes.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

await withControlPlane(t, { rbac: [] }, async (plane) => {
  const host = await ApproverHost.create(plane, { clientBootstrap: 'bound', deleteTokens: true });
  await host.apply(await host.roles());
  await bindSelfNodeServer(plane);
  await plane.kubectl(['apply', '-f', resolve(import.meta.dirname, '../../config/rbac/auto-approve-bound.yaml')]);
  const token = async (...words: readonly string[]): Promise<string> => {
    const [program = '', ...rest] = certletCommand([
      'token',
      ...words,
      '--kubeconfig',
      join(plane.folder, 'admin.conf'),
    ]);
    return runWell(program, rest);
  };

  t.test(
    'a bound token gets its own node’s certificate and no other, and goes when the node has asked as itself',
    async (t) => {
      const made = JSON.parse(
        await token('create', '--node', 'bound-1', '--once', '--show-token', '--output', 'json'),
      ) as {
        readonly tokens: readonly { readonly id: string; readonly token: string }[];
      };
      const [first] = made.tokens;
      const [id, text] = [first?.id ?? '', first?.token ?? ''];
      noteSecret(text);
      await host.node('bound-1', ['192.0.2.7']);
      const approver = host.start();
      t.teardown(() => approver.end('SIGKILL'));

      const thief = hostFor(t, plane, 'bound-2', { nodeIP: ['192.0.2.8'] });
      thief.bootstrapWith(text);
      const stolen = thief.start();
      await approver.line(/Not approved.*is not bound to the node \\"bound-2\\"/);
      t.equal(thief.current('client'), undefined);
      await stolen.end();

      const node = hostFor(t, plane, 'bound-1', { nodeIP: ['192.0.2.7'] });
      node.bootstrapWith(text);
      node.start();
      t.match((await node.issued('client')).leaf.subject, /CN=system:node:bound-1/);
      await node.issued('serving');
      await eventually('the token to go', async () => {
        const { status } = await plane.admin.call(`/api/v1/namespaces/kube-system/secrets/bootstrap-token-${id}`);
        return status === 404 ? true : undefined;
      });
      t.match(await token('list'), /^TOKEN/);
      await approver.end();
    },
  );

  t.test('the kubeconfig that --write wrote is good for the API server', async (t) => {
    const folder = join(plane.folder, 'tokens');
    await token('create', '--node', 'bound-3', '--write', folder);
    const approver = host.start();
    t.teardown(() => approver.end('SIGKILL'));
    const node = hostFor(t, plane, 'bound-3', {
      nodeIP: ['192.0.2.9'],
      bootstrapKubeconfig: join(folder, 'bound-3.conf'),
    });
    node.start();
    await node.issued('client');
    t.match(await token('list'), /bound-3/);
    await approver.end();
  });

  t.test(
    'where kubeadm’s binding lets every token have any node, the approver leaves the request and names the binding',
    async (t) => {
      const role = 'system:certificates.k8s.io:certificatesigningrequests:nodeclient';
      await plane.kubectl([
        'create',
        'clusterrolebinding',
        'any-node',
        `--clusterrole=${role}`,
        '--group=system:bootstrappers:certlet-bound',
      ]);
      await plane.stopControllerManager();
      const made = JSON.parse(await token('create', '--node', 'bound-4', '--show-token', '--output', 'json')) as {
        readonly tokens: readonly { readonly token: string }[];
      };
      const text = made.tokens[0]?.token ?? '';
      noteSecret(text);
      const approver = host.start();
      t.teardown(() => approver.end('SIGKILL'));
      const node = hostFor(t, plane, 'bound-4', { nodeIP: ['192.0.2.10'] });
      node.bootstrapWith(text);
      node.start();
      await approver.line(/Not approved.*may have any node approved.*any-node/);
      t.equal(node.current('client'), undefined);
      await approver.end();
    },
  );
});
