import type { CertificateFacts } from '../../pki/certificate.ts';

/** How long one run of `certlet once` may take to bring a new pair, and a timer may come late: `--timeout 5m`, AccuracySec=1min, and some rest. */
const RUN_MS = 10 * 60_000;

type Life = Pick<CertificateFacts, 'notBefore' | 'notAfter'>;

/**
 * From when on a run asks for a successor, where the next run comes only after `everyMs`: what falls due before that is due now. The last run but
 * one before the end counts as well, so that one run may fail. A pair that this very run has brought is never due in it.
 */
export function dueInRounds(
  deadline: Date,
  certificate: Life,
  at: { readonly everyMs: number; readonly receivedAt: Date | undefined },
): Date {
  const { everyMs, receivedAt } = at;
  const end = certificate.notAfter.getTime();
  const ahead = Math.min(deadline.getTime(), end - everyMs) - everyMs;
  const came = (receivedAt ?? certificate.notBefore).getTime();
  return new Date(Math.min(deadline.getTime(), Math.max(ahead, came + everyMs / 2)));
}

/** How well runs that are `everyMs` apart serve a certificate: `never` in time, in time unless one run fails (`barely`), or well. */
export type Service = 'never' | 'barely' | 'well';

/** By what the certificate had left when it came (all of its life where that is not known). */
export function servedInRounds(certificate: Life, receivedAt: Date | undefined, everyMs: number): Service {
  const start = certificate.notBefore.getTime();
  const lifeMs = certificate.notAfter.getTime() - Math.max(start, receivedAt?.getTime() ?? start);
  if (lifeMs <= everyMs + RUN_MS) return 'never';
  return lifeMs <= 2 * everyMs + RUN_MS ? 'barely' : 'well';
}

/** Two runs and some rest have gone by without one. */
export const isMissed = (startedAt: Date, now: Date, everyMs: number): boolean =>
  now.getTime() - startedAt.getTime() > 2 * everyMs + RUN_MS;
