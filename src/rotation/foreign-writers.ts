import type { Purpose } from '../csr/template.ts';
import { CertletError, isCertletError } from '../errors.ts';
import type { RotationContext } from './context.ts';
import type { ManagerState } from './manager-state.ts';

/** Whether another program writes under the prefix of this certificate; says so and holds it, or lets go when the files are gone. */
export async function checkWriters(context: RotationContext, state: ManagerState, purpose: Purpose): Promise<void> {
  const files = state.accepting ? [] : await context.store.foreign(purpose);
  if (files.length === 0) {
    if (state.hold?.code === 'ERR_STORE_FOREIGN') letGo(state);
    return;
  }
  if (state.hold?.code === 'ERR_STORE_FOREIGN') return;
  const setting = purpose === 'client' ? 'rotateCertificates' : 'serverTLSBootstrap';
  const error = new CertletError('ERR_STORE_FOREIGN', `another program writes here too: ${files.join(', ')}`, {
    remedy: `set ${setting}: false in the kubelet's configuration and restart it, then: certlet renew ${purpose}`,
  });
  state.hold = error;
  state.recordFailure(error, context.clock.now());
  const event = 'The kubelet rotates here too; leaving this certificate alone';
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
  state: Pick<ManagerState, 'accepting'>,
  purpose: Purpose,
): Promise<void> {
  if (!state.accepting) return;
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
