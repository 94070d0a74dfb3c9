/** The approver's rules as tables: what passes, and what each rule stops with its reason. */
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { RULES } from '../../src/approve/decide.ts';
import { parseInventory } from '../../src/approve/inventory.ts';
import { policyOf } from '../../src/approve/policy.ts';
import { CLIENT_SIGNER } from '../../src/approve/settings.ts';
import { bindingGroup } from '../../src/token/binding.ts';
import type { ClusterFacts } from '../../src/approve/view.ts';
import { testRequestPem } from '../fixtures/cluster/test-request.ts';
import {
  CLIENT_USAGES,
  decisionOn,
  factsWith,
  NOW,
  type RequestParts,
  requestOf,
  SERVING_USAGES,
  settingsWith,
} from './requests.ts';

const inventory = parseInventory(
  JSON.stringify({ nodes: [{ name: 'n1', addresses: ['192.0.2.0/28', '2001:db8::/64'], namesMatch: ['n1-[a-z]+'] }] }),
  '/i.yaml',
);
const reservedBy = ({
  never = [],
  apiServers = [],
}: {
  never?: readonly string[];
  apiServers?: readonly string[];
}) => ({
  never,
  apiServers: new Set(apiServers),
});
const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).privateKey;
const bootstrap = (extra: readonly string[]): Readonly<Record<string, unknown>> => ({
  signerName: CLIENT_SIGNER,
  usages: CLIENT_USAGES,
  username: 'system:bootstrap:abcdef',
  groups: ['system:bootstrappers', ...extra, 'system:authenticated'],
});
const noPermission: ClusterFacts = factsWith({ permission: { allowed: false, reason: '' } });
const noNames = { dnsNames: [], ipAddresses: [] };
const renewal = { content: noNames, spec: { signerName: CLIENT_SIGNER, usages: CLIENT_USAGES } };
const proxy = {
  name: 'kube-proxy',
  signerName: 'kubernetes.io/kube-apiserver-client',
  commonName: 'system:kube-proxy',
  organizations: ['system:node-proxier'],
  usages: ['digital signature', 'client auth'],
};
const proxyRequest = {
  content: { commonName: 'system:kube-proxy', organizations: ['system:node-proxier'], ...noNames },
  spec: { signerName: proxy.signerName, usages: proxy.usages },
};

interface Row {
  readonly name: string;
  readonly request?: RequestParts;
  readonly approve?: Readonly<Record<string, unknown>>;
  readonly facts?: ClusterFacts;
}

