/** Requests and facts for tests of the rules: good ones, with what a row wants otherwise. */
import { testRequestPem, type TestRequestOptions } from '../fixtures/cluster/test-request.ts';
import { decodeSigningRequest, type SigningRequest } from '../../src/approve/request.ts';
import { policyOf, type Policy } from '../../src/approve/policy.ts';
import { type ApproveSettings, SERVING_SIGNER } from '../../src/approve/settings.ts';
import type { ClusterFacts } from '../../src/approve/view.ts';
import { NodeIndex } from '../../src/approve/nodes.ts';
import { decide, type Decision } from '../../src/approve/decide.ts';
import { loadApproverSettings } from '../../src/config.ts';

export const NOW = new Date('2030-01-01T12:00:00Z');
export const SERVING_USAGES = ['digital signature', 'key encipherment', 'server auth'];
export const CLIENT_USAGES = ['digital signature', 'key encipherment', 'client auth'];

export interface RequestParts {
  readonly pem?: string;
  readonly content?: TestRequestOptions;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly conditions?: readonly unknown[];
}

/** The object as an API server tells it: a kubelet's serving request of node n1. */
export function requestObject(parts: RequestParts = {}): Record<string, unknown> {
  const pem = parts.pem ?? testRequestPem({ dnsNames: ['n1'], ipAddresses: ['192.0.2.1'], ...parts.content });
  return {
    metadata: {
      name: 'csr-1',
      uid: 'uid-1',
      resourceVersion: '7',
      creationTimestamp: '2030-01-01T11:00:00Z',
      ...parts.metadata,
    },
    spec: {
      request: Buffer.from(pem).toString('base64'),
      signerName: SERVING_SIGNER,
      usages: SERVING_USAGES,
      username: 'system:node:n1',
      groups: ['system:nodes', 'system:authenticated'],
      ...parts.spec,
    },
    status: parts.conditions === undefined ? {} : { conditions: parts.conditions },
  };
}

export const requestOf = (parts: RequestParts = {}): SigningRequest => decodeSigningRequest(requestObject(parts));

/** Settings as a file with these lines below `approve` gives them. */
export function settingsWith(approve: Readonly<Record<string, unknown>> = {}): ApproveSettings {
  return loadApproverSettings(JSON.stringify({ approve }), '/c.yaml').approve;
}

/** Node n1 and n2 as their kubelets tell them, n1 bound to selfnodeserver. */
export function factsWith(parts: Partial<ClusterFacts> = {}): ClusterFacts {
  const nodes = new NodeIndex();
  const plain = { isBeingDeleted: false, isWithheld: false, isControlPlane: false };
  nodes.put({ name: 'n1', names: ['n1', 'n1.example'], addresses: ['192.0.2.1', '2001:db8::1'], ...plain });
  nodes.put({ name: 'n2', names: ['n2'], addresses: ['192.0.2.2'], ...plain });
  return {
    now: NOW,
    permission: { allowed: true, reason: '' },
    node: nodes.get('n1'),
    othersWith: (text, name) => nodes.othersWith(text, name),
    inventory: undefined,
    reserved: undefined,
    resolved: () => undefined,
    approvals: 0,
    ...parts,
  };
}

/** What the rules make of it. Throws where the settings have nothing to do with the request. */
export function decisionOn(
  parts: RequestParts,
  approve: Readonly<Record<string, unknown>> = {},
  facts: ClusterFacts | undefined = factsWith(),
): Decision {
  const settings = settingsWith(approve);
  const request = requestOf(parts);
  const policy: Policy | undefined = policyOf(request, settings);
  if (policy === undefined) throw new RangeError('not this approver’s');
  return decide({ request, policy, settings, facts });
}
