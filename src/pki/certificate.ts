import type { X509Certificate } from 'node:crypto';
import type { Secret } from '../secret.ts';
import type { PrivateKey } from './keys.ts';

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
  readonly notAfter: Date;
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

/** Reads every CERTIFICATE block of `text`, tolerating text around them. Throws `ERR_CERTIFICATE_INVALID`. */
export declare function parseChain(text: string): CertificateChain;
/** Whether the leaf certifies this key. */
export declare function chainMatchesKey(chain: CertificateChain, key: PrivateKey): boolean;
/** Chain and key out of one combined PEM (any order). Throws `ERR_CERTIFICATE_INVALID`, `ERR_KEY_INVALID` (also when they do not match). */
export declare function parsePair(pem: Secret): CertificatePair;
/** Kubelet order: leaf, intermediates, one key block. */
export declare function encodePair(pair: CertificatePair): Secret;
