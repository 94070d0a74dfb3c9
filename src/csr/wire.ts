import type { KeyUsage } from './template.ts';

export type CsrApiVersion = 'v1' | 'v1beta1';

export interface CsrCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** The parts of a CertificateSigningRequest that certlet reads, of either API version. */
export interface CertificateSigningRequest {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  /** PEM of the PKCS#10 request. */
  readonly requestPem: string;
  readonly signerName: string | undefined;
  readonly usages: readonly string[];
  readonly expirationSeconds: number | undefined;
  readonly username: string;
  readonly conditions: readonly CsrCondition[];
  /** `status.certificate` as text (already base64-decoded), undefined while not issued. */
  readonly certificatePem: string | undefined;
}

export interface CsrToCreate {
  readonly name: string;
  readonly requestPem: string;
  readonly signerName: string;
  readonly usages: readonly KeyUsage[];
  readonly expirationSeconds?: number;
}

/** One event of a watch; BOOKMARK carries only the resourceVersion; ERROR carries the Status code (410 means start again). */
export type CsrWatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: CertificateSigningRequest }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | { readonly type: 'ERROR'; readonly code: number; readonly message: string };

/** JSON body for the POST. v1beta1 carries the signerName too (F2.1). */
export declare function encodeCsr(version: CsrApiVersion, csr: CsrToCreate): string;
/** Checked decode of one object. Throws `ERR_API_PROTOCOL` naming the field. */
export declare function decodeCsr(json: unknown): CertificateSigningRequest;
/** Checked decode of one watch line. Throws `ERR_API_PROTOCOL`. */
export declare function decodeWatchEvent(json: unknown): CsrWatchEvent;
