/** The rows that the fake cluster answers in its own tests, sent to a real API server: so the fake cannot drift from the truth. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { CONVERSATION_TOKENS, conversationProblems } from '../fixtures/cluster/conversation.ts';
import type { CredentialKind } from '../fixtures/cluster/conversation.ts';
import { conversations } from '../fixtures/cluster/conversations.ts';
import { send } from '../fixtures/cluster/plain-client.ts';
import type { PlainTarget } from '../fixtures/cluster/plain-client.ts';
import { capabilities, controlPlaneMissing } from './fixtures/assets.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { eventually } from '../fixtures/eventually.ts';
import { withControlPlane } from './fixtures/suite.ts';

const TITLE = 'the real API server answers each row as the fake cluster does';
const GROUP = 'system:bootstrappers:conversation';
const NODE = { commonName: 'system:node:n1', organizations: ['system:nodes'] };

/** Rows of the static token file. */
const users = [
  { token: 'static-token', user: 'kubelet-bootstrap', uid: '10001', groups: 'system:bootstrappers:static' },
  { token: 'plain-token', user: 'jane', uid: '10002', groups: '' },
];

/** What a credential is made of; without an entry it is a token, or nobody. */
function certificateFor(plane: ControlPlane, kind: CredentialKind): Partial<PlainTarget> {
  const { authority } = plane.authority;
  const expired = { ...NODE, notAfter: new Date(Date.now() - 60_000) };
  const makers: Partial<Record<CredentialKind, () => { readonly chainPem: string; readonly keyPem: string }>> = {
    'node certificate': () => authority.issue(NODE),
    'node certificate and unknown token': () => authority.issue(NODE),
    'admin certificate': () => authority.issue({ commonName: 'admin', organizations: ['system:masters'] }),
    'expired node certificate': () => authority.issue(expired),
    'expired node certificate and bootstrap token': () => authority.issue(expired),
    'foreign node certificate': () => createAuthority({ name: 'foreign' }).issue(NODE),
    'server certificate': () => authority.issue({ ...NODE, usages: ['server auth'] }),
  };
  const issued = makers[kind]?.();
  return issued === undefined ? {} : { cert: issued.chainPem, key: issued.keyPem };
}

async function setUp(plane: ControlPlane): Promise<void> {
  for (const name of ['n1', 'n2']) {
    await plane.admin.want('/api/v1/nodes', {
      method: 'POST',
      body: { apiVersion: 'v1', kind: 'Node', metadata: { name } },
    });
  }
  await plane.createBootstrapToken({ id: 'abcdef', secret: '0123456789abcdef', extraGroups: [GROUP] });
  await plane.createBootstrapToken({ id: 'nobody', secret: '0123456789abcdef' });
  const bind = (role: string, groups: readonly string[]): Promise<string> =>
    plane.kubectl([
      'create',
      'clusterrolebinding',
      `conversation-${role.replaceAll(/[:.]/g, '-')}`,
      `--clusterrole=${role}`,
      ...groups.map((group) => `--group=${group}`),
    ]);
  const automatic = 'system:certificates.k8s.io:certificatesigningrequests';
  await bind('system:node-bootstrapper', [GROUP, 'system:bootstrappers:static']);
  await bind(`${automatic}:nodeclient`, [GROUP]);
  await bind(`${automatic}:selfnodeclient`, ['system:nodes']);
  // The authorizer learns of bindings and Nodes through watches of its own.
  const token = 'abcdef.0123456789abcdef';
  await eventually('the bindings to take effect', async () =>
    (await plane.admin.call(plane.csrPath, { token })).status === 200 ? true : undefined,
  );
}

/** The rows were written from 1.20; other versions word some answers differently. */
async function cannot(): Promise<string | undefined> {
  if (controlPlaneMissing() !== undefined) return undefined;
  const { release, version, insecurePort } = await capabilities();
  const same = release === undefined ? insecurePort : release[0] === 1 && release[1] >= 19 && release[1] <= 21;
  return same ? undefined : `kube-apiserver ${version} is not of the version (1.19 to 1.21) that the rows describe`;
}

const reason = await cannot();
if (reason === undefined) {
  // Nobody approves or signs while the rows are sent.
  await withControlPlane(t, { rbac: [], users, controllerManager: false, clusterInfo: true }, async (plane) => {
    await setUp(plane);
    t.test(TITLE, async (t) => {
      for (const row of conversations()) {
        const token = CONVERSATION_TOKENS[row.as];
        const target = {
          url: plane.server,
          ca: readFileSync(plane.caPath, 'utf8'),
          ...(token === undefined ? {} : { token }),
          ...certificateFor(plane, row.as),
        };
        const answer = await send(target, row);
        t.strictSame(conversationProblems(row, answer), [], `${row.as}: ${row.name}`);
      }
    });
  });
} else {
  t.test(TITLE, { skip: reason }, async () => undefined);
}
