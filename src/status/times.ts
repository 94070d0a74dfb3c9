import { spanText, timestamp } from '../timestamp.ts';

/** `in 43 days (2027-01-03T04:11:00Z)`, `5 minutes ago (…)`; a document of another program may hold what is no time. */
export function relativeText(date: Date, now: Date): string {
  if (Number.isNaN(date.getTime())) return 'at an unknown time';
  const aheadMs = date.getTime() - now.getTime();
  const distance = aheadMs >= 0 ? `in ${spanText(aheadMs)}` : `${spanText(aheadMs)} ago`;
  return `${distance} (${timestamp(date)})`;
}

/** `for 23 minutes (since 2027-01-03T04:11:00Z)`: of what lasts. */
export function lastingText(since: Date, now: Date): string {
  if (Number.isNaN(since.getTime())) return 'since an unknown time';
  return `for ${spanText(now.getTime() - since.getTime())} (since ${timestamp(since)})`;
}
