import { type Remedy, byHand } from '../remedy.ts';
import { timestamp } from '../timestamp.ts';
import { CertletError } from '../errors.ts';
import { parseChain } from '../pki/certificate.ts';
import type { PrivateKey } from '../pki/keys.ts';
import { requestDifferences } from '../pki/request-differences.ts';
import type { Approval } from './past-request.ts';
import type { CertificateTemplate } from './template.ts';
import type { CertificateSigningRequest, CsrCondition } from './wire.ts';

/** What the signers of kube-controller-manager say when the set of usages is not the one that they want. */
const USAGES_REFUSED = /usages did not match/i;

/** What an object says about the request. A certificate without Approved is ignored; Denied and Failed count by type. */
export type RequestOutcome =
  | { readonly kind: 'pending'; readonly approved: boolean }
  | { readonly kind: 'issued'; readonly certificatePem: string; readonly approval: Approval }
  | { readonly kind: 'denied'; readonly reason: string; readonly message: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string; readonly usages: boolean }
  | { readonly kind: 'changed uid' };

/** The request as we recorded it before the POST. */
export interface OwnRequest {
  readonly requestPem: string;
  readonly template: CertificateTemplate;
  readonly key: PrivateKey;
  readonly now: Date;
}

/** `uid` undefined means that the request has not been posted by us yet (adopting after a 409). */
export function requestOutcome(csr: CertificateSigningRequest, uid: string | undefined): RequestOutcome {
  if (uid !== undefined && csr.uid !== uid) return { kind: 'changed uid' };
  // By type alone, as client-go does: v1beta1 before 1.19 has no status, and v1 allows these types no other status than True.
  const condition = (type: string): CsrCondition | undefined => csr.conditions.find((entry) => entry.type === type);
  const denied = condition('Denied');
  if (denied !== undefined) return { kind: 'denied', reason: denied.reason, message: denied.message };
  const failed = condition('Failed');
  if (failed !== undefined)
    return {
      kind: 'failed',
      reason: failed.reason,
      message: failed.message,
      usages: USAGES_REFUSED.test(failed.message),
    };
  const approved = condition('Approved');
  const { certificatePem } = csr;
  if (approved === undefined || certificatePem === undefined)
    return { kind: 'pending', approved: approved !== undefined };
  return { kind: 'issued', certificatePem, approval: { reason: approved.reason, message: approved.message } };
}

/**
 * The compare on 409, after client-go's ensureCompatible: subject, signerName where both have one, signature by our key, nothing
 * expired; and SANs and usages, which client-go leaves out. Empty means ours.
 */
export function requestIncompatibilities(csr: CertificateSigningRequest, ours: OwnRequest): readonly string[] {
  const { template } = ours;
  // Servers before 1.18 know no signerName.
  const otherSigner = csr.signerName !== undefined && csr.signerName !== template.signerName;
  const usagesOf = (list: readonly string[]): string => [...new Set(list)].sort().join();
  return [
    ...requestDifferences(csr.requestPem, ours.requestPem, ours.key),
    ...(otherSigner ? [`signer is ${csr.signerName}, not ${template.signerName}`] : []),
    ...(usagesOf(csr.usages) === usagesOf(template.usages) ? [] : ['other usages']),
    ...(csr.certificatePem === undefined ? [] : expiredProblems(csr.certificatePem, ours.now)),
  ];
}

/**
 * What a person does about a request that was refused with this message. A signer of somebody's own may take no `spec.expirationSeconds`, and only the
 * settings can leave it out.
 */
export function refusedRemedy(
  { purpose, expirationSeconds }: { readonly purpose: string; readonly expirationSeconds?: number | undefined },
  message: string,
): Remedy {
  if (expirationSeconds !== undefined && /expirationSeconds/i.test(message))
    return byHand(
      `Leave expirationSeconds of the ${purpose} certificate out of the settings.   # then systemctl reload certlet`,
    );
  return byHand(`Mend what the reason names.   # then certlet renew ${purpose}`);
}

function expiredProblems(certificatePem: string, now: Date): readonly string[] {
  try {
    const expired = parseChain(certificatePem).certificates.filter((certificate) => certificate.validToDate <= now);
    return expired.map((certificate) => `its certificate expired at ${timestamp(certificate.validToDate)}`);
  } catch (error) {
    if (error instanceof CertletError) return [`its certificate cannot be read: ${error.message}`];
    throw error;
  }
}
