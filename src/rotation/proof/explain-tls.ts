import { onControlPlane } from '../../remedy.ts';
import { CertletError, isCertletError } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { timestamp } from '../../timestamp.ts';
import { missingCa } from '../ca/missing-ca.ts';
import type { RotationContext } from '../rotation-context.ts';
import { NAMED_SKEW_MS, skewText } from '../rules/clock-judge.ts';

type Explaining = Pick<RotationContext, 'clock' | 'connector' | 'options'>;

/**
 * Where TLS with a server has failed on dates, or for want of a CA that has signed its certificate, looks at that certificate and the `Date` over a
 * connection that is not verified and carries no credential, and returns the error with a message that says whose clock is off, or which CA this node
 * misses. For the message only: nothing is decided by what that look shows. Any other error comes back as it is.
 */
export async function explainTls(
  context: Explaining,
  cluster: ClusterAccess,
  error: CertletError,
  signal: AbortSignal,
): Promise<CertletError> {
  if (isCertletError(error, 'ERR_API_TLS_DATES')) return await aboutDates(context, cluster, error, signal);
  const byRoot = !context.options.manageKubeconfig;
  return await missingCa(context.connector, cluster, { error, byRoot }, signal);
}

/** Whose clock is off. */
async function aboutDates(
  context: Explaining,
  cluster: ClusterAccess,
  error: CertletError,
  signal: AbortSignal,
): Promise<CertletError> {
  const now = context.clock.now();
  try {
    const { certificate, serverDate } = await context.connector.glimpse(cluster, signal);
    const skewMs = serverDate === undefined ? undefined : now.getTime() - serverDate.getTime();
    const dates = certificate
      ? `; the server's certificate is valid from ${timestamp(certificate.notBefore)} to ${timestamp(certificate.notAfter)}`
      : '';
    const clock =
      skewMs === undefined || Math.abs(skewMs) < NAMED_SKEW_MS
        ? `this node's clock (${timestamp(now)}) agrees with the server's`
        : `this node's clock (${timestamp(now)}) is ${skewText(skewMs)} the server's`;
    const ours = skewMs !== undefined && Math.abs(skewMs) >= NAMED_SKEW_MS;
    return new CertletError('ERR_API_TLS_DATES', `${error.message}${dates}; ${clock}`, {
      cause: error,
      remedy: ours
        ? 'timedatectl set-ntp true   # sets the clock; without a time server: hwclock'
        : onControlPlane('kubeadm certs renew apiserver', 'then restart kube-apiserver'),
    });
  } catch (failure) {
    if (!isCertletError(failure) && !signal.aborted) throw failure;
    return error;
  }
}
