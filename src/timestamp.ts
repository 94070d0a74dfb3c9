/** RFC 3339 in UTC, to the second: the one form in which certlet tells a moment, in the journal, in `status` and `check`, and in documents. */
export const timestamp = (date: Date): string => date.toISOString().replace(/\.\d{3}Z$/u, 'Z');

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
