import { isHostName, isNodeName } from '../../pki/dns-name.ts';
import type { KeyAlgorithm } from '../../pki/keys.ts';
import { nodeOf, POLICY_KINDS, put } from '../policy.ts';
import { isUsageSet, NODE_PREFIX, NODES_GROUP, sameSet } from '../request.ts';
import type { Objection, ReadView } from '../view.ts';
import { against, againstAll, quoted, type Rule } from './rule.ts';

/** Rules that look at nothing but the request; they come first, and cost no request to the API server. */
export const REQUEST_RULES: readonly Rule[] = [
  {
    name: 'form',
    demands: 'The request holds what kubelets put into one and nothing else, in bytes that cannot be read in two ways.',
    stops: 'further attributes and extensions, two lists of names, text around the block',
    settings: [],
    kinds: POLICY_KINDS,
    objection: ({ content }) => againstAll(content.oddities),
  },
  {
    name: 'usages',
    demands:
      'Usages are exactly those of kubelets from 1.9 on: digital signature, server auth (or client auth), with or without key encipherment. For entries: those of the entry.',
    stops: 'a serving certificate that can also pose as a client, code signing, a CA',
    settings: ['certificates'],
    kinds: POLICY_KINDS,
    objection: usages,
  },
  {
    name: 'requester',
    demands:
      'The requester is the node itself: user `system:node:NAME` in group `system:nodes`. For first requests: anybody but a node. For entries: a node, or the user named.',
    stops: 'tokens and users that ask for a node’s serving certificate',
    settings: ['certificates'],
    kinds: POLICY_KINDS,
    objection: requester,
  },
  {
    name: 'subject',
    demands: 'Common name is the requester, organization exactly `system:nodes`. For entries: those of the entry.',
    stops: 'certificates of other nodes, `system:masters`',
    settings: ['certificates'],
    kinds: POLICY_KINDS,
    objection: subject,
  },
  {
    name: 'name-kinds',
    demands: 'Names are DNS names of hosts and addresses; at least one and at most `maxNames` of them.',
    stops: 'e-mail addresses, URIs, stars, addresses written as names, a certificate for half the network',
    settings: ['maxNames'],
    kinds: ['serving', 'certificate'],
    objection: nameKinds,
  },
  {
    name: 'no-names',
    demands: 'A client certificate of a kubelet has no names.',
    stops: 'a client certificate that could serve',
    settings: [],
    kinds: ['clientRenewal', 'clientBootstrap'],
    objection: ({ content }) => {
      const count = content.dnsNames.length + content.ipAddresses.length + content.otherNames.length;
      return count === 0 ? undefined : against(`asks for ${String(count)} names, and a client certificate has none`);
    },
  },
  {
    name: 'key',
    demands: 'The key is of a kind and size that `keyAlgorithms` lists, and signed the request.',
    stops: 'short keys, keys that other programs cannot use',
    settings: ['keyAlgorithms'],
    kinds: POLICY_KINDS,
    objection: ({ content, settings }) => {
      const allowed: readonly string[] = settings.keyAlgorithms satisfies readonly KeyAlgorithm[];
      if (allowed.includes(content.keyAlgorithm)) return undefined;
      return against(`has a key of kind ${content.keyAlgorithm}; allowed are ${allowed.join(', ')}`);
    },
  },
  {
    name: 'lifetime',
    demands: 'The lifetime asked for, where one is, is no longer than `maxLifetime`.',
    stops: 'certificates that outlive their node',
    settings: ['maxLifetime'],
    kinds: POLICY_KINDS,
    objection: ({ request, settings }) => {
      const asked = request.expirationSeconds ?? 0;
      const most = settings.maxLifetimeMs / 1000;
      return asked <= most
        ? undefined
        : against(`asks for ${String(asked)} s of life, and ${String(most)} s are allowed`);
    },
  },
];

function usages({ request, policy }: ReadView): Objection | undefined {
  const told = `asks for the usages ${request.usages.map(quoted).join(', ') || 'none'}`;
  if (policy.kind === 'certificate') {
    const wanted = policy.entry?.usages ?? [];
    return policy.entry === undefined || sameSet(request.usages, wanted)
      ? undefined
      : against(`${told}; the entry ${policy.entry.name} has ${wanted.join(', ')}`);
  }
  const auth = policy.kind === 'serving' ? 'server auth' : 'client auth';
  return isUsageSet(request.usages, auth)
    ? undefined
    : against(`${told}; kubelets ask for digital signature, ${auth}, with or without key encipherment`);
}

function requester({ request, policy }: ReadView): Objection | undefined {
  const who = `was made by ${quoted(request.username)}`;
  const isNode = nodeOf(request.username) !== undefined && request.groups.includes(NODES_GROUP);
  if (policy.kind === 'clientBootstrap')
    return request.groups.includes(NODES_GROUP) ? against(`${who}, who is in ${NODES_GROUP} already`) : undefined;
  const wanted = policy.entry?.requester ?? 'node';
  if (wanted !== 'node')
    return request.username === wanted ? undefined : against(`${who}, and the entry is for ${quoted(wanted)}`);
  if (isNode) return undefined;
  return nodeOf(request.username) === undefined
    ? against(`${who}, who is no node`)
    : against(`${who}, who is not in ${NODES_GROUP}`);
}

function subject({ request, policy, content }: ReadView): Objection | undefined {
  const { commonName = '', organizations } = content;
  const reasons: string[] = [];
  if (policy.kind === 'certificate') {
    const { entry, nodeName } = policy;
    if (entry === undefined) return against(`no entry of certificates has the common name ${quoted(commonName)}`);
    const wanted = entry.organizations.map((text) => put(text, nodeName));
    if (
      wanted.includes(undefined) ||
      !sameSet(
        organizations,
        wanted.filter((text) => text !== undefined),
      )
    )
      reasons.push(
        `organizations are ${list(organizations)}; the entry ${entry.name} has ${list(entry.organizations)}`,
      );
    return againstAll(reasons);
  }
  if (policy.nodeName === undefined) reasons.push(`common name is ${quoted(commonName)} and not ${NODE_PREFIX}NAME`);
  else if (!isNodeName(policy.nodeName)) reasons.push(`${quoted(policy.nodeName)} is not the name of a Node`);
  else if (policy.kind !== 'clientBootstrap' && commonName !== request.username)
    reasons.push(`common name is ${quoted(commonName)}, and the requester ${quoted(request.username)}`);
  if (organizations.length !== 1 || organizations[0] !== NODES_GROUP)
    reasons.push(`organizations are ${list(organizations)} and not exactly ${NODES_GROUP}`);
  return againstAll(reasons);
}

const list = (texts: readonly string[]): string => (texts.length === 0 ? 'none' : texts.map(quoted).join(', '));

function nameKinds({ content, policy, settings }: ReadView): Objection | undefined {
  const { dnsNames, ipAddresses, otherNames } = content;
  const count = dnsNames.length + ipAddresses.length + otherNames.length;
  const odd = dnsNames.filter((name) => !isHostName(name.toLowerCase()));
  return againstAll([
    ...(otherNames.length > 0 ? [`asks for ${otherNames.slice(0, 5).map(quoted).join(', ')}`] : []),
    ...(odd.length > 0 ? [`asks for ${odd.slice(0, 5).map(quoted).join(', ')}, which name no one host`] : []),
    ...(count === 0 && policy.kind === 'serving' ? ['asks for no name or address'] : []),
    ...(count > settings.maxNames ? [`asks for ${String(count)} names; ${String(settings.maxNames)} are allowed`] : []),
  ]);
}
