import type { CommandSpec } from './command-spec.ts';
import { CONFIG_FLAG, type FlagSpec, OUTPUT } from './flags.ts';

/** Which cluster, and as whom: kubectl's own flags. */
const ACCESS: readonly FlagSpec[] = [
  {
    name: 'kubeconfig',
    kind: 'text',
    value: 'FILE',
    summary: 'Kubeconfig to use. Default: KUBECONFIG, then ~/.kube/config, then the service account of the pod.',
    completes: 'file',
  },
  { name: 'context', kind: 'text', value: 'NAME', summary: 'Context of the kubeconfig. Default: the current one.' },
];

/** `certlet approve`. */
export const APPROVE: CommandSpec = {
  name: 'approve',
  summary: "Approve signing requests of nodes by rules, on the cluster's side.",
  description: [
    'Shows the pending requests that the settings below `approve` are about, with what the rules make of each, and asks before it approves those that pass all rules. What fails a rule is never approved, unless named with --force.',
    "Needs a kubeconfig that may approve: an administrator's. Runs anywhere, not only on nodes.",
  ],
  words: { name: 'name', summary: 'Requests to look at. Default: all that are pending.' },
  flags: [
    { name: 'yes', kind: 'boolean', summary: 'Do not ask.' },
    { name: 'dry-run', kind: 'boolean', summary: 'Show what would be approved, and approve nothing.' },
    {
      name: 'force',
      kind: 'list',
      value: 'NAME,...',
      summary: 'Approve these requests whatever the rules say; what is overridden is told and stands in the request.',
    },
    {
      name: 'watch',
      kind: 'boolean',
      summary:
        'Approve what passes as it comes, until stopped; of several that run one acts. For certlet-approver.service.',
    },
    {
      name: 'print-rbac',
      kind: 'boolean',
      summary: 'Print the roles and bindings that these settings need, and end.',
    },
    {
      name: 'service-account',
      kind: 'text',
      value: 'NAMESPACE:NAME',
      summary: 'With --print-rbac: bind them to this service account, not to the user certlet-approver.',
    },
    ...ACCESS,
    CONFIG_FLAG,
    OUTPUT,
  ],
  settings: false,
  exits: [
    [0, 'done: approved, or nothing is to be approved'],
    [1, 'the answer was no, or a request that was named was not approved'],
    [64, 'the command line cannot be used, or nobody can be asked and --yes is missing'],
  ],
  examples: [
    'certlet approve',
    'certlet approve --dry-run --output json',
    'certlet approve --yes csr-x7k2p',
    'certlet approve --print-rbac | kubectl apply -f -',
  ],
};
