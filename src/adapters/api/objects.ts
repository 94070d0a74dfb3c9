import { shellWord } from '../../remedy.ts';
import { CertletError } from '../../errors.ts';
import { UNINITIALIZED_TAINT } from '../../kubelet/node-addresses.ts';
import type { NodeFacts } from '../../ports.ts';

type Json = Readonly<Record<string, unknown>>;

/** Whether an APIResourceList has certificatesigningrequests. Throws `ERR_API_PROTOCOL`. */
export function servesCsrs(json: unknown): boolean {
  const resources = objectOf(json, 'APIResourceList')['resources'];
  if (!Array.isArray(resources)) throw malformed('APIResourceList', 'resources');
  const entries: readonly unknown[] = resources;
  return entries.some((entry) => isJson(entry) && entry['name'] === 'certificatesigningrequests');
}

/** What a SelfSubjectAccessReview says. Throws `ERR_API_PROTOCOL`. */
export function decodeReview(json: unknown): boolean {
  const status = objectOf(json, 'SelfSubjectAccessReview')['status'];
  if (!isJson(status) || typeof status['allowed'] !== 'boolean')
    throw malformed('SelfSubjectAccessReview', 'status.allowed');
  return status['allowed'];
}

/** The parts of a Node that certlet reads; a fresh Node has neither addresses nor version yet. Throws `ERR_API_PROTOCOL`. */
export function decodeNode(json: unknown): NodeFacts {
  const node = objectOf(json, 'Node');
  objectOf(node['metadata'], 'Node', 'metadata');
  const status = node['status'] === undefined ? {} : objectOf(node['status'], 'Node', 'status');
  const info = status['nodeInfo'] === undefined ? {} : objectOf(status['nodeInfo'], 'Node', 'status.nodeInfo');
  const addresses = status['addresses'] ?? [];
  if (!Array.isArray(addresses)) throw malformed('Node', 'status.addresses');
  const entries: readonly unknown[] = addresses;
  const spec = node['spec'] === undefined ? {} : objectOf(node['spec'], 'Node', 'spec');
  const taints = spec['taints'] ?? [];
  if (!Array.isArray(taints)) throw malformed('Node', 'spec.taints');
  const tainted = taints.some((taint: unknown) => isJson(taint) && taint['key'] === UNINITIALIZED_TAINT);
  return {
    addresses: entries.map((entry) => {
      const { type, address } = objectOf(entry, 'Node', 'status.addresses');
      if (typeof type !== 'string' || typeof address !== 'string') throw malformed('Node', 'status.addresses');
      return { type, address };
    }),
    kubeletVersion: textOf(info['kubeletVersion'], 'status.nodeInfo.kubeletVersion'),
    ...(tainted ? { uninitialized: true } : {}),
    ...kubeletPort(status),
  };
}

/** Absent while no kubelet has reported. */
function kubeletPort(status: Json): { readonly kubeletPort?: number } {
  const { daemonEndpoints } = status;
  const endpoint = isJson(daemonEndpoints) ? daemonEndpoints['kubeletEndpoint'] : undefined;
  const port = isJson(endpoint) ? endpoint['Port'] : undefined;
  return typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= 65_535 ? { kubeletPort: port } : {};
}

/** Neither version is served. */
export function unsupported(server: string): CertletError {
  return new CertletError(
    'ERR_API_UNSUPPORTED',
    `${server} serves certificatesigningrequests neither in certificates.k8s.io/v1 nor in v1beta1`,
    { remedy: `curl -k ${shellWord(server)}/version   # is it a Kubernetes API server of 1.9 or later?` },
  );
}

function textOf(value: unknown, field: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') throw malformed('Node', field);
  return value;
}

function objectOf(value: unknown, kind: string, field?: string): Json {
  if (!isJson(value)) throw malformed(kind, field ?? 'the object');
  if (field === undefined && 'kind' in value && value['kind'] !== kind) throw malformed(kind, 'kind');
  return value;
}

function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function malformed(kind: string, field: string): CertletError {
  return new CertletError('ERR_API_PROTOCOL', `the answer is no ${kind}: ${field} is missing or of another type`, {
    remedy: '# Check that server in the kubeconfig names the API server.',
  });
}
