import type { PrivateKey } from '../pki/keys.ts';
import type { CertificateTemplate } from './template.ts';
import type { CertificateSigningRequest } from './wire.ts';

/** What an object says about the request (F2.5, F2.6). A certificate without Approved is ignored; Denied and Failed count by type. */
export type RequestOutcome =
  | { readonly kind: 'pending'; readonly approved: boolean }
  | { readonly kind: 'issued'; readonly certificatePem: string }
  | { readonly kind: 'denied'; readonly reason: string; readonly message: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string; readonly usages: boolean }
  | { readonly kind: 'changed uid' };

/** `uid` undefined means that the request has not been posted by us yet (adopting after a 409). */
export declare function requestOutcome(csr: CertificateSigningRequest, uid: string | undefined): RequestOutcome;
/** The compare on 409 (F1.6): subject, signerName where both have one, signature by our key, usages, SANs, nothing expired. Empty means ours. */
export declare function requestIncompatibilities(
  csr: CertificateSigningRequest,
  ours: { readonly requestPem: string; readonly template: CertificateTemplate; readonly key: PrivateKey; readonly now: Date },
): readonly string[];
