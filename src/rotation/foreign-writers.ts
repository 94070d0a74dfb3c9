import type { Purpose } from '../csr/template.ts';
import { CertletError } from '../errors.ts';
import type { RotationContext } from './context.ts';
import type { ManagerState } from './manager-state.ts';

/** Whether another program writes under the prefix of this certificate; says so and holds it, or lets go when the files are gone. */
export async function checkWriters(context: RotationContext, state: ManagerState, purpose: Purpose): Promise<void> {
  const files = await context.store.foreign(purpose);
  if (files.length === 0) {
    state.hold = undefined;
    return;
  }
  if (state.hold !== undefined) return;
  const setting = purpose === 'client' ? 'rotateCertificates' : 'serverTLSBootstrap';
  const error = new CertletError('ERR_STORE_FOREIGN', `another program writes here too: ${files.join(', ')}`, {
    remedy: `set ${setting}: false in the kubelet's configuration and restart it, then: certlet renew ${purpose}`,
  });
  state.hold = error;
  state.recordFailure(error, context.clock.now());
  const event = 'The kubelet rotates here too; leaving this certificate alone';
  context.log.log('warn', event, { purpose, files, remedy: error.remedy });
}
