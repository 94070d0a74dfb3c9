/** Commands for kubectl that certlet prints: each is run as whoever administers the cluster would, with the words of this cluster filled in. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { testRequestPem } from '../fixtures/cluster/test-request.ts';
import { certletCommand } from '../fixtures/program.ts';
import { REMEDIES } from '../fixtures/remedies/registry.ts';
import { asset } from './fixtures/assets.ts';
import { runWell } from './fixtures/processes.ts';
import { withControlPlane } from './fixtures/suite.ts';

const ROLES = resolve(import.meta.dirname, '../../config/rbac');
const SIGNER = 'kubernetes.io/kubelet-serving';
const CSRS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

/** What stands in the place of each `{}` or word in capitals; `gone`: the request that it decides about is a fresh one. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'kubectl create clusterrolebinding {} --clusterrole={} {}': ['a', 'system:node-bootstrapper', '--group=g'],
  'kubectl create clusterrole {} --verb={} --resource={} && kubectl create clusterrolebinding {} --clusterrole={} {}': [
    'reader',
    'get,list',
    'nodes',
    'reader',
    'reader',
    '--user=u',
  ],
  'kubectl create clusterrolebinding {} --clusterrole=system:node-bootstrapper {}': ['b', '--user=u'],
  'kubectl create clusterrolebinding {} --clusterrole={}:{} {}': [
    'c',
    'system:certificates.k8s.io:certificatesigningrequests',
    'nodeclient',
    '--group=g',
  ],
  'kubectl -n kube-system get secret bootstrap-token-{}': ['remedy'],
  [`kubectl -n kube-system patch secret bootstrap-token-{} -p '{"stringData":{"usage-bootstrap-authentication":"true"}}'`]:
    ['remedy'],
  'kubectl get node {} -o wide': ['worker-1'],
  'kubectl get csr --field-selector spec.signerName={}': [SIGNER],
  'kubectl certificate approve {}': ['CSR'],
  'kubectl certificate approve NAME': ['CSR'],
  'kubectl certificate deny {}': ['CSR'],
  'kubectl --kubeconfig {} config use-context NAME': ['KUBECONFIG', 'CONTEXT'],
  'kubectl --kubeconfig {} config get-contexts': ['KUBECONFIG'],
  'kubectl config view --kubeconfig FILE --raw --flatten > FLAT': ['KUBECONFIG', 'FLAT'],
  'kubectl config view --flatten --minify > FILE && chmod 600 FILE': ['FLAT', 'FLAT'],
};

/** What is nothing of the cluster's: a search that finds nothing ends so. */
const FINDS_NOTHING = /\| grep /;

await withControlPlane(t, { rbac: [] }, (plane) => {
  t.test('every command for kubectl works as it is printed', async (t) => {
    const folder = t.testdir();
    const kubeconfig = join(folder, 'admin.conf');
    writeFileSync(kubeconfig, await plane.kubectl(['config', 'view', '--raw', '--flatten']), { mode: 0o600 });
    const [program = '', ...words] = certletCommand([]);
    const tool = (name: string, line: string): void => {
      writeFileSync(join(folder, name), `#!/bin/sh\nexec ${line} "$@"\n`);
      chmodSync(join(folder, name), 0o755);
    };
    tool('kubectl', `'${asset('kubectl') ?? 'kubectl'}' --cache-dir '${folder}/cache'`);
    tool('certlet', [program, ...words].map((word) => `'${word}'`).join(' '));
    const env = { ...process.env, PATH: `${folder}:${process.env['PATH'] ?? ''}`, KUBECONFIG: kubeconfig };

    // What an API server makes by itself, taken away: the trouble of its remedy.
    await plane.kubectl(['delete', 'clusterrolebinding', 'system:basic-user']);
    await plane.createBootstrapToken({ id: 'remedy', secret: 'fedcba9876543210' });
    await plane.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'worker-1' } }),
    );
    const context = (await plane.kubectl(['config', 'current-context'])).trim();
    let made = 0;
    const csr = async (): Promise<string> => {
      made += 1;
      const request = Buffer.from(testRequestPem({ commonName: 'system:node:worker-1', dnsNames: ['w'] })).toString(
        'base64',
      );
      const spec = { request, signerName: SIGNER, usages: ['digital signature', 'key encipherment', 'server auth'] };
      const metadata = { name: `remedy-${String(made)}` };
      const body = { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata, spec };
      await plane.admin.want(CSRS, { method: 'POST', body });
      return metadata.name;
    };
    const filled = async (command: string): Promise<string> => {
      let text = command.replaceAll('/usr/share/certlet/rbac', ROLES);
      const places = {
        CSR: csr,
        KUBECONFIG: async () => kubeconfig,
        CONTEXT: async () => context,
        FLAT: async () => join(folder, 'flat'),
      };
      for (const word of WORDS[command] ?? []) {
        const value = word in places ? await places[word as keyof typeof places]() : word;
        text = text.replace(/\{\}|\b(?:NAME|FILE|FLAT)\b/, () => value);
      }
      return text;
    };
    const commands = new Set(
      Object.values(REMEDIES).flatMap((each) =>
        Object.entries(each).flatMap(([command, by]) => (by === 'cluster' ? [command] : [])),
      ),
    );
    t.ok(commands.size > 15);
    for (const command of commands) {
      const text = await filled(command);
      t.notMatch(text, /\{\}|\bNAME\b|\bFILE\b/, command);
      const line = FINDS_NOTHING.test(command)
        ? `set -o pipefail; ${text.replace(FINDS_NOTHING, '| grep -c -e . -e ')} || [ $? = 1 ]`
        : text;
      await t.resolves(runWell('bash', ['-c', line], { env }), text);
    }
    const { json } = await plane.admin.want(CSRS);
    const decided = (
      json.items as readonly { readonly status: { readonly conditions?: readonly { readonly type: string }[] } }[]
    ).map(({ status }) => status.conditions?.[0]?.type);
    t.strictSame(
      decided.toSorted((a = '', b = '') => a.localeCompare(b)),
      ['Approved', 'Approved', 'Denied'],
      'approved, denied and deleted as asked',
    );
  });
});
