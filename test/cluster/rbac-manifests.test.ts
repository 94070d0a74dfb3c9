/** The manifests in config/rbac load in a real API server and give exactly the rights that they speak of. */
import { resolve } from 'node:path';
import t from 'tap';
import { withControlPlane } from './fixtures/suite.ts';

const folder = resolve(import.meta.dirname, '../../config/rbac');
const group = 'certificates.k8s.io';
const requests = { group, resource: 'certificatesigningrequests' };
const signers = { group, resource: 'signers' };

await withControlPlane({ rbac: [], controllerManager: false }, (plane) => {
  /** Asks as the approver of the controller manager does. */
  const may = async (member: string, resourceAttributes: object): Promise<string> =>
    plane.kubectl(
      ['create', '-o', 'jsonpath={.status.allowed}', '-f', '-'],
      JSON.stringify({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user: 'somebody', groups: [member], resourceAttributes },
      }),
    );

  const kubeadm = 'system:bootstrappers:kubeadm:default-node-token';
  const approvers = 'node-certificate-approvers';
  const serving = 'kubernetes.io/kubelet-serving';
  for (const row of [
    { manifest: 'bootstrap-token.yaml', member: kubeadm, what: { ...requests, verb: 'create' } },
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
    { manifest: 'serving.yaml', member: approvers, what: { ...requests, subresource: 'approval', verb: 'update' } },
    { manifest: 'serving.yaml', member: approvers, what: { ...signers, name: serving, verb: 'approve' } },
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

  t.test('serving.yaml does not let its group approve for another signer', async (t) => {
    await plane.kubectl(['create', '-f', resolve(folder, 'serving.yaml')]);
    t.not(await may(approvers, { ...signers, name: 'kubernetes.io/kube-apiserver-client', verb: 'approve' }), 'true');
  });
});
