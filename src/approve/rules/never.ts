import { canonicalIpAddress } from '../../pki/ip-address.ts';
import { parseIpRange, rangeHolds } from '../../pki/ip-range.ts';

/**
 * What belongs to no node in any cluster, whatever the settings say: the API server's own names, with whatever domain the cluster has, and what
 * every host calls itself.
 */
export const NEVER: readonly string[] = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc.*',
  '*.svc',
  '*.svc.cluster.local',
  '127.0.0.0/8',
  '0.0.0.0/8',
  '::/127',
];

/** Whether an entry of `never` can be read: a name, a name with a star in front, an address or a range. */
export function isNeverEntry(text: string): boolean {
  return parseIpRange(text) !== undefined || /^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text);
}

/** Whether the list, or that of `NEVER`, holds this name or address. A star stands for any labels in front, or behind; a name is compared in lower case. */
export function isNever(text: string, never: readonly string[]): boolean {
  const address = canonicalIpAddress(text);
  return [...NEVER, ...never].some((entry) => {
    const range = parseIpRange(entry);
    if (range !== undefined) return address !== undefined && rangeHolds(range, address);
    const name = text.toLowerCase();
    if (entry.endsWith('.*')) return name.startsWith(entry.slice(0, -1));
    return entry.startsWith('*.') ? name.endsWith(entry.slice(1)) : name === entry;
  });
}
