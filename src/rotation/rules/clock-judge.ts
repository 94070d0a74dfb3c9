/** A server's `Date` header beside this host's clock at that instant. */
export interface DateSample {
  readonly serverDate: Date;
  readonly receivedAt: Date;
}

/** Above this a skew is named: the header has seconds, a slow link adds some, and signers backdate by five minutes. */
export const NAMED_SKEW_MS = 2 * 60_000;

/** How far this host's clock is ahead of the server's, in milliseconds (negative: behind); undefined before the first answer. */
export function clockSkewMs(sample: DateSample | undefined): number | undefined {
  return sample === undefined ? undefined : sample.receivedAt.getTime() - sample.serverDate.getTime();
}

/** One instant as this host's clock tells it, and the bounds between which the truth is thought to lie. */
export interface JudgedTime {
  readonly local: Date;
  readonly earliest: Date;
  readonly latest: Date;
}

/**
 * This host's clock, and the same corrected by the last server date where the two are far apart.
 * Decisions that cost a request are taken only when both agree; a clock that is plainly wrong delays judgement, it does not cause requests.
 */
export function judgedTime(now: Date, sample: DateSample | undefined): JudgedTime {
  const skewMs = clockSkewMs(sample) ?? 0;
  if (Math.abs(skewMs) < NAMED_SKEW_MS) return { local: now, earliest: now, latest: now };
  const corrected = new Date(now.getTime() - skewMs);
  return corrected < now
    ? { local: now, earliest: corrected, latest: now }
    : { local: now, earliest: now, latest: corrected };
}

/** `4 minutes ahead of`, `12 days behind`: for messages. */
export function skewText(skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const [amount, unit] =
    seconds < 120
      ? [seconds, 'seconds']
      : seconds < 7_200
        ? [Math.round(seconds / 60), 'minutes']
        : seconds < 172_800
          ? [Math.round(seconds / 3_600), 'hours']
          : [Math.round(seconds / 86_400), 'days'];
  return `${String(amount)} ${unit} ${skewMs > 0 ? 'ahead of' : 'behind'}`;
}
