import { JsonFields } from '../csr/json-fields.ts';
import { canonicalIpAddress } from '../pki/ip-address.ts';
import type { NodeEntry } from './nodes.ts';

/** kubeadm's of today and before 1.24, and RKE's. */
export const CONTROL_PLANE_LABELS: readonly string[] = ['control-plane', 'master', 'controlplane'].map(
  (role) => `node-role.kubernetes.io/${role}`,
);

/**
 * What an approver keeps of a Node object. Every address counts by what it is and not by its type: a `Hostname` may be an address. Copies its
 * texts, so that the text of the whole object is not held by them. Throws `ERR_API_PROTOCOL`.
 */
export function decodeNodeEntry(json: unknown, withholdLabel: string): NodeEntry {
  const object = new JsonFields(json, 'Node', 'ERR_API_PROTOCOL');
  const metadata = object.object('metadata');
  const name = own(metadata.filledText('name'));
  const listed = object.has('status') ? object.object('status').objects('addresses') : [];
  const texts = listed.map((entry) => own(entry.text('address').toLowerCase()));
  const addresses = texts.map(canonicalIpAddress);
  const labels = metadata.has('labels') ? metadata.object('labels') : undefined;
  return {
    name,
    names: [...new Set([name, ...texts.filter((_, index) => addresses[index] === undefined)])],
    addresses: [...new Set(addresses.filter((address) => address !== undefined))],
    isBeingDeleted: metadata.has('deletionTimestamp'),
    isWithheld: labels?.has(withholdLabel) === true,
    isControlPlane: CONTROL_PLANE_LABELS.some((label) => labels?.has(label) === true),
  };
}

/** V8 keeps the text that another one was cut from as long as the part lives. */
const own = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');
