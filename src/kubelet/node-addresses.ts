/**
 * The types of a Node's addresses, in the order in which an API server goes through them to dial a kubelet unless
 * `--kubelet-preferred-address-types` says otherwise (pkg/kubeapiserver/options, NewServerRunOptions).
 */
export const NODE_ADDRESS_TYPES = ['Hostname', 'InternalDNS', 'InternalIP', 'ExternalDNS', 'ExternalIP'] as const;
export type NodeAddressType = (typeof NODE_ADDRESS_TYPES)[number];

/** What an address of this type is, whatever its text looks like; undefined for types that certlet does not know. */
export function addressKind(type: string): 'name' | 'address' | undefined {
  const known = NODE_ADDRESS_TYPES.find((each) => each === type);
  if (known === undefined) return undefined;
  return known === 'InternalIP' || known === 'ExternalIP' ? 'address' : 'name';
}

/** The taint of a Node whose cloud controller has not given it its addresses yet (k8s.io/cloud-provider/api, TaintExternalCloudProvider). */
export const UNINITIALIZED_TAINT = 'node.cloudprovider.kubernetes.io/uninitialized';
