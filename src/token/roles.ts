/** What a part of the manifests is about: who may ask, what is approved by itself, who approves serving certificates. */
export const ROLE_TOPICS = ['bootstrap', 'approve', 'serving'] as const;
export type RoleTopic = (typeof ROLE_TOPICS)[number];

/** Whom the bindings name. */
export interface RoleGroups {
  /** Groups of bootstrap credentials. */
  readonly bootstrap: readonly string[];
  /** Groups of those who approve serving certificates. */
  readonly approvers: readonly string[];
}

/** Every bootstrap token is in the first, whatever other groups it has (k8s.io/cluster-bootstrap BootstrapDefaultGroup); guides put static tokens there. */
export const DEFAULT_ROLE_GROUPS: RoleGroups = {
  bootstrap: ['system:bootstrappers'],
  approvers: ['node-certificate-approvers'],
};

/** One object with what a person should know of it. */
export interface RoleManifest {
  readonly topic: RoleTopic;
  /** Lines without `#`. */
  readonly comment: readonly string[];
  readonly object: object;
}

const GROUP = 'rbac.authorization.k8s.io';
const API_VERSION = `${GROUP}/v1`;
const CERTIFICATES = 'certificates.k8s.io';
const CSRS = 'certificatesigningrequests';
const SERVING_APPROVER = 'certlet:kubelet-serving-approver';

/** The manifests of config/rbac (bootstrap-token, auto-approve, serving) as API objects, for these groups. */
export function roleManifests(groups: RoleGroups): readonly RoleManifest[] {
  const builtIn = `system:${CERTIFICATES}:${CSRS}`;
  return [
    {
      topic: 'bootstrap',
      comment: ["Lets bootstrap credentials ask for a node's client certificate."],
      object: binding('certlet:node-bootstrapper', 'system:node-bootstrapper', groups.bootstrap),
    },
    {
      topic: 'approve',
      comment: [
        'kube-controller-manager approves the first certificate of a node by itself: whoever has a bootstrap credential becomes any node.',
        'Left out, a person approves each:',
        'kubectl certificate approve NAME',
      ],
      object: binding('certlet:approve-first-client-certificate', `${builtIn}:nodeclient`, groups.bootstrap),
    },
    {
      topic: 'approve',
      comment: ['It approves the renewals of a node by itself.'],
      object: binding('certlet:approve-client-certificate-renewal', `${builtIn}:selfnodeclient`, ['system:nodes']),
    },
    {
      topic: 'serving',
      comment: ['Who may approve serving certificates: nothing in Kubernetes does by itself.'],
      object: {
        apiVersion: API_VERSION,
        kind: 'ClusterRole',
        metadata: { name: SERVING_APPROVER },
        rules: [
          { apiGroups: [CERTIFICATES], resources: [CSRS], verbs: ['get', 'list', 'watch'] },
          { apiGroups: [CERTIFICATES], resources: [`${CSRS}/approval`], verbs: ['update'] },
          {
            apiGroups: [CERTIFICATES],
            resources: ['signers'],
            resourceNames: ['kubernetes.io/kubelet-serving'],
            verbs: ['approve'],
          },
        ],
      },
    },
    {
      topic: 'serving',
      comment: ['Bound to a group of persons: --approvers names yours.'],
      object: binding('certlet:kubelet-serving-approvers', SERVING_APPROVER, groups.approvers),
    },
  ];
}

function binding(name: string, role: string, groups: readonly string[]): object {
  return {
    apiVersion: API_VERSION,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: GROUP, kind: 'ClusterRole', name: role },
    subjects: groups.map((group) => ({ apiGroup: GROUP, kind: 'Group', name: group })),
  };
}
