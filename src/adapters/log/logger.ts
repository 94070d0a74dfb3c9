import type { Writable } from 'node:stream';
import { createLogger as createWinston, format as winstonFormat, transports } from 'winston';
import type { Logger as Winston } from 'winston';
import { type HowItRuns, remedyFor } from '../../remedy.ts';
import type { LogFields, LogLevel, Logger } from '../../ports.ts';
import { jsonLine, journalLine, textLine } from './format.ts';
import type { LogRecord } from './format.ts';

/** How a line looks: for the journal, for a person, for a machine. */
export type LogFormat = 'journal' | 'text' | 'json';

export interface LoggerOptions {
  readonly format: LogFormat;
  readonly level: LogLevel;
  /** Where lines go; standard error in the program. */
  readonly stream: Writable;
  /** Colour the level of text lines. */
  readonly colour: boolean;
  readonly now: () => Date;
  /** How certlet runs on this host: remedies are told as they work there. */
  readonly host?: HowItRuns;
}

/** A log whose level can change while it runs. */
export interface LevelledLogger extends Logger {
  level(): LogLevel;
  setLevel(level: LogLevel): void;
}

/** In winston's order: a smaller number is more urgent. */
const LEVELS: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

/**
 * A log that writes one line for each call. It never throws: a reader that went away (EPIPE, closed standard error)
 * must not end a daemon that renews certificates.
 */
export function createLogger(options: LoggerOptions): LevelledLogger {
  // Without a listener, an error of the stream would be an uncaught exception.
  if (!options.stream.listeners('error').includes(ignoreStreamError)) options.stream.on('error', ignoreStreamError);
  const winston = createWinston({
    levels: LEVELS,
    // Its transports keep the level they were added with, so the level that can change is ours.
    level: 'debug',
    format: winstonFormat.printf(({ message }) => String(message)),
    transports: [new transports.Stream({ stream: options.stream, eol: '\n' })],
    exitOnError: false,
  });
  winston.on('error', ignoreStreamError);
  return new WinstonLogger(winston, options);
}

class WinstonLogger implements LevelledLogger {
  readonly #winston: Winston;
  readonly #options: LoggerOptions;
  #level: LogLevel;

  constructor(winston: Winston, options: LoggerOptions) {
    this.#winston = winston;
    this.#options = options;
    this.#level = options.level;
  }

  log(level: LogLevel, event: string, fields: LogFields = {}): void {
    if (LEVELS[level] > LEVELS[this.#level]) return;
    try {
      this.#winston.log(level, formatted({ time: this.#options.now(), level, event, fields }, this.#options));
    } catch {
      // A line that cannot be written has nowhere to be reported.
    }
  }

  level(): LogLevel {
    return this.#level;
  }

  setLevel(level: LogLevel): void {
    this.#level = level;
  }
}

function formatted(record: LogRecord, options: LoggerOptions): string {
  const told = { ...record, fields: fieldsFor(options.host, record.fields) };
  if (options.format === 'journal') return journalLine(told);
  return options.format === 'json' ? jsonLine(told) : textLine(told, { colour: options.colour });
}

function fieldsFor(host: HowItRuns | undefined, fields: LogFields): LogFields {
  const { remedy } = fields;
  return host === undefined || typeof remedy !== 'string' ? fields : { ...fields, remedy: remedyFor(remedy, host) };
}

function ignoreStreamError(): void {}
