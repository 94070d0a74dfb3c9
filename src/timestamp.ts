/** RFC 3339 in UTC, to the second: the one form in which certlet tells a moment, in the journal, in `status` and `check`, and in documents. */
export const timestamp = (date: Date): string => date.toISOString().replace(/\.\d{3}Z$/u, 'Z');
