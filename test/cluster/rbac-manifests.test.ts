/** The manifests in config/rbac load in a real API server and give exactly the rights that they speak of. */
import { resolve } from 'node:path';
import t from 'tap';
import { certletCommand } from '../fixtures/program.ts';
import { runWell } from './fixtures/processes.ts';
import { withControlPlane } from './fixtures/suite.ts';

const folder = resolve(import.meta.dirname, '../../config/rbac');
const customSigner = '../certificates/custom-signer-rbac.yaml';
const group = 'certificates.k8s.io';
const requests = { group, resource: 'certificatesigningrequests' };
const signers = { group, resource: 'signers' };

await withControlPlane(t, { rbac: [], controllerManager: false }, (plane) => {
  /** Asks as the approver of the controller manager does. */
  const may = async (member: string, resourceAttributes: object, user = 'somebody'): Promise<string> =>
    plane.kubectl(
      ['create', '-o', 'jsonpath={.status.allowed}', '-f', '-'],
      JSON.stringify({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user, groups: [member], resourceAttributes },
      }),
    );

  const approvers = 'node-certificate-approvers';
  const serving = 'kubernetes.io/kubelet-serving';
  const clients = 'kubernetes.io/kube-apiserver-client';
  const monitoring = { ...signers, name: 'example.com/monitoring' };
  const account = 'system:serviceaccounts:monitoring';
  for (const row of [
    { manifest: 'bootstrap-token.yaml', member: 'system:bootstrappers', what: { ...requests, verb: 'create' } },
    { manifest: 'static-token.yaml', member: 'system:bootstrappers', what: { ...requests, verb: 'watch' } },
    {
      manifest: 'auto-approve.yaml',
      member: 'system:bootstrappers',
      what: { ...requests, subresource: 'nodeclient', verb: 'create' },
    },
    {
      manifest: 'auto-approve.yaml',
      member: 'system:nodes',
      what: { ...requests, subresource: 'selfnodeclient', verb: 'create' },
    },
    {
      manifest: 'auto-approve-bound.yaml',
      member: 'system:bootstrappers:certlet-bound',
      what: { ...requests, verb: 'create' },
    },
    {
      manifest: 'auto-approve-bound.yaml',
      member: 'system:nodes',
      what: { ...requests, subresource: 'selfnodeclient', verb: 'create' },
    },
    { manifest: 'serving.yaml', member: approvers, what: { ...requests, subresource: 'approval', verb: 'update' } },
    { manifest: 'serving.yaml', member: approvers, what: { ...signers, name: serving, verb: 'approve' } },
    {
      manifest: 'cluster-info.yaml',
      member: 'system:nodes',
      what: { group: '', resource: 'configmaps', namespace: 'kube-public', name: 'cluster-info', verb: 'get' },
    },
    {
      manifest: 'kube-proxy.yaml',
      member: 'client-certificate-approvers',
      what: { ...signers, name: clients, verb: 'approve' },
    },
    {
      manifest: 'kube-proxy.yaml',
      member: 'client-certificate-approvers',
      what: { ...requests, subresource: 'approval', verb: 'update' },
    },
    {
      manifest: customSigner,
      member: 'monitoring-certificate-approvers',
      what: { ...monitoring, verb: 'approve' },
    },
  ]) {
    const right = Object.values(row.what).join(' ');
    t.test(`${row.manifest} lets ${row.member}, and nobody else, do: ${right}`, async (t) => {
      t.not(await may(row.member, row.what), 'true', 'before');
      await plane.kubectl(['create', '-f', resolve(folder, row.manifest)]);
      t.equal(await may(row.member, row.what), 'true', 'with the manifest');
      t.not(await may('strangers', row.what), 'true', 'others');
      await plane.kubectl(['delete', '-f', resolve(folder, row.manifest)]);
    });
  }

  /** What `certlet rbac` prints, as somebody pipes it into kubectl. */
  const printed = async (...args: readonly string[]): Promise<string> => {
    const [program = '', ...words] = certletCommand(['rbac', ...args]);
    return await runWell(program, words);
  };

  for (const topic of ['bootstrap', 'approve', 'serving'])
    t.test(`the API server takes what certlet rbac ${topic} prints`, async (t) => {
      const text = await printed(topic);
      const said = await plane.kubectl(['apply', '--dry-run=server', '-f', '-'], text);
      t.equal(said.trim().split('\n').length, text.split('---\n').length, said);
      t.notMatch(said, /^(?!.*\(server dry run\)$)./m);
    });

  t.test(
    'bootstrap and approve name one group, so that a token outside of kubeadm is served, and another if told',
    async (t) => {
      const rights = [
        { ...requests, verb: 'create' },
        { ...requests, subresource: 'nodeclient', verb: 'create' },
      ];
      for (const row of [
        { member: 'system:bootstrappers', flags: [] },
        { member: 'system:kubelet-bootstrap', flags: ['--group', 'system:kubelet-bootstrap'] },
      ]) {
        for (const right of rights) t.not(await may(row.member, right), 'true', `${row.member} before`);
        for (const topic of ['bootstrap', 'approve'])
          await plane.kubectl(['apply', '-f', '-'], await printed(topic, ...row.flags));
        for (const right of rights) t.equal(await may(row.member, right), 'true', row.member);
      }
      t.not(await may('system:bootstrappers', rights[0] ?? {}), 'true', 'the binding is replaced, not added to');
      for (const topic of ['bootstrap', 'approve']) await plane.kubectl(['delete', '-f', '-'], await printed(topic));
    },
  );

  t.test('serving.yaml does not let its group approve for another signer', async (t) => {
    await plane.kubectl(['create', '-f', resolve(folder, 'serving.yaml')]);
    t.not(await may(approvers, { ...signers, name: clients, verb: 'approve' }), 'true');
  });

  t.test('every node may ask, for any signer, and none may approve, with no manifest at all', async (t) => {
    t.equal(await may('system:nodes', { ...requests, verb: 'create' }, 'system:node:n1'), 'true');
    for (const name of [clients, 'example.com/monitoring'])
      t.not(await may('system:nodes', { ...signers, name, verb: 'approve' }, 'system:node:n1'), 'true', name);
  });

  t.test('custom-signer-rbac.yaml lets the signer sign for its own name, and approve nothing', async (t) => {
    const user = 'system:serviceaccount:monitoring:certificate-signer';
    const right = { ...monitoring, verb: 'sign' };
    t.not(await may(account, right, user), 'true', 'before');
    await plane.kubectl(['create', '-f', resolve(folder, customSigner)]);
    t.equal(await may(account, right, user), 'true');
    t.equal(await may(account, { ...requests, subresource: 'status', verb: 'update' }, user), 'true');
    t.not(await may(account, { ...signers, name: serving, verb: 'sign' }, user), 'true', 'for others');
    t.not(await may(account, { ...monitoring, verb: 'approve' }, user), 'true', 'approving');
    await plane.kubectl(['delete', '-f', resolve(folder, customSigner)]);
  });

  t.test('what kube-proxy may do is bound to its user by the API server itself, and to no group', async (t) => {
    const lists = { group: '', resource: 'services', verb: 'list' };
    t.equal(await may('strangers', lists, 'system:kube-proxy'), 'true');
    t.not(await may('system:node-proxier', lists), 'true', 'the group of guides is bound to nothing');
  });
});
