import { isCertletError } from '../../errors.ts';
import type { RotationContext } from '../context.ts';
import { issuedFingerprint } from '../request/issued.ts';
import type { ManagerState } from '../manager-state.ts';

/**
 * Writes down that a new certificate is wanted, so that a restart before the request does not lose it. The wish itself is in memory already: a
 * disk that cannot take the note is told and keeps nobody from a certificate.
 */
export async function noteWish(context: RotationContext, state: ManagerState, loaded: boolean): Promise<void> {
  const { store, clock, log } = context;
  const { name: purpose } = state.spec;
  const renewWantedAt = clock.now();
  try {
    await state.inTurn(async () => {
      // Fulfilled while this waited for its turn.
      if (!state.forced) return;
      if (!loaded) state.history = await store.readHistory(purpose);
      await state.rewriteHistory(store, { ...state.history, renewWantedAt });
    });
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const { code, message, remedy } = error;
    log.log('warn', 'Could not write down that a new certificate is wanted', { purpose, code, error: message, remedy });
  }
}

/**
 * After a restart: an administrator asked for a new certificate and has none yet. A request that was made after the wish and whose pair is current
 * has answered it, though the note of that did not come to disk.
 */
export function wishStands(state: Pick<ManagerState, 'history' | 'pending' | 'current'>): boolean {
  const { renewWantedAt } = state.history;
  const { pending, current } = state;
  if (renewWantedAt === undefined) return false;
  if (pending?.issuedPem === undefined || current === undefined || pending.createdAt < renewWantedAt) return true;
  return issuedFingerprint(pending) !== current.chain.leaf.fingerprint;
}