const passing: readonly Row[] = [
  { name: 'a kubelet of 1.20: three usages' },
  { name: 'a kubelet of 1.36: two usages', request: { spec: { usages: ['digital signature', 'server auth'] } } },
  { name: 'an RSA key', request: { content: { key: rsa(2048) } } },
  { name: 'IPv6 in another spelling', request: { content: { ipAddresses: ['2001:DB8:0:0::0001'] } } },
  { name: 'an IPv4 address mapped into IPv6', request: { content: { ipAddresses: ['::ffff:192.0.2.1'] } } },
  {
    name: 'a Node that is called by its address, as installations of binaries do: it used to be no name of a Node',
    request: {
      content: { commonName: 'system:node:192.0.2.1', dnsNames: [], ipAddresses: ['192.0.2.1'] },
      spec: { username: 'system:node:192.0.2.1' },
    },
    facts: factsWith({
      node: {
        name: '192.0.2.1',
        names: ['192.0.2.1'],
        addresses: ['192.0.2.1'],
        isBeingDeleted: false,
        isWithheld: false,
        isControlPlane: false,
      },
      othersWith: () => [],
    }),
  },
  { name: 'a name in capitals', request: { content: { dnsNames: ['N1.Example'] } } },
  { name: 'without roles where permission is off', approve: { permission: false }, facts: noPermission },
  { name: 'a lifetime that is the cap', request: { spec: { expirationSeconds: 31_536_000 } } },
  {
    name: 'by inventory, the Node is not there yet',
    approve: { namesFrom: 'inventory', inventory: '/i' },
    facts: factsWith({ node: undefined, inventory }),
    request: { content: { dnsNames: ['n1', 'n1-storage'], ipAddresses: ['192.0.2.9', '2001:db8::9'] } },
  },
  {
    name: 'in both, the Node and the inventory',
    approve: { namesFrom: 'both', inventory: '/i' },
    facts: factsWith({ inventory }),
    request: { content: { ipAddresses: ['192.0.2.1'] } },
  },
  {
    name: 'one name by the Node and another by the inventory',
    approve: { namesFrom: 'either', inventory: '/i' },
    facts: factsWith({ inventory }),
    request: { content: { dnsNames: ['n1.example', 'n1-storage'] } },
  },
  {
    name: 'a name that resolves to the node alone, with dns',
    approve: { dns: true },
    facts: factsWith({ resolved: () => ['192.0.2.1'] }),
    request: { content: { dnsNames: ['alias.example'] } },
  },
  {
    name: 'a host of the control plane, by its label',
    facts: factsWith({
      reserved: reservedBy({ apiServers: ['n1', '192.0.2.1'] }),
      node: {
        name: 'n1',
        names: ['n1'],
        addresses: ['192.0.2.1'],
        isBeingDeleted: false,
        isWithheld: false,
        isControlPlane: true,
      },
    }),
  },
  {
    name: 'a host of the control plane, by its own entry of the inventory',
    approve: { namesFrom: 'either', inventory: '/i' },
    facts: factsWith({
      inventory: parseInventory('nodes: [{name: n1, addresses: [192.0.2.1]}]', '/i.yaml'),
      reserved: reservedBy({ apiServers: ['n1', '192.0.2.1'] }),
    }),
  },
  {
    name: "an API server's name that an entry lists",
    approve: { certificates: [{ ...proxy, commonName: '{nodeName}', names: ['api.example'] }] },
    request: {
      content: { commonName: 'n1', organizations: ['system:node-proxier'], dnsNames: ['api.example'], ipAddresses: [] },
      spec: { signerName: proxy.signerName, usages: proxy.usages },
    },
    facts: factsWith({ reserved: reservedBy({ apiServers: ['api.example'] }) }),
  },
  { name: 'a renewal of the client certificate', approve: { clientRenewals: true }, request: renewal },
  {
    name: 'a first request with a bound token',
    approve: { clientBootstrap: 'bound' },
    request: { content: noNames, spec: bootstrap([bindingGroup('n1')]) },
    facts: factsWith({ permission: { allowed: false, reason: '' }, node: undefined }),
  },
  { name: 'an entry of the allow-list', approve: { certificates: [proxy] }, request: proxyRequest },
  {
    name: 'an entry with names of the node',
    approve: { certificates: [{ ...proxy, commonName: '{nodeName}', names: ['node', 'exporter.{nodeName}'] }] },
    request: {
      content: { commonName: 'n1', organizations: ['system:node-proxier'], dnsNames: ['n1', 'exporter.n1'] },
      spec: { signerName: proxy.signerName, usages: proxy.usages },
    },
  },
  {
    name: 'an entry for one user',
    approve: { certificates: [{ ...proxy, requester: 'jane' }] },
    request: { ...proxyRequest, spec: { ...proxyRequest.spec, username: 'jane', groups: [] } },
  },
];

for (const { name, request = {}, approve, facts } of passing) {
  t.test(`approved: ${name}`, async (t) => {
    const decision = decisionOn(request, approve, facts);
    t.strictSame(decision.failures, []);
    t.equal(decision.verdict, 'approve');
    t.ok(decision.passed.length > 4);
  });
}

type Stopped = Row & { readonly rule: string; readonly reason: RegExp; readonly later?: true };

