import type { Remedy } from '../../remedy.ts';
import { timestamp } from '../../timestamp.ts';
import { X509Certificate } from 'node:crypto';
import { type CertificateFacts, type CertificateChain, isIssuedBy, splitCertificates } from '../../pki/certificate.ts';
import { isCertletError } from '../../errors.ts';
import { type Cause, unitWord } from '../finding.ts';
import { allowsUsage } from '../../rotation/disk/pair-in-use.ts';

/** Tokens that are no bootstrap tokens: static ones, service accounts, other authenticators. */
export const OTHER_TOKEN_CAUSES: readonly Cause[] = [
  {
    what: 'the token has expired, was revoked or deleted',
    sure: 'likely',
    remedy: '# Put a fresh token into the bootstrap kubeconfig.',
  },
  {
    what: 'the token is not in the --token-auth-file of this API server, which reads that file at its start only',
    sure: 'possible',
    remedy: '# Compare the file on every control plane node, then restart kube-apiserver.',
  },
  {
    what: 'the kubeconfig is of another cluster',
    sure: 'possible',
    remedy: '# Compare server and certificate-authority with a kubeconfig that works.',
  },
];

export interface CertificateRefusal {
  readonly leaf: CertificateFacts;
  readonly chain: CertificateChain;
  /** The CA of the kubeconfig. On most clusters it signs clients, too. */
  readonly caPem: string | undefined;
  /** This host's clock, corrected by the server's. */
  readonly serverNow: Date;
  readonly source: string;
  /** Of the settings. */
  readonly kubeletUnit: string;
}

const COMPARE_CAS: Remedy =
  '# Compare --client-ca-file of kube-apiserver with --cluster-signing-cert-file of kube-controller-manager.';

/** A 401 for a client certificate. Most likely first. */
export function certificateCauses(refusal: CertificateRefusal): readonly Cause[] {
  const { leaf, serverNow, source } = refusal;
  const unit = unitWord(refusal.kubeletUnit);
  const rejoin: Remedy = `systemctl stop ${unit} certlet && certlet reset && systemctl start certlet ${unit}   # needs a bootstrap kubeconfig with a valid token`;
  const certain: readonly Cause[] = [
    ...(serverNow > leaf.notAfter
      ? [
          {
            what: `it expired at ${timestamp(leaf.notAfter)} by the server's clock`,
            sure: 'certain',
            remedy: 'timedatectl set-ntp true; certlet renew client',
          } as const,
        ]
      : []),
    ...(serverNow < leaf.notBefore
      ? [
          {
            what: `it is not valid before ${timestamp(leaf.notBefore)} by the server's clock`,
            sure: 'certain',
            remedy: 'date -u   # on the control plane node and here',
          } as const,
        ]
      : []),
    ...(allowsUsage(leaf, 'client auth')
      ? []
      : [{ what: 'it lacks the usage client auth', sure: 'certain', remedy: rejoin } as const]),
  ];
  const foreign = issuedByKubeconfigCa(refusal) === false;
  const fromOther: Cause = {
    what: foreign
      ? `it is from another cluster or an older CA: ${leaf.issuer} signed it, which is not the CA in ${source}`
      : 'it is from another cluster of the same CA name, or the cluster has a new CA',
    sure: foreign ? 'likely' : 'possible',
    remedy: rejoin,
  };
  const rest: readonly Cause[] = [
    fromOther,
    {
      what: 'the CA that signs client certificates is not in the --client-ca-file of every API server',
      sure: foreign ? 'possible' : 'likely',
      remedy: COMPARE_CAS,
    },
    {
      what: 'a load balancer ends TLS, so the certificate gets lost, and anonymous access is off',
      sure: 'possible',
      remedy: '# Make the load balancer pass TCP through.',
    },
  ];
  return [...certain, ...(foreign ? rest : [...rest.slice(1, 2), fromOther, ...rest.slice(2)])];
}

/** Undefined when the kubeconfig gives no CA or one that cannot be read. */
export function issuedByKubeconfigCa({
  chain,
  caPem,
}: Pick<CertificateRefusal, 'chain' | 'caPem'>): boolean | undefined {
  if (caPem === undefined) return undefined;
  try {
    const cas = splitCertificates(caPem).map((pem) => new X509Certificate(pem));
    return chain.certificates.some((certificate) => cas.some((ca) => isIssuedBy(certificate, ca)));
  } catch (error) {
    if (isCertletError(error)) return undefined;
    throw error;
  }
}
