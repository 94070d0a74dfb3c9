import { TOKENS_NAMESPACE } from '../token/bootstrap-token-object.ts';
import { type ApproveSettings, judgesNames, signersOf } from './settings.ts';

/** The name of everything that the approver needs or has: user, roles, Lease. */
export const APPROVER = 'certlet-approver';
/** Events of Nodes lie in this namespace: Nodes have none of their own. */
export const EVENTS_NAMESPACE = 'default';

/** Who is given the roles. */
export type ApproverSubject =
  | { readonly kind: 'User'; readonly name: string }
  | { readonly kind: 'ServiceAccount'; readonly namespace: string; readonly name: string };

/** One rule of a role, as RBAC has it. */
export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${GROUP}/v1`;
const CSRS = 'certificatesigningrequests';
const CERTIFICATES = 'certificates.k8s.io';

/** What the approver may do in the whole cluster: exactly what these settings make it do. */
export function clusterRules(settings: ApproveSettings): readonly PolicyRule[] {
  const asks =
    settings.clientBootstrap === 'bound' || (settings.permission && (settings.serving || settings.clientRenewals));
  return [
    { apiGroups: [CERTIFICATES], resources: [CSRS], verbs: ['get', 'list', 'watch'] },
    { apiGroups: [CERTIFICATES], resources: [`${CSRS}/approval`], verbs: ['update'] },
    { apiGroups: [CERTIFICATES], resources: ['signers'], resourceNames: signersOf(settings), verbs: ['approve'] },
    { apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] },
    ...(looksForReserved(settings)
      ? [{ apiGroups: ['networking.k8s.io'], resources: ['servicecidrs'], verbs: ['list'] }]
      : []),
    ...(asks ? [{ apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] }] : []),
  ];
}

const looksForReserved = (settings: ApproveSettings): boolean => settings.findReserved && judgesNames(settings);

/** A role in one namespace. */
interface Namespaced {
  readonly name: string;
  readonly namespace: string;
  readonly rules: readonly PolicyRule[];
}

/** What it may do in single namespaces, beside. */
export function namespacedRules(settings: ApproveSettings): readonly Namespaced[] {
  const { leaseNamespace } = settings;
  return [
    ...(leaseNamespace === undefined ? [] : [leaseRole(leaseNamespace)]),
    ...(looksForReserved(settings) ? RESERVED_ROLES : []),
    ...(settings.events ? [EVENTS_ROLE] : []),
    ...(settings.deleteTokens ? [TOKENS_ROLE] : []),
  ];
}

function leaseRole(namespace: string): Namespaced {
  const lease = { apiGroups: ['coordination.k8s.io'], resources: ['leases'] };
  return {
    name: `${APPROVER}-lease`,
    namespace,
    rules: [
      // A create names no object that rules could know.
      { ...lease, verbs: ['create'] },
      { ...lease, resourceNames: [APPROVER], verbs: ['get', 'update'] },
    ],
  };
}

const getOne = (resource: string, name: string): PolicyRule => ({
  apiGroups: [''],
  resources: [resource],
  resourceNames: [name],
  verbs: ['get'],
});

/** What `findReserved` reads. */
const RESERVED_ROLES: readonly Namespaced[] = [
  {
    name: `${APPROVER}-kubernetes`,
    namespace: 'default',
    rules: [getOne('services', 'kubernetes'), getOne('endpoints', 'kubernetes')],
  },
  { name: `${APPROVER}-kubeadm`, namespace: 'kube-system', rules: [getOne('configmaps', 'kubeadm-config')] },
];

const EVENTS_ROLE: Namespaced = {
  name: `${APPROVER}-events`,
  namespace: EVENTS_NAMESPACE,
  rules: [{ apiGroups: [''], resources: ['events'], verbs: ['create'] }],
};

const TOKENS_ROLE: Namespaced = {
  name: `${APPROVER}-tokens`,
  namespace: TOKENS_NAMESPACE,
  rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'delete'] }],
};

/** Roles and bindings for these settings, as API objects in the order in which they are to be applied. */
export function rbacObjects(settings: ApproveSettings, subject: ApproverSubject): readonly object[] {
  const cluster = clusterRules(settings);
  return [
    { apiVersion: API_VERSION, kind: 'ClusterRole', metadata: { name: APPROVER }, rules: cluster },
    {
      apiVersion: API_VERSION,
      kind: 'ClusterRoleBinding',
      metadata: { name: APPROVER },
      roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: APPROVER },
      subjects: [subjectObject(subject)],
    },
    ...namespacedRules(settings).flatMap(({ name, namespace, rules }) => [
      { apiVersion: API_VERSION, kind: 'Role', metadata: { name, namespace }, rules },
      {
        apiVersion: API_VERSION,
        kind: 'RoleBinding',
        metadata: { name, namespace },
        roleRef: { apiGroup: GROUP, kind: 'Role', name },
        subjects: [subjectObject(subject)],
      },
    ]),
  ];
}

function subjectObject(subject: ApproverSubject): object {
  return subject.kind === 'User' ? { apiGroup: GROUP, ...subject } : subject;
}
