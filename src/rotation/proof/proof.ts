import { CertletError, isCertletError } from '../../errors.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { RotationContext } from '../rotation-context.ts';
import type { PendingRequest } from '../../csr/pending.ts';
import type { ManagerState } from '../manager-state.ts';

/** What the proof asks: something each identity may ask about itself. */
const QUESTION = { verb: 'create', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' } as const;

/**
 * Shows a client certificate to the API server on a fresh connection: a SelfSubjectAccessReview.
 * Answered (201), or 403 for a named user, is a pass: the server knew who asked. 401 is a refusal, and so is an alert over the certificate
 * in the TLS handshake: that error is given back, undefined for a pass. Everything else (unreachable, 5xx, anonymous because something strips
 * the certificate) is no answer and is thrown.
 */
export async function proveClientPair(
  context: RotationContext,
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

/** The error for a freshly issued pair that the server does not take (yet). */
export function freshPairRefused(
  pair: CertificatePair,
  refusal: CertletError,
  since: { readonly forMs: number; readonly giveUpAfterMs: number },
): CertletError {
  const { serial, issuer } = pair.chain.leaf;
  const given = since.forMs >= since.giveUpAfterMs;
  return new CertletError(
    given ? 'ERR_ISSUED_REFUSED' : 'ERR_ISSUED_UNPROVEN',
    `the API server does not accept the certificate just issued (serial ${serial}, issuer ${issuer}): ${refusal.message}`,
    {
      cause: refusal,
      remedy:
        "compare the API server's --client-ca-file with the CA that signs client certificates (--cluster-signing-cert-file); a load balancer between must pass TLS through",
    },
  );
}

/**
 * What the proof of a staged pair means for it; `refusal` is undefined for a pass. The moment of the first refusal goes into the pending record:
 * runs that are shorter than the time after which a pair is given up would else show the same one for ever.
 * Throws `ERR_ISSUED_UNPROVEN` while it is kept, `ERR_ISSUED_REFUSED` when that time is over.
 */
export async function settleProof(
  context: RotationContext,
  state: ManagerState,
  pair: CertificatePair,
  refusal: CertletError | undefined,
): Promise<void> {
  const before = state.pending?.refusedAt;
  if (refusal === undefined) {
    await note(context, state, undefined);
    return;
  }
  const now = context.clock.now();
  // One in the future: the clock was set back.
  const since = before === undefined || before > now ? now : before;
  await note(context, state, since);
  const forMs = now.getTime() - since.getTime();
  throw freshPairRefused(pair, refusal, { forMs, giveUpAfterMs: context.options.proofRetryMs });
}

/** Writes nothing when it is known already. A disk that cannot take the note hides neither the refusal nor the pass. */
async function note(context: RotationContext, state: ManagerState, refusedAt: Date | undefined): Promise<void> {
  const { store, log } = context;
  if (state.pending === undefined || state.pending.refusedAt === refusedAt) return;
  const { refusedAt: _before, ...record } = state.pending;
  const next: PendingRequest = refusedAt === undefined ? record : { ...record, refusedAt };
  state.pending = next;
  try {
    await store.writePending(next.purpose, next);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const { code, message, remedy } = error;
    const fields = { purpose: next.purpose, code, error: message, remedy };
    log.log('debug', 'Could not write down since when the issued certificate is refused', fields);
  }
}
