import type { CertificateChain } from '../pki/certificate.ts';
import type { PrivateKey } from '../pki/keys.ts';
import type { CertificateTemplate } from './template.ts';

export interface IssuedProblem {
  readonly kind: 'unacceptable' | 'not yet valid' | 'expired';
  readonly text: string;
}

/**
 * Everything that is wrong with an issued chain (design §3, "Check before the swap"): leaf belongs to the key; CN and O exact; wanted SANs and
 * extended usages present; not expired; NotBefore at most `toleranceMs` ahead; leaf is no CA; each certificate issued the one before it.
 */
export declare function issuedProblems(
  chain: CertificateChain,
  wanted: { readonly template: CertificateTemplate; readonly key: PrivateKey; readonly now: Date; readonly toleranceMs: number },
): readonly IssuedProblem[];
