import { parseIpAddress } from './ip-address.ts';

/** RFC 1123 subdomain, as the API server validates names of Nodes. */
export const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** RFC 1035 2.3.4; also the limit for names in Kubernetes. */
export const MAX_DNS_LENGTH = 253;

/** Whether a Node may be called `name`: an address, too, as installations without DNS call theirs. */
export function isNodeName(name: string): boolean {
  return name.length <= MAX_DNS_LENGTH && DNS_SUBDOMAIN.test(name);
}

/** Whether `name` (in lower case) is a DNS name of one host: no star, no dot at its end, no text of an address. */
export function isHostName(name: string): boolean {
  return isNodeName(name) && parseIpAddress(name) === undefined && !/^[0-9.]+$/.test(name);
}
