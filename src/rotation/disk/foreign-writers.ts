import { CertletError, isCertletError } from '../../errors.ts';
import type { RotationContext } from '../context.ts';
import type { ManagerState } from '../manager-state.ts';

/** Whether another program writes under the prefix of this certificate; says so and holds it, or lets go when the files are gone. */
export async function checkWriters(context: RotationContext, state: ManagerState): Promise<void> {
  const { name: purpose, files: place } = state.spec;
  const files = state.accepting ? [] : await context.store.foreign(purpose);
  if (files.length === 0) {
    if (state.hold?.code === 'ERR_STORE_FOREIGN') letGo(state);
    return;
  }
  if (state.hold?.code === 'ERR_STORE_FOREIGN') return;
  const { kubelet } = place;
  const error = new CertletError('ERR_STORE_FOREIGN', `another program writes here too: ${files.join(', ')}`, {
    remedy:
      kubelet === undefined
        ? `stop what writes there, then: certlet renew ${purpose}`
        : `set ${kubelet.rotatedBy}: false in the kubelet's configuration and restart it, then: certlet renew ${purpose}`,
  });
  state.hold = error;
  state.recordFailure(error, context.clock.now());
  const event =
    kubelet === undefined
      ? 'Another program writes here too; leaving this certificate alone'
      : 'The kubelet rotates here too; leaving this certificate alone';
  context.log.log('warn', event, { purpose, files, remedy: error.remedy });
}

/** The hold is over, and what it told with it. */
export function letGo(state: Pick<ManagerState, 'hold' | 'lastError'>): void {
  if (state.hold === undefined) return;
  if (state.lastError?.code === state.hold.code) state.lastError = undefined;
  state.hold = undefined;
}

/** Writes down that the files of another program are fine; where the disk cannot take that, it is tried again at each look at the files. */
export async function keepDecision(
  context: RotationContext,
  state: Pick<ManagerState, 'accepting' | 'spec'>,
): Promise<void> {
  if (!state.accepting) return;
  const { name: purpose } = state.spec;
  try {
    await context.store.acceptAll(purpose);
    state.accepting = false;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const { code, message, remedy } = error;
    const event = 'Could not write down that the files of another program are fine';
    context.log.log('debug', event, { purpose, code, error: message, remedy });
  }
}
