import { createHash } from 'node:crypto';
import type { CertificateFacts } from '../pki/certificate.ts';
import { canonicalIpAddress } from '../pki/ip-address.ts';
import { type CertificateSpec, type KeyUsage, withNodeName, usagesWith } from './spec.ts';

/** What certlet asks the signer for. Lists are de-duplicated and sorted, IP addresses canonical. */
export interface CertificateTemplate {
  /** Name of the spec. */
  readonly purpose: string;
  readonly signerName: string;
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly usages: readonly KeyUsage[];
  /** Asked lifetime; the signer may ignore or shorten it. */
  readonly expirationSeconds?: number;
}

/** What a template takes from outside its spec. */
export interface TemplateFacts {
  readonly nodeName: string;
  /** Host name and addresses of the node, mixed, as settings and Node object tell them; blanks and duplicates are fine. */
  readonly nodeNames: readonly string[];
  /** What the signer was found to want, where that may be negotiated; undefined for what the spec says. */
  readonly keyEncipherment?: boolean | undefined;
}

/**
 * What to ask for now. Where the spec takes the node's names, the node's name is always among them. Names that no certificate can hold are left
 * out: ask `invalidServingNames` for them.
 */
export function templateOf(spec: CertificateSpec, facts: TemplateFacts): CertificateTemplate {
  const { nodeName, nodeNames, keyEncipherment } = facts;
  const listed = spec.names.listed.map((name) => withNodeName(name, nodeName));
  const all = [...(spec.names.ofNode ? [nodeName, ...nodeNames] : []), ...listed].map(tidyName);
  const negotiated = spec.usagesNegotiable && keyEncipherment !== undefined;
  return {
    purpose: spec.name,
    signerName: spec.signerName,
    commonName: withNodeName(spec.commonName, nodeName),
    organizations: spec.organizations.map((organization) => withNodeName(organization, nodeName)),
    dnsNames: sortedUnique(all.filter(isDnsName)),
    ipAddresses: sortedUnique(all.map(canonicalIpAddress).filter((address) => address !== undefined)),
    usages: negotiated ? usagesWith(spec.usages, keyEncipherment) : spec.usages,
    ...(spec.expirationSeconds === undefined ? {} : { expirationSeconds: spec.expirationSeconds }),
  };
}

/** Those of `names` that are neither a DNS name nor an IP address, as they were given; blanks are fine. For complaints about settings. */
export function invalidServingNames(names: readonly string[]): readonly string[] {
  return names.filter((given) => {
    const name = tidyName(given);
    return name !== '' && !isDnsName(name) && canonicalIpAddress(name) === undefined;
  });
}

/**
 * What a certificate in use lacks of the template (CN, an O, a name, an address); extra names are fine, as for the kubelet. Empty means satisfied.
 * In the words of client-go's certificate manager, which people search their journals for: `missing requested DNS names [a b]`.
 */
export function templateMismatches(actual: CertificateFacts, wanted: CertificateTemplate): readonly string[] {
  return [
    ...(actual.commonName === wanted.commonName
      ? []
      : [`common name is ${actual.commonName || 'empty'}, not ${wanted.commonName}`]),
    ...lacking(actual.organizations, wanted.organizations, 'orgs'),
    ...missingNames(actual, wanted),
  ];
}

type Names = Pick<CertificateTemplate, 'dnsNames' | 'ipAddresses'>;

/** Names and addresses that `wanted` has and a certificate or request lacks, in the same words: a pending request is superseded for them. */
export function missingNames(actual: Names, wanted: Names): readonly string[] {
  const dnsNames = actual.dnsNames.map((name) => name.toLowerCase());
  return [
    ...lacking(dnsNames, wanted.dnsNames, 'DNS names'),
    ...lacking(actual.ipAddresses, wanted.ipAddresses, 'IP addresses'),
  ];
}

/** Stable digest of every field of a template (base64url SHA-256), whatever the order within its lists. */
export function templateDigest(template: CertificateTemplate): string {
  const lists = [template.organizations, template.dnsNames, template.ipAddresses, template.usages].map(sortedUnique);
  const fields = [
    template.purpose,
    template.signerName,
    template.commonName,
    ...lists,
    template.expirationSeconds ?? null,
  ];
  return createHash('sha256').update(JSON.stringify(fields)).digest('base64url');
}

/**
 * `node-csr-` + digest over public key (DER SubjectPublicKeyInfo), CN, each O, each DNS name, each address, each usage, signerName and
 * expirationSeconds: the kubelet's recipe, extended by what the kubelet leaves out. Equal names therefore mean equal requests.
 */
export function requestName(publicKeyDer: Uint8Array, template: CertificateTemplate): string {
  const { dnsNames, ipAddresses, usages, signerName, expirationSeconds } = template;
  const lifetime = expirationSeconds === undefined ? [] : [String(expirationSeconds)];
  const subject = [template.commonName, ...template.organizations];
  return digestedName([publicKeyDer, ...subject, ...dnsNames, ...ipAddresses, ...usages, signerName, ...lifetime]);
}

/**
 * The kubelet's name of a request (pkg/kubelet/certificate/bootstrap, digestedName): each field as unpadded base64url followed by `|`,
 * SHA-512/256 over all, base64url again. The kubelet's fields are public key, CN, each O, each usage in its order.
 */
export function digestedName(fields: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha512-256');
  for (const field of fields) hash.update(`${Buffer.from(field).toString('base64url')}|`);
  return `node-csr-${hash.digest('base64url')}`;
}

/** As Go's crypto/x509 reads names: letters, digits, hyphens and underscores, no hyphen at the ends of a label. */
const DNS_NAME = /^(?!.{254})[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** A trailing dot marks a name as absolute in DNS but never stands in certificates (RFC 6125). */
function tidyName(name: string): string {
  return name.trim().toLowerCase().replace(/\.$/, '');
}

/** Numbers and dots alone are a mistyped address, not a name. A number without dots is a legal host name. */
function isDnsName(name: string): boolean {
  return DNS_NAME.test(name) && !/^[\d.]*\.[\d.]*$/.test(name);
}

function sortedUnique(values: readonly string[]): readonly string[] {
  return [...new Set(values)].sort();
}

function lacking(present: readonly string[], wanted: readonly string[], what: string): readonly string[] {
  const missing = wanted.filter((value) => !present.includes(value));
  return missing.length === 0 ? [] : [`missing requested ${what} [${missing.join(' ')}]`];
}
