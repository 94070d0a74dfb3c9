import { parseAlternativeNames } from './alternative-names.ts';
import { bareHost, canonicalIpAddress } from './ip-address.ts';

/** The names of a certificate that can be a server's; addresses in canonical text. */
export interface HostNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Why a certificate is not one for `host`; undefined when it is. */
export type NameProblem = 'no-names' | 'other-names';

/**
 * Whether a server's certificate is for `host` (a name or an address, brackets allowed), by Go's rules (crypto/x509 `VerifyHostname`): the
 * subject alternative names alone count, never the common name; a star stands for the whole first label and nothing else; a dot at the
 * end of the host is no part of its name. `alternativeNames` is the text that Node gives.
 */
export function serverNameProblem(host: string, alternativeNames: string | undefined): NameProblem | undefined {
  const names = parseAlternativeNames(alternativeNames ?? '');
  const { dnsNames, ipAddresses } = names;
  if (namesHost(names, host)) return undefined;
  return dnsNames.length === 0 && ipAddresses.length === 0 ? 'no-names' : 'other-names';
}

/** Whether `host` (a name or an address, brackets allowed) is one of the names, by the same rules. */
export function namesHost({ dnsNames, ipAddresses }: HostNames, host: string): boolean {
  const bare = bareHost(host);
  const canonical = canonicalIpAddress(bare);
  // IPv4 with leading zeros is no address to Go.
  const address = bare.includes(':') || canonical === bare ? canonical : undefined;
  return address === undefined ? dnsNames.some((name) => covers(name, bare)) : ipAddresses.includes(address);
}

/** A name as it goes into SNI (RFC 6066 3): without dots at its end. */
export function withoutFinalDots(name: string): string {
  // The lookbehind keeps a long row of dots from costing the square of its length.
  return name.replace(/(?<!\.)\.+$/, '');
}

function covers(pattern: string, host: string): boolean {
  const [wanted, given] = [pattern.toLowerCase(), host.toLowerCase()];
  const name = given.replace(/\.$/, '');
  if (name === '') return false;
  if (wanted === given || wanted === name) return true;
  const below = /^[^.]+\.(.+)$/.exec(name)?.[1];
  return below !== undefined && wanted === `*.${below}`;
}
