import type { CommandSpec } from './command-spec.ts';
import { DEFAULT_ROLE_GROUPS, ROLE_TOPICS } from '../token/roles.ts';
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

/** `certlet token`. */
export const TOKEN: CommandSpec = {
  name: 'token',
  summary: 'Make, list and delete bootstrap tokens, each bound to a node.',
  description: [
    'create makes a token for each --node, or one for any node. A bound token gets the certificate of its node and of no other, where the approver runs with clientBootstrap: bound and nothing else approves first requests (docs/tokens.md).',
    'A token is shown, or written into a file, only where a flag asks for it. list shows ids and never the other half.',
    'Needs a kubeconfig of an administrator.',
  ],
  positional: { name: 'action', summary: 'What to do.', required: true, choices: ['create', 'list', 'delete'] },
  words: { name: 'id', summary: 'Tokens to delete.' },
  flags: [
    { name: 'node', kind: 'list', value: 'NAME,...', summary: 'Bind to this node; a token for each.' },
    { name: 'ttl', kind: 'duration', value: 'TIME', summary: 'How long it lives; 0 for ever.', fallback: '24h' },
    {
      name: 'once',
      kind: 'boolean',
      summary: 'The approver deletes it when its node has asked as itself (approve.deleteTokens).',
    },
    {
      name: 'groups',
      kind: 'list',
      value: 'GROUP,...',
      summary: "Further groups, in place of kubeadm's for a token for any node.",
    },
    { name: 'description', kind: 'text', value: 'TEXT', summary: 'A note for people.' },
    {
      name: 'write',
      kind: 'text',
      value: 'DIR',
      summary: 'Write a bootstrap kubeconfig for each node into this folder, 0600.',
      completes: 'folder',
    },
    { name: 'show-token', kind: 'boolean', summary: 'Show the token, with the line for certlet join.' },
    { name: 'print-secret', kind: 'boolean', summary: 'Print the Secrets as YAML, and change nothing.' },
    {
      name: 'print-csv',
      kind: 'boolean',
      summary: 'Print lines for a static token file (--token-auth-file), and change nothing.',
    },
    ...ACCESS,
    OUTPUT,
  ],
  settings: false,
  exits: [],
  examples: [
    'certlet token create --node worker-1,worker-2 --once --write tokens/',
    'certlet token list',
    'certlet token delete abcdef',
  ],
};

/** `certlet rbac`. */
export const RBAC: CommandSpec = {
  name: 'rbac',
  summary: 'Print the roles that nodes and approvers need in the cluster.',
  description: [
    'For kubectl apply by an administrator; asks no cluster, and runs anywhere. bootstrap: who may ask for the first certificate of a node. approve: what kube-controller-manager approves by itself. serving: who may approve serving certificates. Without a word all three. kubeadm clusters have the first two.',
  ],
  positional: { name: 'topic', summary: 'Which part.', required: false, choices: ROLE_TOPICS },
  flags: [
    {
      name: 'group',
      kind: 'list',
      value: 'GROUP,...',
      summary: 'Groups of the bootstrap credentials. Every bootstrap token is in the default.',
      fallback: DEFAULT_ROLE_GROUPS.bootstrap.join(','),
    },
    {
      name: 'approvers',
      kind: 'list',
      value: 'GROUP,...',
      summary: 'Groups of those who approve serving certificates.',
      fallback: DEFAULT_ROLE_GROUPS.approvers.join(','),
    },
    OUTPUT,
  ],
  settings: false,
  exits: [],
  examples: [
    'certlet rbac | kubectl apply -f -',
    'certlet rbac bootstrap --group system:kubelet-bootstrap | kubectl apply -f -',
    'certlet rbac serving --approvers node-admins | kubectl apply -f -',
  ],
};
