import type { RequestHistory } from '../../csr/pending.ts';
import { isCertletError } from '../../errors.ts';
import type { RotationContext } from '../rotation-context.ts';
import type { ManagerState } from '../manager-state.ts';
import { issuedFingerprint } from '../request/received.ts';

/** Writes down how often the API server has refused the pair in use, or that it does not; nothing is written when that is known already. */
export async function noteRefused(
  context: RotationContext,
  state: ManagerState,
  refused: RequestHistory['refused'],
): Promise<void> {
  const { store, log } = context;
  const { name: purpose } = state.spec;
  try {
    await state.inTurn(async () => {
      if (isSame(state.history.refused, refused)) return;
      const { refused: _before, ...history } = state.history;
      await state.rewriteHistory(store, refused === undefined ? history : { ...history, refused });
    });
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const { code, message, remedy } = error;
    log.log('debug', 'Could not write down that the certificate is refused', { purpose, code, error: message, remedy });
  }
}

function isSame(one: RequestHistory['refused'], other: RequestHistory['refused']): boolean {
  if (one === undefined || other === undefined) return one === other;
  const since = one.since.getTime() === other.since.getTime();
  return since && one.count === other.count && one.fingerprint === other.fingerprint;
}

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
