import { isCertletError } from '../../errors.ts';
import type { RotationContext } from '../rotation-context.ts';
import type { Credentials } from '../node/credentials.ts';

/**
 * By option, deletes the bootstrap kubeconfig once the certificate it led to is proven. A file that cannot be deleted is told and left: the
 * certificate is current all the same, and the next proof tries again.
 */
export async function removeProvenBootstrap(context: RotationContext, credentials: Credentials): Promise<void> {
  const { options, kubeconfigs, log } = context;
  const { path: file, kind } = credentials.bootstrapKubeconfig;
  if (!options.deleteBootstrapKubeconfig || kind === 'absent') return;
  try {
    await kubeconfigs.removeBootstrap();
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const { code, message, remedy } = error;
    log.log('warn', 'Could not delete the bootstrap kubeconfig', { file, code, error: message, remedy });
    return;
  }
  log.log('info', 'Deleted the bootstrap kubeconfig: its certificate is proven', { file });
  await credentials.reload();
}
