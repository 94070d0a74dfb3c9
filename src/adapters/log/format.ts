import type { LogFields, LogLevel } from '../../ports.ts';
import { FIX, type CommandText, adviceOf } from '../../remedy.ts';
import { timestamp } from '../../timestamp.ts';
import { escaped, inOneLine, shortened } from './printable.ts';
import { redact } from './redact.ts';

/** One line to be written. */
export interface LogRecord {
  readonly time: Date;
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

/** syslog(3) priorities as `<N>` prefixes mean them (sd-daemon(3)). */
const PRIORITY: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

const COLOUR: Readonly<Record<LogLevel, string>> = { error: '31', warn: '33', info: '32', debug: '90' };

/** As one journal line, with the priority in front; journald adds time, host and unit. */
export function journalLine(record: LogRecord): string {
  return `<${String(PRIORITY[record.level])}>${eventAndFields(record)}`;
}

/** As one line for a terminal or a file, with the time; colour only where asked for. */
export function textLine(record: LogRecord, style: { readonly colour: boolean }): string {
  const level = record.level.toUpperCase().padEnd(5);
  const shown = style.colour ? `\u001b[${COLOUR[record.level]}m${level}\u001b[0m` : level;
  return `${dateText(record.time)} ${shown} ${eventAndFields(record)}`;
}

/** As one JSON object: time, level, event, then the fields. A field of one of these names gets an underscore behind it. */
export function jsonLine(record: LogRecord): string {
  const line: Record<string, unknown> = {
    time: dateText(record.time),
    level: record.level,
    event: clean(record.event),
  };
  for (const [key, value] of Object.entries(adviceApart(record.fields))) {
    if (value !== undefined) line[key in line ? `${key}_` : key] = jsonValue(value);
  }
  return escaped(JSON.stringify(line));
}

function eventAndFields({ event, fields }: LogRecord): string {
  const { remedy, ...given } = adviceApart(fields);
  const pairs = Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${quoted(plainText(value))}`);
  // What a person runs stands last and as it is, so that it can be copied to the end of the line.
  const fixes = remedy === undefined ? [] : [`${FIX} ${printable(plainText(remedy))}`];
  return [printable(event), ...pairs, ...fixes].join(' ');
}

/** A remedy taken apart: what is to be known of it joins what else explains the line. */
function adviceApart(fields: LogFields): LogFields {
  const { remedy, ...others } = fields;
  if (typeof remedy !== 'string') return fields;
  const advice = adviceOf(remedy);
  const reasons = [others['why'], advice.why].flatMap((value) => (value === undefined ? [] : [plainText(value)]));
  const why = reasons.length === 0 ? {} : { why: reasons.join('; ') };
  // An instruction is a field as any other, under the word that terminals have for it: nothing of it is pasted.
  return advice.kind === 'command'
    ? { ...others, ...why, remedy: advice.fix as CommandText }
    : { ...others, do: advice.todo, ...why };
}

/** Text as it is where it cannot be misread, else as a JSON string. */
function quoted(text: string): string {
  const line = flat(text);
  if (line !== '' && line === text && escaped(line) === line && !/[\s"=\\]/.test(line)) return line;
  return `"${escaped(line.replace(/[\\"]/g, (character) => `\\${character}`))}"`;
}

const printable = (text: string): string => escaped(flat(text));

/** Redacted before its lines are joined: a secret may begin on the next one. */
const flat = (text: string): string => inOneLine(clean(text));

function clean(text: string): string {
  return shortened(redact(text));
}

/** The type allows scalars, dates and lists of text alone; anything else that slipped through shows as its own text or not at all. */
function plainText(value: unknown): string {
  if (value instanceof Date) return dateText(value);
  if (Array.isArray(value)) return value.map((entry) => plainText(entry)).join(',');
  if (typeof value === 'object' && value !== null) return '[object]';
  return String(value);
}

function jsonValue(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map((entry) => clean(plainText(entry)));
  return clean(plainText(value));
}

function dateText(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'unknown' : timestamp(date);
}
