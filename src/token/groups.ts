import { bindingGroup } from './binding.ts';

/** kubeadm's group: bound to what nodes need, and in kubeadm clusters also to the approval of any node. */
const KUBEADM = 'system:bootstrappers:kubeadm:default-node-token';
/** Tokens that are bound to a node: config/rbac/auto-approve-bound.yaml lets them ask, and nobody approves for them by group. */
const BOUND = 'system:bootstrappers:certlet-bound';

/** bootstrap tokens with another group are refused as a whole (401), though the API server takes the Secret. */
const GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** The groups of a token for this node, or for any; `more` besides. */
export function groupsFor(nodeName: string | undefined, more: readonly string[]): readonly string[] {
  const own = nodeName === undefined ? (more.length === 0 ? [KUBEADM] : []) : [BOUND, bindingGroup(nodeName)];
  return [...new Set([...own, ...more])];
}

/** Whether a bootstrap token may have the group. */
export function isTokenGroup(group: string): boolean {
  return GROUP.test(group);
}
