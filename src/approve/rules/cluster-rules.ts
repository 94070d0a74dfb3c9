import { CONTROL_PLANE_LABELS } from '../node-object.ts';
import { type Policy, POLICY_KINDS, put } from '../policy.ts';
import { bindingGroup } from '../../token/binding.ts';
import type { ClusterFacts, Objection, ReadView } from '../view.ts';
import { isNever } from './never.ts';
import { against, againstAll, notYet, quoted, type Rule } from './rule.ts';

const NAMED = ['serving', 'certificate'] as const;

/** Rules that look at the cluster; they come second, for requests that the others let pass. */
export const CLUSTER_RULES: readonly Rule[] = [
  {
    name: 'permission',
    demands:
      'The requester may create `certificatesigningrequests/selfnodeserver` (for renewals `selfnodeclient`), as the guides’ roles and bindings say: a SubjectAccessReview.',
    stops: 'nodes that the administrator has not bound',
    settings: ['permission'],
    kinds: ['serving', 'clientRenewal'],
    objection: ({ facts, settings, policy, request }) => {
      if (!settings.permission || facts?.permission?.allowed === true) return undefined;
      const subresource = policy.kind === 'serving' ? 'selfnodeserver' : 'selfnodeclient';
      return against(`${quoted(request.username)} may not create certificatesigningrequests/${subresource}`);
    },
  },
  {
    name: 'binding',
    demands:
      'The token that asked is bound to this node: its group `system:bootstrappers:certlet-node:HASH`; and its owner may not have `nodeclient` by itself, which would void the binding.',
    stops: 'one token asking for the certificate of any node',
    settings: ['clientBootstrap'],
    kinds: ['clientBootstrap'],
    objection: binding,
  },
  {
    name: 'node',
    demands: 'The Node is neither being deleted nor labelled with `withholdLabel`.',
    stops: 'certificates for nodes that are on their way out, or under suspicion',
    settings: ['withholdLabel'],
    kinds: POLICY_KINDS,
    objection: ({ facts, settings }) => {
      if (facts?.node?.isBeingDeleted === true) return notYet(`Node ${facts.node.name} is being deleted`);
      return facts?.node?.isWithheld === true
        ? notYet(`Node ${facts.node.name} has the label ${settings.withholdLabel}`)
        : undefined;
    },
  },
  {
    name: 'own-names',
    demands:
      'Every name and address is the node’s: by its Node object (name, `status.addresses`), by the inventory, by both or either (`namesFrom`); a DNS name also by what it resolves to where `dns` is on.',
    stops: 'a node that serves under another host’s name or address',
    settings: ['namesFrom', 'inventory', 'dns'],
    kinds: NAMED,
    objection: ownNames,
  },
  {
    name: 'others-names',
    demands: 'No name or address stands in another Node.',
    stops: 'a node that has written another one’s address into its own status',
    settings: [],
    kinds: NAMED,
    objection: othersNames,
  },
  {
    name: 'never',
    demands:
      'No name or address is one that no node may have: loopback and the API server’s names (`localhost`, `kubernetes`, `kubernetes.default`, `*.svc`), what `never` lists, and the ranges of Services and pods where they can be found out.',
    stops: 'the API server’s names, virtual addresses, service and pod ranges',
    settings: ['never', 'findReserved'],
    kinds: NAMED,
    objection: ({ content, settings, facts }) =>
      againstAll(
        [...content.dnsNames, ...content.ipAddresses]
          .filter((text) => isNever(text, [...settings.never, ...(facts?.reserved?.never ?? [])]))
          .map((text) => `${quoted(text)} is on the list never`),
      ),
  },
  {
    name: 'api-server',
    demands:
      'No name or address is an API server’s (Endpoints `kubernetes`, the certificate that it shows, the approver’s kubeconfig, kubeadm’s configuration), unless the Node has the label `node-role.kubernetes.io/control-plane`, which no node may give itself, or an entry of the inventory for that very node lists it.',
    stops: 'a node that poses as an API server',
    settings: ['findReserved', 'inventory'],
    kinds: NAMED,
    objection: apiServers,
  },
  {
    name: 'pace',
    demands: 'At most `maxPerNodeAndHour` approvals a node and hour, counted from the request objects.',
    stops: 'a node that hoards certificates, a loop',
    settings: ['maxPerNodeAndHour'],
    kinds: POLICY_KINDS,
    objection: ({ facts, settings }) => {
      const { approvals = 0 } = facts ?? {};
      return approvals < settings.maxPerNodeAndHour
        ? undefined
        : notYet(`${String(approvals)} requests of this node were approved within the hour`);
    },
  },
];

