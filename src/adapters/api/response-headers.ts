/** Longest `Retry-After` that is believed: a broken clock or proxy must not silence a node for days. */
const MAX_RETRY_AFTER_MS = 60 * 60_000;

/** `Retry-After` as seconds or HTTP-date (RFC 9110 10.2.3) in milliseconds from `now`; undefined when absent or malformed. */
export function retryAfterMs(value: string | undefined, now: Date): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  const date = httpDate(text);
  return date === undefined ? undefined : Math.min(Math.max(date.getTime() - now.getTime(), 0), MAX_RETRY_AFTER_MS);
}

/** An HTTP-date in the form that everybody sends (RFC 9110 5.6.7 IMF-fixdate); undefined for anything else. */
export function httpDate(value: string | undefined): Date | undefined {
  if (value === undefined || !/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value.trim()))
    return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : new Date(ms);
}

/**
 * The texts of `Warning` headers (RFC 7234 5.5) with code 299, which is what API servers use. Control characters are taken out
 * and long texts are cut, since they go to the log.
 */
export function warningTexts(values: readonly string[]): readonly string[] {
  const texts: string[] = [];
  for (const value of values) {
    for (const match of value.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)) {
      const text = plainText((match[1] ?? '').replaceAll(/\\(.)/g, '$1'), MAX_WARNING_LENGTH);
      if (text !== '') texts.push(text);
    }
  }
  return texts;
}

const MAX_WARNING_LENGTH = 500;

/** Foreign text made fit for one line of a log: no control characters, no runs of blanks, at most `limit` characters. */
export function plainText(text: string, limit: number): string {
  // Cut first: a text of megabytes would be copied whole to show a line of it.
  const line = text
    .slice(0, limit * 16)
    .replaceAll(/[\s\p{Cc}\p{Cf}]+/gu, ' ')
    .trim();
  return line.length <= limit ? line : `${line.slice(0, limit - 1)}…`;
}
