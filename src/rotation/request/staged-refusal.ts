import { type CertletError, isCertletError } from '../../errors.ts';
import type { PendingRequest } from '../../csr/pending.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { RotationContext } from '../context.ts';
import type { ManagerState } from '../manager-state.ts';
import { freshPairRefused } from '../proof/proof.ts';

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
