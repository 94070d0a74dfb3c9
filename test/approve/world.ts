/** A fake cluster with Nodes and roles, an administrator's kubeconfig, and requests of nodes as they would be made. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { CommandHost } from '../fixtures/command-host.ts';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { kubeconfigText } from '../fixtures/cluster/kubeconfig-text.ts';
import { defaultBindings } from '../fixtures/cluster/roles.ts';
import type { FakeClusterOptions } from '../fixtures/cluster/settings.ts';
import { testRequestPem, type TestRequestOptions } from '../fixtures/cluster/test-request.ts';
import { SERVING_SIGNER } from '../../src/approve/settings.ts';
import { SERVING_USAGES } from './requests.ts';

/** The guides' role for serving certificates. */
export const SELF_NODE_SERVER = {
  role: 'selfnodeserver',
  groups: ['system:nodes'],
  rules: [
    { verbs: ['create'], group: 'certificates.k8s.io', resources: ['certificatesigningrequests/selfnodeserver'] },
  ],
};

export const NODES = [1, 2].map((index) => ({
  name: `n${String(index)}`,
  addresses: [
    { type: 'Hostname', address: `n${String(index)}` },
    { type: 'InternalIP', address: `192.0.2.${String(index)}` },
  ],
}));

export async function fakeCluster(t: Test, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const bindings = [...defaultBindings(true), SELF_NODE_SERVER];
  const cluster = await startFakeCluster({ nodes: NODES, bindings, ...options });
  t.teardown(() => cluster.close());
  return cluster;
}

/** A kubeconfig for a client certificate of this subject, by default an administrator's. */
export function kubeconfigFor(
  cluster: FakeCluster,
  subject: { readonly commonName: string; readonly organizations: readonly string[] } = {
    commonName: 'admin',
    organizations: ['system:masters'],
  },
): string {
  const { chainPem, keyPem } = cluster.clientCa.issue(subject);
  return kubeconfigText({
    server: cluster.url,
    caPem: cluster.serverCa.pem,
    clientCertificatePem: chainPem,
    clientKeyPem: keyPem,
  });
}

/** A host with an administrator's kubeconfig at `admin`. */
export function adminHost(
  t: Test,
  cluster: FakeCluster,
  settings: Readonly<Record<string, unknown>> = {},
): { readonly host: CommandHost; readonly admin: string } {
  const host = new CommandHost(t, settings);
  const admin = join(host.folder, 'admin.conf');
  writeFileSync(admin, kubeconfigFor(cluster), { mode: 0o600 });
  chmodSync(host.folder, 0o755);
  return { host, admin };
}

export interface ServingParts {
  readonly node?: string;
  readonly content?: TestRequestOptions;
  readonly signerName?: string;
  readonly usages?: readonly string[];
  readonly username?: string;
  readonly groups?: readonly string[];
}

/** A serving request of a node, as if it had made it. */
export function ask(cluster: FakeCluster, name: string, parts: ServingParts = {}): void {
  const { node = 'n1', content = {}, signerName = SERVING_SIGNER, usages = SERVING_USAGES } = parts;
  const common = { commonName: `system:node:${node}`, dnsNames: [node], ipAddresses: [`192.0.2.${node.slice(1)}`] };
  cluster.addRequest({
    name,
    generateName: undefined,
    requestPem: testRequestPem({ ...common, ...content }),
    signerName,
    usages,
    expirationSeconds: undefined,
    username: parts.username ?? `system:node:${node}`,
    userUid: undefined,
    groups: parts.groups ?? ['system:nodes', 'system:authenticated'],
    conditions: [],
    certificatePem: undefined,
  });
}

/** Type and message of what was decided about a request. */
export function conditionOf(cluster: FakeCluster, name: string): string {
  const found = cluster.csrs.find((request) => request.name === name)?.conditions[0];
  return found === undefined ? '' : `${found.type} ${found.reason}: ${found.message}`;
}
