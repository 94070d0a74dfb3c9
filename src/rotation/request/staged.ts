import type { PendingRequest } from '../../csr/pending.ts';
import { isCertletError } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { type RotationContext, judgedNow } from '../context.ts';
import { checkIssued, isOnlyExpired } from './issued.ts';
import type { CertificateRules } from '../certificate-rules.ts';

/**
 * Checks what an earlier attempt has received, if anything. Where it has expired by a clock that no answer has confirmed since the start or
 * since the clock was set, the server is met first, as it would be for the next request: its date tells which of the two is over, pair or
 * clock, and while TLS fails on dates nothing could be asked either, so the pair stays. `meeting` is told of the server before that.
 * Throws what `checkIssued` and the API throw, and what keeps anybody from asking.
 */
export async function checkStaged(
  context: RotationContext,
  rules: CertificateRules,
  record: PendingRequest | undefined,
  flow: { readonly signal: AbortSignal; readonly meeting: (cluster: ClusterAccess) => void },
): Promise<void> {
  if (record === undefined) return;
  if (context.dateSample === undefined && isOnlyExpired(record, judgedNow(context))) {
    await rules.prepare('pending request', flow.signal);
    const asker = rules.asker();
    flow.meeting(asker.cluster);
    context.connections.forgetVersion(asker.cluster);
    try {
      await context.connections.csrVersion(asker.cluster, asker.api, flow.signal);
    } catch (error) {
      if (isCertletError(error, 'ERR_API_UNAUTHORIZED')) rules.refused(asker);
      throw error;
    }
  }
  checkIssued(record, judgedNow(context));
}
