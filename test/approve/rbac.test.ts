/** The roles that `--print-rbac` prints, and the manifests that were made with it. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { rbacObjects } from '../../src/approve/rbac.ts';
import type { ApproveArguments } from '../../src/cli/command.ts';
import { runApprove } from '../../src/cli/commands/approve.ts';
import { loadApproverSettings } from '../../src/config.ts';
import { CommandHost } from '../fixtures/command-host.ts';
import { settingsWith } from './requests.ts';

const read = (name: string): readonly Record<string, unknown>[] =>
  parseAllDocuments(readFileSync(new URL(`../../config/approver/${name}`, import.meta.url), 'utf8')).map(
    (document) => document.toJS() as Record<string, unknown>,
  );
const account = { kind: 'ServiceAccount', namespace: 'kube-system', name: 'certlet-approver' } as const;

for (const row of [
  { name: 'by default: serving alone', approve: {}, signers: ['kubernetes.io/kubelet-serving'], asks: true },
  {
    name: 'without permission nobody is asked',
    approve: { permission: false },
    signers: ['kubernetes.io/kubelet-serving'],
    asks: false,
  },
  {
    name: 'renewals',
    approve: { serving: false, clientRenewals: true },
    signers: ['kubernetes.io/kube-apiserver-client-kubelet'],
    asks: true,
  },
]) {
  t.test(row.name, async (t) => {
    const [role] = rbacObjects(settingsWith(row.approve), account) as readonly [
      { readonly rules: readonly { resources: string[]; resourceNames?: string[] }[] },
    ];
    const rule = (resource: string) => role.rules.find(({ resources }) => resources.includes(resource));
    t.strictSame(rule('signers')?.resourceNames, row.signers);
    t.equal(rule('subjectaccessreviews') !== undefined, row.asks);
  });
}

t.test('no Events, no Lease and nothing to find out, no roles for them', async (t) => {
  const objects = rbacObjects(
    settingsWith({ events: false, leaseNamespace: '', findReserved: false }),
    account,
  ) as readonly {
    kind: string;
  }[];
  t.strictSame(
    objects.map(({ kind }) => kind),
    ['ClusterRole', 'ClusterRoleBinding'],
  );
});

t.test('what nobody looks for needs no right: without names in certificates, or switched off', async (t) => {
  const rights = (approve: Readonly<Record<string, unknown>>): boolean =>
    /servicecidrs|kubeadm-config|endpoints/.test(JSON.stringify(rbacObjects(settingsWith(approve), account)));
  t.ok(rights({}));
  t.notOk(rights({ findReserved: false }));
  t.notOk(rights({ serving: false, clientRenewals: true }));
});

t.test('config/approver/rbac.yaml is what the settings beside it need', async (t) => {
  const settings = read('approver.yaml').find(({ kind }) => kind === 'ConfigMap') as { data: Record<string, string> };
  const { approve } = loadApproverSettings(settings.data['config.yaml'], '/config.yaml');
  t.strictSame(read('rbac.yaml'), JSON.parse(JSON.stringify(rbacObjects(approve, account))));
});

t.test('printed as YAML for kubectl, for the user of the unit', async (t) => {
  const host = new CommandHost(t);
  const { context, stdout } = host.session();
  const args = {
    name: 'approve',
    output: 'text',
    printRbac: true,
    watch: false,
    settingsPath: host.settingsPath,
  } as unknown as ApproveArguments;
  t.equal(await runApprove(context, args), 0);
  const documents = parseAllDocuments(stdout.text).map((document) => document.toJS() as Record<string, unknown>);
  t.notMatch(stdout.text, /[&*]a\d/, 'no anchors, which people cannot read');
  t.match(documents[1], { kind: 'ClusterRoleBinding', subjects: [{ kind: 'User', name: 'certlet-approver' }] });
});
