const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Unit names with the length from which on a span is told in the next larger one: `90 minutes` says more than `1 hour`. */
const UNITS: readonly (readonly [name: string, lengthMs: number, upToMs: number])[] = [
  ['second', SECOND_MS, 2 * MINUTE_MS],
  ['minute', MINUTE_MS, 2 * HOUR_MS],
  ['hour', HOUR_MS, 2 * DAY_MS],
  ['day', DAY_MS, Number.POSITIVE_INFINITY],
];

/** A span as one number and its unit, cut and not rounded up, so that it never promises more than is left: `43 days`, `90 minutes`. */
export function spanText(spanMs: number): string {
  const lengthMs = Math.abs(spanMs);
  const [name, unitMs] = UNITS.find(([, , upToMs]) => lengthMs < upToMs) ?? ['day', DAY_MS];
  const count = Math.floor(lengthMs / unitMs);
  return `${String(count)} ${name}${count === 1 ? '' : 's'}`;
}

/** `in 43 days (2027-01-03 04:11)`, `5 minutes ago (…)`; the date in local time. */
export function relativeText(date: Date, now: Date): string {
  const aheadMs = date.getTime() - now.getTime();
  const distance = aheadMs >= 0 ? `in ${spanText(aheadMs)}` : `${spanText(aheadMs)} ago`;
  return `${distance} (${localText(date)})`;
}

/** `2027-01-03 04:11` in local time. */
export function localText(date: Date): string {
  const two = (part: number): string => String(part).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
