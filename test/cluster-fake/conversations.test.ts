import t from 'tap';
import { createAuthority, type Issued } from '../fixtures/cluster/authority.ts';
import { CONVERSATION_TOKENS, type CredentialKind, conversationProblems } from '../fixtures/cluster/conversation.ts';
import { conversations } from '../fixtures/cluster/conversations.ts';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { type PlainTarget, send } from '../fixtures/cluster/plain-client.ts';
import { ROLES } from '../fixtures/cluster/roles.ts';

const GROUP = 'system:bootstrappers:conversation';
const NODE = { commonName: 'system:node:n1', organizations: ['system:nodes'] };

function certificateFor(cluster: FakeCluster, kind: CredentialKind): Partial<PlainTarget> {
  const { clientCa } = cluster;
  const makers: Partial<Record<CredentialKind, () => Issued>> = {
    'node certificate': () => clientCa.issue(NODE),
    'node certificate and unknown token': () => clientCa.issue(NODE),
    'admin certificate': () => clientCa.issue({ commonName: 'admin', organizations: ['system:masters'] }),
    'expired node certificate': () => clientCa.issue({ ...NODE, notAfter: new Date(Date.now() - 60_000) }),
    'expired node certificate and bootstrap token': () =>
      clientCa.issue({ ...NODE, notAfter: new Date(Date.now() - 60_000) }),
    'foreign node certificate': () => createAuthority({ name: 'foreign' }).issue(NODE),
    'server certificate': () => clientCa.issue({ ...NODE, usages: ['server auth'] }),
  };
  const issued = makers[kind]?.();
  return issued === undefined ? {} : { cert: issued.chainPem, key: issued.keyPem };
}

function target(cluster: FakeCluster, kind: CredentialKind): PlainTarget {
  const token = CONVERSATION_TOKENS[kind];
  return {
    url: cluster.url,
    ca: cluster.serverCa.pem,
    ...(token === undefined ? {} : { token }),
    ...certificateFor(cluster, kind),
  };
}

for (const http2 of [false, true])
  t.test(`the fake cluster answers as API server 1.20 (HTTP/2 ${http2 ? 'offered' : 'not offered'})`, async (t) => {
    const cluster = await startFakeCluster({
      version: '1.20',
      http2,
      approval: 'never',
      nodes: [{ name: 'n1' }, { name: 'n2' }],
      bootstrapTokens: [
        { id: 'abcdef', secret: '0123456789abcdef', groups: [GROUP] },
        { id: 'nobody', secret: '0123456789abcdef', groups: [] },
      ],
      staticTokens: [
        { token: 'static-token', user: 'kubelet-bootstrap', uid: '10001', groups: ['system:bootstrappers:static'] },
        { token: 'plain-token', user: 'jane', uid: '10002' },
      ],
      bindings: [
        { role: ROLES.nodeBootstrapper, groups: [GROUP, 'system:bootstrappers:static'] },
        { role: ROLES.nodeClient, groups: [GROUP] },
        { role: ROLES.selfNodeClient, groups: ['system:nodes'] },
        { role: ROLES.clusterInfo, users: ['system:anonymous'] },
      ],
    });
    t.teardown(() => cluster.close());
    for (const row of conversations()) {
      const answer = await send(target(cluster, row.as), row);
      t.strictSame(conversationProblems(row, answer), [], `${row.as}: ${row.name}`);
    }
  });
