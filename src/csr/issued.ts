import { timestamp } from '../timestamp.ts';
import {
  type CertificateChain,
  type CertificateFacts,
  certificateFacts,
  chainMatchesKey,
  isIssuedBy,
} from '../pki/certificate.ts';
import type { PrivateKey } from '../pki/keys.ts';
import { isExtended } from './spec.ts';
import { type CertificateTemplate, templateMismatches } from './template.ts';

export interface IssuedProblem {
  readonly kind: 'unacceptable' | 'not yet valid' | 'expired';
  readonly text: string;
}

export interface WantedCertificate {
  readonly template: CertificateTemplate;
  readonly key: PrivateKey;
  readonly now: Date;
  /** How far ahead NotBefore may lie: clocks of signer and node differ. */
  readonly toleranceMs: number;
}

/**
 * Everything that is wrong with an issued chain: leaf belongs to the key; CN and O exact; wanted SANs and
 * extended usages present; not expired; NotBefore at most `toleranceMs` ahead; leaf is no CA; each certificate issued the one before it.
 */
export function issuedProblems(chain: CertificateChain, wanted: WantedCertificate): readonly IssuedProblem[] {
  const unacceptable = [
    ...(chainMatchesKey(chain, wanted.key) ? [] : ['it is for another key']),
    ...leafProblems(chain.leaf, wanted.template),
    ...linkProblems(chain),
  ];
  return [
    ...unacceptable.map((text): IssuedProblem => ({ kind: 'unacceptable', text })),
    ...dateProblems(chain, wanted),
  ];
}

function leafProblems(leaf: CertificateFacts, template: CertificateTemplate): readonly string[] {
  const surplus = leaf.organizations.filter((organization) => !template.organizations.includes(organization));
  const usages = template.usages.filter((usage) => isExtended(usage) && !leaf.extendedKeyUsages.includes(usage));
  return [
    ...templateMismatches(leaf, template),
    ...surplus.map((organization) => `organization ${organization} was not asked for`),
    ...usages.map((usage) => `missing usage ${usage}`),
    ...(leaf.isCa ? ['it is a CA certificate'] : []),
  ];
}

/** A server sends the chain as it is stored: where one certificate did not issue the one before, clients cannot build a path. */
function linkProblems(chain: CertificateChain): readonly string[] {
  return chain.certificates.slice(1).flatMap((issuer, index) => {
    const subject = chain.certificates[index];
    if (subject === undefined || isIssuedBy(subject, issuer)) return [];
    return [`certificate ${String(index + 2)} of the chain did not issue the one before it`];
  });
}

/** The whole chain counts: a kubelet takes a file with any expired certificate in it for expired. */
function dateProblems(chain: CertificateChain, wanted: WantedCertificate): readonly IssuedProblem[] {
  const latestStart = wanted.now.getTime() + wanted.toleranceMs;
  return chain.certificates.map(certificateFacts).flatMap(({ notBefore, notAfter }, index) => {
    const which = index === 0 ? '' : `certificate ${String(index + 1)} of the chain: `;
    const problems: IssuedProblem[] = [];
    if (notBefore.getTime() > latestStart)
      problems.push({ kind: 'not yet valid', text: `${which}not valid before ${timestamp(notBefore)}` });
    if (notAfter <= wanted.now) problems.push({ kind: 'expired', text: `${which}expired at ${timestamp(notAfter)}` });
    return problems;
  });
}
