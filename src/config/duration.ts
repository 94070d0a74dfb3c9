/** Hours, minutes, seconds, milliseconds, each at most once and in this order: a subset of what Go's ParseDuration reads. */
export const DURATION_PATTERN = '^(?=.)([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$';

const DAY_MS = 24 * 3_600_000;
const PARTS = new RegExp(DURATION_PATTERN);
const UNITS = [
  { suffix: 'h', ms: 3_600_000 },
  { suffix: 'm', ms: 60_000 },
  { suffix: 's', ms: 1000 },
  { suffix: 'ms', ms: 1 },
] as const;

/** Milliseconds of a text like `8s`, `5m` or `1h30m`; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = PARTS.exec(text);
  if (match === null) return undefined;
  return UNITS.reduce((sum, unit, index) => sum + unit.ms * Number.parseInt(match[index + 1] ?? '0', 10), 0);
}

/** The same, or whole days, which Go's durations do not know: for spans that people count in days. */
export const LONG_DURATION_PATTERN = `^[0-9]{1,5}d$|${DURATION_PATTERN}`;

/** Milliseconds of a text like `21d` or `12h`; undefined for anything else. */
export function parseLongDurationMs(text: string): number | undefined {
  const days = /^([0-9]{1,5})d$/.exec(text)?.[1];
  return days === undefined ? parseDurationMs(text) : Number.parseInt(days, 10) * DAY_MS;
}

/** The shortest text that `parseDurationMs` reads back as `ms` (a whole number, 0 or more). */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = '';
  for (const unit of UNITS) {
    const count = Math.floor(rest / unit.ms);
    rest -= count * unit.ms;
    if (count > 0) text += `${String(count)}${unit.suffix}`;
  }
  return text === '' ? '0s' : text;
}
