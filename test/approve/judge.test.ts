/** What a judgement asks of others, and that it asks nothing for requests which need no answer. */
import t from 'tap';
import { Cluster } from '../../src/approve/cluster.ts';
import { ApprovalCounts } from '../../src/approve/counts.ts';
import { judge, type JudgeParts } from '../../src/approve/judge.ts';
import { NodeIndex } from '../../src/approve/nodes.ts';
import { ReservedNames } from '../../src/approve/reserved.ts';
import type { ClusterApi } from '../../src/approve/ports.ts';
import { CLIENT_SIGNER } from '../../src/approve/settings.ts';
import { bindingGroup } from '../../src/token/binding.ts';
import { CLIENT_USAGES, NOW, type RequestParts, requestOf, settingsWith } from './requests.ts';

interface World {
  readonly request?: RequestParts;
  readonly approve?: Readonly<Record<string, unknown>>;
  readonly allowed?: boolean;
  readonly approvals?: number;
  readonly resolved?: readonly string[];
}

/** The judgement, and what was asked on the way. */
async function judged(
  { request, approve = {}, allowed = true, approvals = 0, resolved }: World,
  lookUp?: JudgeParts['lookUp'],
) {
  const asked: unknown[] = [];
  const api: Pick<ClusterApi, 'request' | 'serverNames'> = {
    serverNames: () => ({ dnsNames: [], ipAddresses: ['192.0.2.100'] }),
    request: async (_method, _path, body) => {
      asked.push(
        (body as { spec: { resourceAttributes: { subresource: string } } }).spec.resourceAttributes.subresource,
      );
      return { status: { allowed } };
    },
  };
  const [nodes, counts] = [new NodeIndex(), new ApprovalCounts(100)];
  const plain = { isBeingDeleted: false, isWithheld: false, isControlPlane: false };
  nodes.put({ name: 'n1', names: ['n1'], addresses: ['192.0.2.1'], ...plain });
  for (let index = 0; index < approvals; index += 1) counts.note('n1', String(index), NOW);
  const parts = {
    cluster: new Cluster(api as ClusterApi, 'v1'),
    settings: settingsWith(approve),
    nodes,
    counts,
    inventory: () => undefined,
    reserved: new ReservedNames(),
    lookUp:
      lookUp ??
      (async (name: string) => {
        asked.push(name);
        return resolved;
      }),
    now: () => NOW,
  };
  const judgement = await judge(requestOf(request), parts, new AbortController().signal);
  return {
    asked,
    verdict: judgement?.decision.verdict,
    rules: judgement?.decision.failures.map(({ rule }) => rule),
  };
}

t.test('names that resolve slowly, one after another, kept the approver from showing that it is alive', async (t) => {
  const names = Array.from({ length: 9 }, (_, index) => `slow-${String(index)}.example`);
  const asked: string[] = [];
  const slow = Promise.withResolvers<undefined>();
  const lookUp = async (name: string) => {
    asked.push(name);
    return slow.promise;
  };
  const request = { content: { dnsNames: names, ipAddresses: [] } };
  const done = judged({ request, approve: { dns: true, permission: false } }, lookUp);
  await new Promise(setImmediate);
  t.strictSame(asked, names, 'all are asked for before the first answer');
  slow.resolve(undefined);
  t.match(await done, { verdict: 'refuse', rules: ['own-names'] });
});

const noNames = { dnsNames: [], ipAddresses: [] };
const client = { signerName: CLIENT_SIGNER, usages: CLIENT_USAGES };
const first = {
  ...client,
  username: 'system:bootstrap:abcdef',
  groups: ['system:bootstrappers', bindingGroup('n1')],
};
const entry = {
  name: 'web',
  signerName: 'example.com/web',
  commonName: 'web',
  organizations: [],
  usages: ['server auth'],
};
const dns = { approve: { dns: true } };

const rows: readonly (World & {
  readonly name: string;
  readonly asked: readonly string[];
  readonly verdict?: string;
  readonly rules?: readonly string[];
})[] = [
  {
    name: 'a good serving request',
    asked: ['selfnodeserver'],
    verdict: 'approve',
    rules: [],
  },
  {
    name: 'no role',
    allowed: false,
    asked: ['selfnodeserver'],
    verdict: 'refuse',
    rules: ['permission'],
  },
  {
    name: 'permission off',
    approve: { permission: false },
    allowed: false,
    asked: [],
    verdict: 'approve',
    rules: [],
  },
  {
    name: 'another signer',
    request: { spec: { signerName: 'example.com/x' } },
    asked: [],
  },
  {
    name: 'serving off',
    approve: { serving: false, clientRenewals: true },
    asked: [],
  },
  {
    name: 'renewals off',
    request: { content: noNames, spec: client },
    asked: [],
  },
  {
    name: 'a renewal',
    approve: { clientRenewals: true },
    request: { content: noNames, spec: client },
    asked: ['selfnodeclient'],
    verdict: 'approve',
    rules: [],
  },
  {
    name: 'a first request, where permission is off: asked all the same',
    approve: { clientBootstrap: 'bound', permission: false },
    request: { content: noNames, spec: first },
    allowed: true,
    asked: ['nodeclient'],
    verdict: 'refuse',
    rules: ['binding'],
  },
  {
    name: 'an entry, for which no subresource is',
    approve: { certificates: [entry] },
    request: {
      content: { commonName: 'web', organizations: [], ...noNames },
      spec: { signerName: entry.signerName, usages: entry.usages },
    },
    asked: [],
    verdict: 'approve',
    rules: [],
  },
  {
    name: 'no PKCS#10',
    request: { pem: 'x' },
    ...dns,
    asked: [],
    verdict: 'refuse',
    rules: ['form'],
  },
  {
    name: 'other usages',
    request: { spec: { usages: [] } },
    ...dns,
    asked: [],
    verdict: 'refuse',
    rules: ['usages'],
  },
  {
    name: 'a star, with dns',
    request: { content: { dnsNames: ['*.x'] } },
    ...dns,
    asked: [],
    verdict: 'refuse',
    rules: ['name-kinds'],
  },
  {
    name: 'a name in capitals, with dns',
    request: { content: { dnsNames: ['Alias.Example'] } },
    resolved: ['192.0.2.1'],
    ...dns,
    asked: ['alias.example', 'selfnodeserver'],
    verdict: 'approve',
    rules: [],
  },
  ...[undefined, [], ['192.0.2.2'], ['192.0.2.1', '192.0.2.2']].map((resolved) => ({
    name: `a name that resolves to ${resolved === undefined ? 'no answer' : resolved.join(' and ') || 'nothing'}`,
    request: { content: { dnsNames: ['alias.example'] } },
    ...(resolved === undefined ? {} : { resolved }),
    ...dns,
    asked: ['alias.example', 'selfnodeserver'],
    verdict: 'refuse',
    rules: ['own-names'],
  })),
  {
    name: 'a name where dns is off',
    request: { content: { dnsNames: ['alias.example'] } },
    asked: ['selfnodeserver'],
    verdict: 'refuse',
    rules: ['own-names'],
  },
  {
    name: 'a node that asks too often',
    approvals: 100,
    asked: ['selfnodeserver'],
    verdict: 'wait',
    rules: ['pace'],
  },
];

for (const { name, asked, verdict, rules, ...world } of rows) {
  t.test(`a judgement on ${name}`, async (t) => {
    t.strictSame(await judged(world), { asked, verdict, rules });
  });
}