const stopped: readonly Stopped[] = [
  {
    name: 'client auth besides',
    rule: 'usages',
    reason: /"client auth"/,
    request: { spec: { usages: [...SERVING_USAGES, 'client auth'] } },
  },
  { name: 'no usages', rule: 'usages', reason: /usages none/, request: { spec: { usages: [] } } },
  {
    name: 'key encipherment alone',
    rule: 'usages',
    reason: /kubelets ask/,
    request: { spec: { usages: ['key encipherment', 'server auth'] } },
  },
  {
    name: 'a bootstrap token asks for a serving certificate',
    rule: 'requester',
    reason: /"system:bootstrap:abcdef", who is no node/,
    request: { spec: { username: 'system:bootstrap:abcdef', groups: ['system:bootstrappers'] } },
  },
  {
    name: 'a user called like a node',
    rule: 'requester',
    reason: /not in system:nodes/,
    request: { spec: { groups: ['system:authenticated'] } },
  },
  {
    name: "another node's name",
    rule: 'subject',
    reason: /common name is "system:node:n2", and the requester "system:node:n1"/,
    request: { content: { commonName: 'system:node:n2' } },
  },
  {
    name: 'the group system:masters',
    rule: 'subject',
    reason: /"system:masters" and not exactly system:nodes/,
    request: { content: { organizations: ['system:masters'] } },
  },
  {
    name: 'a second group',
    rule: 'subject',
    reason: /organizations/,
    request: { content: { organizations: ['system:nodes', 'system:masters'] } },
  },
  { name: 'no group', rule: 'subject', reason: /organizations are none/, request: { content: { organizations: [] } } },
  {
    name: 'a common name that is no node',
    rule: 'subject',
    reason: /and not system:node:NAME/,
    request: { content: { commonName: 'admin' } },
  },
  {
    name: 'an e-mail address',
    rule: 'name-kinds',
    reason: /email:a@example.com/,
    request: { content: { emails: ['a@example.com'] } },
  },
  { name: 'a URI', rule: 'name-kinds', reason: /URI:spiffe/, request: { content: { uris: ['spiffe://x/y'] } } },
  { name: 'a star', rule: 'name-kinds', reason: /no one host/, request: { content: { dnsNames: ['*.example'] } } },
  {
    name: 'a dot at the end',
    rule: 'name-kinds',
    reason: /no one host/,
    request: { content: { dnsNames: ['n1.example.'] } },
  },
  {
    name: 'an address as a name',
    rule: 'name-kinds',
    reason: /no one host/,
    request: { content: { dnsNames: ['192.0.2.1'] } },
  },
  { name: 'no name at all', rule: 'name-kinds', reason: /no name or address/, request: { content: noNames } },
  {
    name: 'ten names',
    rule: 'name-kinds',
    reason: /10 names; 9 are allowed/,
    request: { content: { dnsNames: 'abcdefghi'.split(''), ipAddresses: ['192.0.2.1'] } },
  },
  { name: 'a short RSA key', rule: 'key', reason: /RSA-1024/, request: { content: { key: rsa(1024) } } },
  {
    name: 'an EC key where RSA alone is allowed',
    rule: 'key',
    reason: /ECDSA-P256/,
    approve: { keyAlgorithms: ['RSA-2048'] },
  },
  { name: 'two years', rule: 'lifetime', reason: /63072000 s/, request: { spec: { expirationSeconds: 63_072_000 } } },
  {
    name: 'signed with another key',
    rule: 'form',
    reason: /not signed by its own key/,
    request: { content: { signingKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } },
  },
  { name: 'no request at all', rule: 'form', reason: /no PKCS#10/, request: { pem: 'x' } },
  {
    name: 'text before the block',
    rule: 'form',
    reason: /text around/,
    request: { pem: `a: b\n${testRequestPem({ dnsNames: ['n1'] })}` },
  },
  {
    name: 'two blocks',
    rule: 'form',
    reason: /text around/,
    request: { pem: testRequestPem({ dnsNames: ['n1'] }) + testRequestPem({ dnsNames: ['n2'] }) },
  },
  {
    name: 'the role is not bound',
    rule: 'permission',
    reason: /may not create certificatesigningrequests\/selfnodeserver/,
    facts: noPermission,
  },
  {
    name: 'an address of nobody',
    rule: 'own-names',
    reason: /"192.0.2.77" is not known as n1's/,
    request: { content: { ipAddresses: ['192.0.2.77'] } },
  },
  {
    name: "another node's address",
    rule: 'own-names',
    reason: /"192.0.2.2" is not known/,
    request: { content: { ipAddresses: ['192.0.2.2'] } },
  },
  {
    name: "another node's address, which this one claims too",
    rule: 'others-names',
    reason: /"192.0.2.2" stands in the Node n2/,
    request: { content: { ipAddresses: ['192.0.2.2'] } },
    facts: {
      ...factsWith(),
      node: {
        name: 'n1',
        names: ['n1'],
        addresses: ['192.0.2.2'],
        isBeingDeleted: false,
        isWithheld: false,
        isControlPlane: false,
      },
    },
  },
  {
    name: 'the Node is not there yet',
    rule: 'own-names',
    reason: /no Node n1 yet/,
    later: true,
    facts: factsWith({ node: undefined }),
  },
  {
    name: 'a new address that the Node may tell in a moment',
    rule: 'own-names',
    reason: /192.0.2.77/,
    later: true,
    request: { content: { ipAddresses: ['192.0.2.77'] } },
    facts: factsWith({ now: new Date('2030-01-01T11:01:00Z') }),
  },
  {
    name: 'not in the inventory',
    rule: 'own-names',
    reason: /"192.0.2.99"/,
    approve: { namesFrom: 'inventory', inventory: '/i' },
    request: { content: { ipAddresses: ['192.0.2.99'] } },
    facts: factsWith({ inventory }),
  },
  {
    name: 'in the Node, and not in the inventory',
    rule: 'own-names',
    reason: /"n1.example"/,
    approve: { namesFrom: 'both', inventory: '/i' },
    request: { content: { dnsNames: ['n1.example'] } },
    facts: factsWith({ inventory, node: undefined }),
  },
  {
    name: 'a name that resolves elsewhere as well, with dns',
    rule: 'own-names',
    reason: /alias/,
    approve: { dns: true },
    request: { content: { dnsNames: ['alias.example'] } },
    facts: factsWith({ resolved: () => ['192.0.2.1', '192.0.2.2'] }),
  },
  {
    name: "the API server's name",
    rule: 'never',
    reason: /"kubernetes.default.svc" is on the list/,
    request: { content: { dnsNames: ['n1', 'kubernetes.default.svc'] } },
  },
  {
    name: 'loopback in another spelling',
    rule: 'never',
    reason: /"::1"/,
    request: { content: { ipAddresses: ['0:0::1'] } },
  },
  {
    name: 'a service address',
    rule: 'never',
    reason: /"10.96.0.1"/,
    approve: { never: ['10.96.0.0/12'] },
    request: { content: { ipAddresses: ['10.96.0.1'] } },
  },
  {
    name: "the API server's name in a cluster with a domain of its own",
    rule: 'never',
    reason: /"kubernetes.default.svc.corp.example" is on the list/,
    request: { content: { dnsNames: ['n1', 'kubernetes.default.svc.corp.example'] } },
  },
  {
    name: 'an address of the Services, by what the cluster tells',
    rule: 'never',
    reason: /"10.96.0.1" is on the list/,
    facts: factsWith({ reserved: reservedBy({ never: ['10.96.0.0/12'] }) }),
    request: { content: { ipAddresses: ['10.96.0.1'] } },
  },
  {
    name: "an API server's address that the node has written into its own status, whose host is no Node",
    rule: 'api-server',
    reason:
      /^"192.0.2.1" is the API server's, and neither the label node-role.kubernetes.io\/control-plane nor an entry of the inventory for n1/,
    facts: factsWith({ reserved: reservedBy({ apiServers: ['192.0.2.1'] }) }),
  },
  {
    name: "the API server's name as the name of a node",
    rule: 'api-server',
    reason: /^"n1", "n1.example" are the API server's/,
    request: { content: { dnsNames: ['N1', 'n1.example'] } },
    facts: factsWith({ reserved: reservedBy({ apiServers: ['n1', 'n1.example'] }) }),
  },
  {
    name: "an API server's address in a range of the inventory that is for many nodes",
    rule: 'api-server',
    reason: /"192.0.2.1"/,
    approve: { namesFrom: 'either', inventory: '/i' },
    facts: factsWith({ inventory, reserved: reservedBy({ apiServers: ['192.0.2.1'] }) }),
  },
  {
    name: 'a host of a control plane that kubeadm has not labelled yet',
    rule: 'api-server',
    reason: /"192.0.2.1"/,
    later: true,
    request: { metadata: { creationTimestamp: '2030-01-01T11:59:30Z' } },
    facts: factsWith({ reserved: reservedBy({ apiServers: ['192.0.2.1'] }) }),
  },
  {
    name: 'the Node is being deleted',
    rule: 'node',
    reason: /being deleted/,
    later: true,
    facts: factsWith({
      node: {
        name: 'n1',
        names: ['n1'],
        addresses: ['192.0.2.1'],
        isBeingDeleted: true,
        isWithheld: false,
        isControlPlane: false,
      },
    }),
  },
  {
    name: 'the Node has the label',
    rule: 'node',
    reason: /certlet-withhold/,
    later: true,
    facts: factsWith({
      node: {
        name: 'n1',
        names: ['n1'],
        addresses: ['192.0.2.1'],
        isBeingDeleted: false,
        isWithheld: true,
        isControlPlane: false,
      },
    }),
  },
  {
    name: 'too many in the hour',
    rule: 'pace',
    reason: /10 requests/,
    later: true,
    facts: factsWith({ approvals: 10 }),
  },
  {
    name: 'a renewal with names',
    rule: 'no-names',
    reason: /2 names/,
    approve: { clientRenewals: true },
    request: { spec: renewal.spec },
  },
  {
    name: 'a token of another node',
    rule: 'binding',
    reason: /not bound to the node "n1"/,
    approve: { clientBootstrap: 'bound' },
    request: { content: noNames, spec: bootstrap([bindingGroup('n2')]) },
    facts: noPermission,
  },
  {
    name: 'a token that may have any node approved',
    rule: 'binding',
    reason: /ClusterRoleBinding "x"/,
    approve: { clientBootstrap: 'bound' },
    request: { content: noNames, spec: bootstrap([bindingGroup('n1')]) },
    facts: factsWith({ permission: { allowed: true, reason: 'RBAC: allowed by ClusterRoleBinding "x"' } }),
  },
  {
    name: 'no entry of that common name',
    rule: 'subject',
    reason: /no entry of certificates/,
    approve: { certificates: [proxy] },
    request: { ...proxyRequest, content: { ...proxyRequest.content, commonName: 'admin' } },
  },
  {
    name: 'an entry with another organization',
    rule: 'subject',
    reason: /system:masters/,
    approve: { certificates: [proxy] },
    request: { ...proxyRequest, content: { ...proxyRequest.content, organizations: ['system:masters'] } },
  },
  {
    name: 'an entry with names that it does not have',
    rule: 'own-names',
    reason: /"n1"/,
    approve: { certificates: [proxy] },
    request: { ...proxyRequest, content: { ...proxyRequest.content, dnsNames: ['n1'] } },
  },
  {
    name: 'an entry for another user',
    rule: 'requester',
    reason: /the entry is for "jane"/,
    approve: { certificates: [{ ...proxy, requester: 'jane' }] },
    request: proxyRequest,
  },
];

for (const row of stopped) {
  t.test(`stopped by ${row.rule}: ${row.name}`, async (t) => {
    const decision = decisionOn(row.request ?? {}, row.approve, row.facts);
    const failure = decision.failures.find(({ rule }) => rule === row.rule);
    t.match(failure?.reason, row.reason);
    t.equal(failure?.later, row.later ?? false);
    t.not(decision.verdict, 'approve');
    if (row.later === true && decision.failures.length === 1) t.equal(decision.verdict, 'wait');
  });
}

for (const row of [
  { name: 'by another requester', username: 'system:node:n2', usages: proxy.usages, entry: 'two' },
  { name: 'with other usages', username: 'system:node:n1', usages: ['client auth'], entry: 'three' },
  { name: 'by whom no entry has', username: 'system:node:n3', usages: proxy.usages, entry: 'one' },
  { name: 'with usages that no entry has', username: 'system:node:n2', usages: ['server auth'], entry: 'two' },
]) {
  t.test(`of entries with one subject the first hid the others: asked for ${row.name}`, async (t) => {
    const certificates = [
      { ...proxy, name: 'one', requester: 'system:node:n1' },
      { ...proxy, name: 'two', requester: 'system:node:n2' },
      { ...proxy, name: 'three', requester: 'system:node:n1', usages: ['client auth'] },
    ];
    const request = requestOf({ ...proxyRequest, spec: { ...proxyRequest.spec, ...row } });
    t.equal(policyOf(request, settingsWith({ certificates }))?.entry?.name, row.entry);
  });
}

t.test('a subject with thousands of organizations was told in megabytes', async (t) => {
  const organizations = Array.from({ length: 5000 }, (_, index) => `o${String(index)}`);
  const { failures } = decisionOn({ content: { organizations } });
  t.match(failures, [{ rule: 'subject', reason: /^organizations are "o0", "o1",.*…$/ }]);
  t.equal(failures[0]?.reason.length, 2000);
});

t.test('every rule stops something in the table above', async (t) => {
  const tried = new Set(stopped.map(({ rule }) => rule));
  t.strictSame(
    RULES.map(({ name }) => name).filter((name) => !tried.has(name)),
    [],
  );
});

for (const row of [
  { name: 'client certificates of nodes by default', request: renewal, approve: {} },
  {
    name: 'first requests while renewals alone are on',
    request: { ...renewal, spec: bootstrap([]) },
    approve: { clientRenewals: true },
  },
  { name: 'signers that no entry has', request: proxyRequest, approve: {} },
  { name: 'serving requests when they are off', request: {}, approve: { serving: false } },
]) {
  t.test(`not this approver's: ${row.name}`, async (t) => {
    t.equal(policyOf(requestOf(row.request), settingsWith(row.approve)), undefined);
  });
}

t.test('a server before 1.18 tells no signer: usages and subject do', async (t) => {
  t.equal(requestOf({ spec: { signerName: undefined } }).signerName, 'kubernetes.io/kubelet-serving');
  t.equal(requestOf({ ...renewal, spec: { ...renewal.spec, signerName: undefined } }).signerName, CLIENT_SIGNER);
  const other = requestOf({ content: { commonName: 'jane' }, spec: { signerName: undefined } });
  t.equal(other.signerName, 'kubernetes.io/legacy-unknown');
});

t.test('what was decided and when', async (t) => {
  const approved = { type: 'Approved', reason: 'x', message: '', lastUpdateTime: '2030-01-01T11:59:00Z' };
  t.has(requestOf({ conditions: [approved] }), { decided: 'Approved', approvedAt: new Date('2030-01-01T11:59:00Z') });
  t.match(requestOf({ conditions: [{ type: 'Denied' }] }), { decided: 'Denied', approvedAt: undefined });
  t.equal(requestOf().decided, undefined);
  t.ok(requestOf().createdAt < NOW);
});
