import { escaped, inOneLine, shortened } from '../adapters/log/printable.ts';
import { redact } from '../adapters/log/redact.ts';
import { timestamp } from '../timestamp.ts';

/** RFC 3339 in UTC, to the second. */
export type Timestamp = string;

/** Text that others may have written (an approver, a server, a hook): without secrets, on one line of some length, nothing in it that steers a terminal. */
export const foreign = (text: string): string => escaped(inOneLine(shortened(redact(text))));

/** Of a date that may be missing. */
export const optionalTimestamp = (date: Date | undefined): Timestamp | undefined =>
  date === undefined ? undefined : timestamp(date);

type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Without the fields that are undefined. */
export function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Present<T>;
}
