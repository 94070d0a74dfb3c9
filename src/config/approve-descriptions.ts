import type { Description } from './description.ts';

/** What the settings of `certlet approve` mean. */
export const APPROVE_DESCRIPTIONS: Readonly<Record<string, Description>> = {
  approve: { text: 'What certlet approve may approve, and by which rules. See docs/approve.md.' },
  'approve.serving': { text: 'Serving certificates of nodes (signer kubernetes.io/kubelet-serving).' },
  'approve.clientRenewals': {
    text: "Renewals of a node's client certificate; where kube-controller-manager does not approve them.",
  },
  'approve.clientBootstrap': {
    text: 'bound: first client certificates for nodes whose bootstrap token is bound to their name (docs/tokens.md).',
  },
  'approve.certificates': { text: 'Further certificates that nodes may have, an allow-list.' },
  'approve.certificates.name': { text: 'A DNS label, for reasons and messages.', value: 'NAME' },
  'approve.certificates.signerName': { text: 'The signer.', value: 'SIGNER' },
  'approve.certificates.commonName': {
    text: "Common name of the subject; {nodeName} stands for the requesting node's name.",
    value: 'TEXT',
  },
  'approve.certificates.organizations': { text: 'Exactly these organizations.', value: 'TEXT,...' },
  'approve.certificates.usages': { text: 'Exactly these key usages.', value: 'USAGE,...' },
  'approve.certificates.names': {
    text: 'none, node (names and addresses of the node), or a list of names and addresses in which node may stand, too.',
  },
  'approve.certificates.requester': { text: 'Who may ask: node for any node, or the name of one user.', value: 'USER' },
  'approve.permission': {
    text: 'Approve only for nodes that may create certificatesigningrequests/selfnodeserver (for renewals selfnodeclient).',
  },
  'approve.namesFrom': {
    text: "Who says which names and addresses are a node's: its Node object, the inventory, both, or either. A node writes its own Node object: only an inventory is proof against a hostile one.",
  },
  'approve.inventory': { text: 'File with the names and addresses that nodes may have.', value: 'FILE' },
  'approve.never': {
    text: 'Names (*. in front stands for all below), addresses and ranges that no node may have, besides loopback and the names of the API server: virtual addresses, service and pod ranges.',
    value: 'NAME,...',
  },
  'approve.findReserved': {
    text: "Find out what no node may have, and hold it against requests as never does: the API servers' names and addresses, by the Endpoints kubernetes and the certificate that the server shows; the Service kubernetes, ServiceCIDRs, and the networks in kubeadm's configuration.",
  },
  'approve.dns': { text: "A DNS name counts as a node's when it resolves to addresses of that node alone." },
  'approve.keyAlgorithms': { text: 'Kinds of keys that are allowed.', value: 'KIND,...' },
  'approve.maxNames': { text: 'Most names and addresses in one certificate.', value: 'COUNT' },
  'approve.maxLifetime': { text: 'Longest lifetime that may be asked for.', value: 'TIME' },
  'approve.maxPerNodeAndHour': { text: 'Most approvals for one node in an hour.', value: 'COUNT' },
  'approve.withholdLabel': { text: 'Nodes with this label get no certificates.', value: 'LABEL' },
  'approve.deny': { text: 'Deny what fails a rule, with the reasons as message. Else it stays pending.' },
  'approve.events': { text: 'Record why a request stays pending as an Event on its Node.' },
  'approve.leaseNamespace': {
    text: 'Namespace of the Lease by which one of several approvers acts; empty for one that is alone.',
    value: 'NAMESPACE',
  },
  'approve.metricsAddress': { text: 'Serve metrics and /healthz of the approver here.', value: 'HOST:PORT' },
  'approve.deleteTokens': {
    text: 'Delete a token made with certlet token create --once when its node has asked as itself.',
  },
};
