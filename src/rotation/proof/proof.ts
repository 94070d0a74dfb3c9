import { CertletError, isCertletError } from '../../errors.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { Connections } from '../node/connections.ts';
import type { RotationContext } from '../rotation-context.ts';

/** What the proof asks: something each identity may ask about itself. */
const QUESTION = { verb: 'create', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' } as const;

/**
 * Shows a client certificate to the API server on a fresh connection: a SelfSubjectAccessReview.
 * Answered (201), or 403 for a named user, is a pass: the server knew who asked. 401 is a refusal, and so is an alert over the certificate
 * in the TLS handshake: that error is given back, undefined for a pass. Everything else (unreachable, 5xx, anonymous because something strips
 * the certificate) is no answer and is thrown.
 */
export async function proveClientPair(
  context: { readonly connections: Pick<Connections, 'fresh'> },
  cluster: ClusterAccess,
  pair: CertificatePair,
  signal: AbortSignal,
): Promise<CertletError | undefined> {
  const api = context.connections.fresh(cluster, pair);
  try {
    await api.mayI(QUESTION, signal);
    return undefined;
  } catch (error) {
    if (isCertletError(error, 'ERR_API_FORBIDDEN')) return undefined;
    if (isCertletError(error, 'ERR_API_UNAUTHORIZED')) return error;
    throw error;
  } finally {
    await api.close();
  }
}

/**
 * Shows a serving pair to a client of this process. The API server does not judge such certificates before it dials the kubelet, and nobody is
 * there to ask for those of other signers; what no client could take is found here. Throws `ERR_ISSUED_UNACCEPTABLE`: no other try would
 * show more.
 */
export async function proveServingPair(
  context: RotationContext,
  pair: CertificatePair,
  signal: AbortSignal,
): Promise<void> {
  const problem = await context.serving.refusal(pair, signal);
  if (problem === undefined) return;
  const { serial, issuer } = pair.chain.leaf;
  throw new CertletError(
    'ERR_ISSUED_UNACCEPTABLE',
    `the certificate just issued (serial ${serial}, issuer ${issuer}) cannot be served: a TLS handshake with it fails: ${problem}`,
  );
}

/** What the proof of a pair that is not current yet means for it. */
export interface Judgement {
  /** Since when it has been refused, to be remembered: runs that are shorter than `giveUpAfterMs` would else show the same one for ever. */
  readonly refusedAt: Date | undefined;
  /** `ERR_ISSUED_UNPROVEN` while it is kept, `ERR_ISSUED_REFUSED` when that time is over; undefined for a pass. */
  readonly error: CertletError | undefined;
}

/** `refusal` is what `proveClientPair` gave; `before` the first refusal of this pair, where there was one. */
export function judgeProof(
  pair: CertificatePair,
  refusal: CertletError | undefined,
  at: { readonly now: Date; readonly before: Date | undefined; readonly giveUpAfterMs: number },
): Judgement {
  if (refusal === undefined) return { refusedAt: undefined, error: undefined };
  const { now, before, giveUpAfterMs } = at;
  // One in the future: the clock was set back.
  const refusedAt = before === undefined || before > now ? now : before;
  const given = now.getTime() - refusedAt.getTime() >= giveUpAfterMs;
  const { serial, issuer } = pair.chain.leaf;
  const error = new CertletError(
    given ? 'ERR_ISSUED_REFUSED' : 'ERR_ISSUED_UNPROVEN',
    `the API server does not accept the certificate just issued (serial ${serial}, issuer ${issuer}): ${refusal.message}`,
    {
      cause: refusal,
      remedy:
        "# Compare the API server's --client-ca-file with the CA that signs client certificates (--cluster-signing-cert-file); a load balancer between must pass TLS through.",
    },
  );
  return { refusedAt, error };
}
