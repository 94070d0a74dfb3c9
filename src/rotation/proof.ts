import { CertletError, isCertletError } from '../errors.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import type { RotationContext } from './context.ts';

/** What the proof asks: something each identity may ask about itself. */
const QUESTION = { verb: 'create', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' } as const;

export type ProofResult = 'accepted' | 'refused';

/**
 * Shows a client certificate to the API server on a fresh connection: a SelfSubjectAccessReview.
 * Answered (201), or 403 for a named user, is a pass: the server knew who asked. 401 is a refusal.
 * Everything else (unreachable, 5xx, anonymous because something strips the certificate) is no answer and is thrown.
 */
export async function proveClientPair(
  context: RotationContext,
  cluster: ClusterAccess,
  pair: CertificatePair,
  signal: AbortSignal,
): Promise<ProofResult> {
  const api = context.connections.fresh(cluster, pair);
  try {
    await api.mayI(QUESTION, signal);
    return 'accepted';
  } catch (error) {
    if (isCertletError(error, 'ERR_API_FORBIDDEN')) return 'accepted';
    if (isCertletError(error, 'ERR_API_UNAUTHORIZED')) return 'refused';
    throw error;
  } finally {
    await api.close();
  }
}

/** The error for a freshly issued pair that the server does not take (yet). */
export function freshPairRefused(pair: CertificatePair, sinceMs: number, giveUpAfterMs: number): CertletError {
  const { serial, issuer } = pair.chain.leaf;
  const given = sinceMs >= giveUpAfterMs;
  return new CertletError(
    given ? 'ERR_ISSUED_REFUSED' : 'ERR_ISSUED_UNPROVEN',
    `the API server answers 401 to the certificate just issued (serial ${serial}, issuer ${issuer})`,
    {
      remedy:
        "compare the API server's --client-ca-file with the CA that signs client certificates (--cluster-signing-cert-file)",
    },
  );
}
