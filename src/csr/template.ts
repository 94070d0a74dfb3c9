import type { CertificateFacts } from '../pki/certificate.ts';

/** The two certificates of a node. */
export type Purpose = 'client' | 'serving';
export const PURPOSES: readonly Purpose[] = ['client', 'serving'];

export type KeyUsage = 'digital signature' | 'key encipherment' | 'client auth' | 'server auth';

/** What certlet asks the signer for. Lists are de-duplicated and sorted, IP addresses canonical. */
export interface CertificateTemplate {
  readonly purpose: Purpose;
  readonly signerName: string;
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly usages: readonly KeyUsage[];
  /** Asked lifetime; the signer may ignore or shorten it. */
  readonly expirationSeconds?: number;
}

export interface TemplateOptions {
  readonly nodeName: string;
  /** Three usages (with key encipherment) or two: F2.3. */
  readonly keyEncipherment: boolean;
  readonly expirationSeconds?: number;
}

/** CN `system:node:<name>`, O `system:nodes`, no SANs; signer `kubernetes.io/kube-apiserver-client-kubelet`. */
export declare function clientTemplate(options: TemplateOptions): CertificateTemplate;
/** The same subject with SANs; `names` may hold host names and addresses mixed, blanks and duplicates. */
export declare function servingTemplate(options: TemplateOptions, names: readonly string[]): CertificateTemplate;
/** What a certificate in use lacks of the template (CN, an O, a name, an address); extra names are fine (F2.4). Empty means satisfied. */
export declare function templateMismatches(actual: CertificateFacts, wanted: CertificateTemplate): readonly string[];
/** Names and addresses that `wanted` has and `requested` lacks: reason to supersede a pending serving request. */
export declare function templateGains(requested: CertificateTemplate, wanted: CertificateTemplate): readonly string[];
/** Stable digest of every field of a template (base64url SHA-256). */
export declare function templateDigest(template: CertificateTemplate): string;
/** `certlet-` or kubelet-like `node-csr-` + base64url SHA-512/256 over SPKI, subject, SANs, usages, signerName, expirationSeconds (F1.5 extended). */
export declare function requestName(publicKeyDer: Uint8Array, template: CertificateTemplate): string;
