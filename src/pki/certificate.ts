import { X509Certificate } from 'node:crypto';
import { CertletError } from '../errors.ts';
import { Secret } from '../secret.ts';
import { parseAlternativeNames } from './alternative-names.ts';
import { claimsAuthority } from './basic-constraints.ts';
import { unreadableCurve } from './curves.ts';
import { commonNameOf, NAME_TYPE } from './distinguished-name.ts';
import { encodePrivateKey, parsePrivateKey, type PrivateKey } from './keys.ts';
import { describePem, encodePem, type PemBlock, pemBlocks } from './pem.ts';
import { fieldsOfCertificate } from './x509-reader.ts';

/** What certlet needs to know of one X.509 certificate. IP addresses are in canonical text (RFC 5952). */
export interface CertificateFacts {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Subject alternative names of other kinds (email, URI, …), as OpenSSL prints them. */
  readonly otherNames: readonly string[];
  readonly extendedKeyUsages: readonly ('client auth' | 'server auth' | (string & {}))[];
  readonly notBefore: Date;
  /** Of a chain's leaf: when the first certificate of the chain ends, since nobody takes the leaf any longer than that. */
  readonly notAfter: Date;
  /** Subject of the certificate of the chain that ends before its leaf does; absent where that is the leaf itself. */
  readonly endsWith?: string;
  /** Lower-case hex without leading zeros or separators. */
  readonly serial: string;
  /** Lower-case hex SHA-256 of the DER, without separators. */
  readonly fingerprint: string;
  /** One-line subject and issuer for people, such as `O=system:nodes, CN=system:node:n1`. */
  readonly subject: string;
  readonly issuer: string;
  readonly isCa: boolean;
  /** Issuer equals subject and its own key signed it. */
  readonly selfSigned: boolean;
}

/** A leaf and its intermediates in that order, at least one certificate. */
export interface CertificateChain {
  /** Re-encoded `CERTIFICATE` blocks without headers or text around them, leaf first, ending in a newline. */
  readonly pem: string;
  readonly leaf: CertificateFacts;
  readonly certificates: readonly X509Certificate[];
}

export interface CertificatePair {
  readonly chain: CertificateChain;
  readonly key: PrivateKey;
}

/** Well above any chain or CA bundle (the web's whole root store takes a quarter), well below what hurts a small host. */
const MAX_CHARACTERS = 1024 * 1024;
const USAGE_NAMES: Readonly<Record<string, string>> = {
  '1.3.6.1.5.5.7.3.1': 'server auth',
  '1.3.6.1.5.5.7.3.2': 'client auth',
};

/**
 * Reads every CERTIFICATE block of `text`, tolerating text around them. Throws `ERR_CERTIFICATE_INVALID`, also for a key on a curve that
 * neither kubelet nor API server reads: one such certificate anywhere in a chain makes Go refuse the handshake.
 */
export function parseChain(text: string): CertificateChain {
  const certificates = splitCertificates(text).map(parseCertificate);
  for (const [index, certificate] of certificates.entries()) refuseOddCurve(certificate, index);
  const [leaf] = certificates;
  if (leaf === undefined) throw invalid('no certificate');
  return {
    pem: certificates.map((certificate) => encodePem('CERTIFICATE', certificate.raw)).join(''),
    leaf: chainFacts(leaf, certificates.slice(1)),
    certificates,
  };
}

/** The leaf's facts with the end of the whole chain: kubelets take a file with any expired certificate in it for expired, and so do servers. */
function chainFacts(leaf: X509Certificate, issuers: readonly X509Certificate[]): CertificateFacts {
  const own = certificateFacts(leaf);
  return issuers.reduce<CertificateFacts>((facts, issuer) => {
    const notAfter = issuer.validToDate;
    if (Number.isNaN(notAfter.getTime())) throw invalid('the dates of an intermediate cannot be read');
    return notAfter < facts.notAfter ? { ...facts, notAfter, endsWith: oneLine(issuer.subject) } : facts;
  }, own);
}

/**
 * The CERTIFICATE blocks of a bundle, each as a PEM of its own without headers: `X509Certificate` and Node's TLS read only the
 * first of several in some places. At least one. Throws `ERR_CERTIFICATE_INVALID` saying what was found instead.
 */
export function splitCertificates(text: string): readonly string[] {
  if (text.length > MAX_CHARACTERS)
    throw invalid(
      `${String(text.length)} characters are too many for certificates, ${String(MAX_CHARACTERS)} are allowed`,
    );
  const blocks = pemBlocks(text);
  const certificates = blocks.filter((block) => block.label === 'CERTIFICATE');
  if (certificates.length === 0)
    throw invalid(`expected a CERTIFICATE block, found ${describePem(blocks, text.length)}`);
  return certificates.map((block, index) => encodePem('CERTIFICATE', derOf(block, index)));
}

