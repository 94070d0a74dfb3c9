import type { RequestHistory } from '../../csr/pending.ts';
import { isCertletError } from '../../errors.ts';
import type { RotationContext } from '../context.ts';
import type { ManagerState } from '../manager-state.ts';

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
