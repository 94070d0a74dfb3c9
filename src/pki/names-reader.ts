import { readElement, readElements, unlessMalformed } from './der-reader.ts';
import { canonicalIpAddress } from './ip-address.ts';
import type { HostNames } from './server-names.ts';
import type { CertificateFields } from './x509-reader.ts';

/** The names of a certificate as its bytes tell them. */
export interface ReadNames extends HostNames {
  /** False where any name has a form that some Go refuses the whole certificate for; URIs, which Go parses, count as such. */
  readonly plain: boolean;
}

const SUBJECT_ALT_NAME = '551d11';
const SEQUENCE = 0x30;
/** GeneralName (RFC 5280 4.2.1.6); the tags are implicit and primitive. */
const TAG = { email: 0x81, dns: 0x82, uri: 0x86, address: 0x87 } as const;
/** Go's validHostname for a pattern: labels of letters, digits, `_` and `-` not in front; a star for the first one. */
const PATTERN = /^(?:\*\.)?[a-z0-9_][a-z0-9_-]*(?:\.[a-z0-9_][a-z0-9_-]*)*$/i;

const NONE: ReadNames = { dnsNames: [], ipAddresses: [], plain: true };

/** What subjectAltName says of servers, read without Node's text of it. Never throws. */
export function readServerNames(certificate: CertificateFields): ReadNames {
  const found = certificate.extensions.filter(({ type }) => type === SUBJECT_ALT_NAME);
  const [extension] = found;
  if (extension === undefined) return NONE;
  const names = generalNames(extension.value);
  if (names === undefined || found.length > 1) return { ...NONE, plain: false };
  const of = (tag: number): readonly Uint8Array[] =>
    names.filter((name) => name.tag === tag).map(({ content }) => content);
  const [dns, addresses] = [of(TAG.dns), of(TAG.address).map(addressText)];
  const dnsNames = dns.filter(isAscii).map((name) => Buffer.from(name).toString('latin1'));
  return {
    dnsNames,
    ipAddresses: addresses.filter((text) => text !== undefined),
    plain:
      [...dns, ...of(TAG.email)].every(isAscii) &&
      dnsNames.every((name) => PATTERN.test(name)) &&
      addresses.every((text) => text !== undefined) &&
      of(TAG.uri).length === 0,
  };
}

function generalNames(value: Uint8Array): ReturnType<typeof readElements> | undefined {
  // What is no DER makes Go take the whole certificate for broken.
  return unlessMalformed(() => {
    const list = readElement(value);
    return list.tag === SEQUENCE ? readElements(list.content) : undefined;
  });
}

/** Four or sixteen bytes as canonical text; undefined for any other length. */
export function addressText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return [...bytes].join('.');
  if (bytes.length !== 16) return undefined;
  return canonicalIpAddress(
    Buffer.from(bytes)
      .toString('hex')
      .replaceAll(/(.{4})(?=.)/g, '$1:'),
  );
}

function isAscii(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte < 0x80);
}