/** The facts of one certificate. Throws `ERR_CERTIFICATE_INVALID` where OpenSSL cannot read a field. */
export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  try {
    return readFacts(certificate);
  } catch (error) {
    if (error instanceof CertletError) throw error;
    throw invalid('a field of the certificate cannot be read', error);
  }
}

/** What tells one certificate from another, of any that OpenSSL reads. */
export function certificateMarks(certificate: X509Certificate): Pick<CertificateFacts, 'serial' | 'fingerprint'> {
  return {
    serial: certificate.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

/** Whether the leaf certifies this key. */
export function chainMatchesKey(chain: CertificateChain, key: PrivateKey): boolean {
  return chain.certificates[0]?.checkPrivateKey(key.object) ?? false;
}

/** Chain and key out of one combined PEM (any order). Throws `ERR_CERTIFICATE_INVALID`, `ERR_KEY_INVALID` (also when they do not match). */
export function parsePair(pem: Secret): CertificatePair {
  const chain = parseChain(pem.reveal());
  const key = parsePrivateKey(pem);
  if (!chainMatchesKey(chain, key))
    throw new CertletError(
      'ERR_KEY_INVALID',
      `the private key is not the one that the certificate ${chain.leaf.subject} is for`,
    );
  return { chain, key };
}

/** Kubelet order: leaf, intermediates, one key block. */
export function encodePair(pair: CertificatePair): Secret {
  return new Secret(pair.chain.pem + encodePrivateKey(pair.key).reveal());
}

/** Whether `issuer` is named by and has signed `certificate`; false as well where OpenSSL cannot read a key. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && isSignedBy(certificate, issuer);
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.verify(issuer.publicKey);
  } catch {
    // A key of an algorithm that this OpenSSL does not know has signed nothing that it could check.
    return false;
  }
}

function derOf(block: PemBlock, index: number): Uint8Array {
  if (block.der === undefined) throw invalid(`CERTIFICATE block ${String(index + 1)} is cut off or no base64`);
  return block.der;
}

function parseCertificate(pem: string, index: number): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw invalid(`CERTIFICATE block ${String(index + 1)} does not hold an X.509 certificate`, error);
  }
}

function refuseOddCurve(certificate: X509Certificate, index: number): void {
  const curve = unreadableCurve(certificate);
  if (curve === undefined) return;
  throw invalid(
    `CERTIFICATE block ${String(index + 1)} (${oneLine(certificate.subject)}) has a key on the curve ${curve}, which no kubelet and no API server can read`,
  );
}

/** Never by `toLegacyObject()`, which ends the process for a key on a curve without a NIST name (Node 26.10). */
function readFacts(certificate: X509Certificate): CertificateFacts {
  const fields = fieldsOfCertificate(certificate);
  const subject = fields.subjectNames;
  const names = parseAlternativeNames(certificate.subjectAltName ?? '');
  const [notBefore, notAfter] = [certificate.validFromDate, certificate.validToDate];
  if (Number.isNaN(notBefore.getTime()) || Number.isNaN(notAfter.getTime())) throw invalid('its dates cannot be read');
  return {
    commonName: commonNameOf(subject) ?? '',
    organizations: subject.flatMap(({ type, value }) =>
      type === NAME_TYPE.organization && value !== undefined ? [value] : [],
    ),
    ...names,
    // Node's `keyUsage` gives the OIDs of the *extended* key usage.
    extendedKeyUsages: (certificate.keyUsage ?? []).map((oid) => USAGE_NAMES[oid] ?? oid),
    notBefore,
    notAfter,
    ...certificateMarks(certificate),
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    isCa: certificate.ca || claimsAuthority(fields),
    // Not `checkIssued`: that asks for the right to sign certificates, which a self-signed server certificate lacks.
    selfSigned: certificate.subject === certificate.issuer && isSignedBy(certificate, certificate),
  };
}

/** Subject or issuer as `X509Certificate` gives it, on one line. Node has undefined for an empty name, whatever its types say. */
export function oneLine(name: string | undefined): string {
  return (name ?? '').trim().split('\n').join(', ');
}

function invalid(message: string, cause?: unknown): CertletError {
  return new CertletError('ERR_CERTIFICATE_INVALID', message, cause === undefined ? {} : { cause });
}
