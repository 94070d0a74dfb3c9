import { CertletError, isCertletError } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { NAMED_SKEW_MS, skewText } from '../rules/clock-judge.ts';
import type { RotationContext } from '../context.ts';

/**
 * When TLS fails on dates, looks at the server's certificate and `Date` over a connection that is not verified and carries no credential,
 * and returns the error with a message that says whose clock is off. For the message only: nothing is decided by what that look shows.
 */
export async function explainTlsDates(
  context: RotationContext,
  cluster: ClusterAccess,
  error: CertletError,
  signal: AbortSignal,
): Promise<CertletError> {
  const now = context.clock.now();
  try {
    const { certificate, serverDate } = await context.connector.glimpse(cluster, signal);
    const skewMs = serverDate === undefined ? undefined : now.getTime() - serverDate.getTime();
    const dates = certificate
      ? `; the server's certificate is valid from ${certificate.notBefore.toISOString()} to ${certificate.notAfter.toISOString()}`
      : '';
    const clock =
      skewMs === undefined || Math.abs(skewMs) < NAMED_SKEW_MS
        ? `this node's clock (${now.toISOString()}) agrees with the server's`
        : `this node's clock (${now.toISOString()}) is ${skewText(skewMs)} the server's`;
    const ours = skewMs !== undefined && Math.abs(skewMs) >= NAMED_SKEW_MS;
    return new CertletError('ERR_API_TLS_DATES', `${error.message}${dates}; ${clock}`, {
      cause: error,
      remedy: ours
        ? 'set the clock: timedatectl set-ntp true (or hwclock)'
        : "renew the API server's certificate (kubeadm certs renew apiserver)",
    });
  } catch (failure) {
    if (!isCertletError(failure)) throw failure;
    return error;
  }
}