function binding({ request, policy, facts }: ReadView): Objection | undefined {
  const { nodeName = '' } = policy;
  if (facts?.permission?.allowed === true) {
    const words = facts.permission.reason === '' ? '' : ` (${facts.permission.reason})`;
    return against(
      `${quoted(request.username)} may have any node approved: remove what lets it create certificatesigningrequests/nodeclient${words}`,
    );
  }
  return request.groups.includes(bindingGroup(nodeName))
    ? undefined
    : against(`${quoted(request.username)} is not bound to the node ${quoted(nodeName)}`);
}

function ownNames(view: ReadView): Objection | undefined {
  const { policy, facts, content } = view;
  const { nodeName = '' } = policy;
  if (facts === undefined) return undefined;
  const foreign = [...content.dnsNames.map((name) => name.toLowerCase()), ...content.ipAddresses].filter(
    (text) => !isOwn(text, view, facts),
  );
  if (foreign.length === 0) return undefined;
  const told = foreign.slice(0, 12).map((text) => `${quoted(text)} is not known as ${nodeName}'s`);
  if (!nodeMayStillTell(foreign, view, facts)) return againstAll(told);
  if (facts.node === undefined) return notYet(`there is no Node ${nodeName} yet`);
  return isFresh(view, facts) ? notYet(told.join('; ')) : againstAll(told);
}

/** Whether a Node object that says more would make these names the node's. */
function nodeMayStillTell(foreign: readonly string[], { policy, settings }: ReadView, facts: ClusterFacts): boolean {
  if (policy.entry?.names.ofNode === false || settings.namesFrom === 'inventory') return false;
  const asked = { facts, nodeName: policy.nodeName ?? '' };
  return settings.namesFrom !== 'both' || foreign.every((text) => isKnown(text, 'inventory', asked));
}

/** A kubelet asks for an address as soon as it has it, and writes it into its Node within ten seconds, if the API server takes it. */
const STATUS_LAG_MS = 120_000;

const isFresh = ({ request }: ReadView, { now }: ClusterFacts): boolean =>
  now.getTime() - request.createdAt.getTime() < STATUS_LAG_MS;

/** By the listed names of an entry, else by whom the settings ask. */
function isOwn(text: string, { policy, settings }: ReadView, facts: ClusterFacts): boolean {
  const { entry, nodeName = '' } = policy;
  if (isListed(text, policy)) return true;
  if (entry !== undefined && !entry.names.ofNode) return false;
  if (isKnown(text, settings.namesFrom, { facts, nodeName })) return true;
  const found = facts.resolved(text) ?? [];
  return found.length > 0 && found.every((address) => isKnown(address, settings.namesFrom, { facts, nodeName }));
}

/** An entry that lists a name is an administrator's word for it. */
function isListed(text: string, { entry, nodeName = '' }: Policy): boolean {
  return entry?.names.listed.some((listed) => put(listed, nodeName) === text) === true;
}

interface Asked {
  readonly facts: ClusterFacts;
  readonly nodeName: string;
}

function isKnown(text: string, from: 'node' | 'inventory' | 'both' | 'either', asked: Asked): boolean {
  const { node, inventory } = asked.facts;
  const byNode = node !== undefined && (node.names.includes(text) || node.addresses.includes(text));
  const byInventory = inventory?.allows(asked.nodeName, text) === true;
  return { node: byNode, inventory: byInventory, both: byNode && byInventory, either: byNode || byInventory }[from];
}

/** kubeadm labels a host of its control plane when its kubelet has registered, and asked. */
function apiServers(view: ReadView): Objection | undefined {
  const { policy, facts, content } = view;
  const { nodeName = '' } = policy;
  if (facts?.reserved === undefined || facts.node?.isControlPlane === true) return undefined;
  const { apiServers } = facts.reserved;
  const theirs = [...content.dnsNames.map((name) => name.toLowerCase()), ...content.ipAddresses].filter(
    (text) => apiServers.has(text) && !isListed(text, policy) && facts.inventory?.names(nodeName, text) !== true,
  );
  if (theirs.length === 0) return undefined;
  const told = theirs.slice(0, 12).map(quoted).join(', ');
  const reason = `${told} ${theirs.length === 1 ? 'is' : 'are'} the API server's, and neither the label ${CONTROL_PLANE_LABELS[0] ?? ''} nor an entry of the inventory for ${nodeName} says that it is one of its hosts`;
  return facts.node === undefined || isFresh(view, facts) ? notYet(reason) : against(reason);
}

function othersNames({ content, policy, facts }: ReadView): Objection | undefined {
  const texts = [...content.dnsNames.map((name) => name.toLowerCase()), ...content.ipAddresses];
  return againstAll(
    texts.flatMap((text) => {
      const others = facts?.othersWith(text, policy.nodeName ?? '') ?? [];
      return others.length === 0 ? [] : [`${quoted(text)} stands in the Node ${others.slice(0, 3).join(', ')}`];
    }),
  );
}
