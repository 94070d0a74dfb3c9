import type { LevelledLogger } from './adapters/log/logger.ts';
import type { LogFields, LogLevel } from './ports.ts';
import type { WarningStatus } from './status/document.ts';
import { timestamp } from './timestamp.ts';

/** As many as a reader takes in, and as `systemctl status` would scroll away. */
const KEPT = 3;

/**
 * A log that remembers its last lines at warn and above, for the status, which everybody may read: event, certificate and code alone. What a
 * plugin, a hook or a server has said stays in the journal.
 */
export class RecentWarnings implements LevelledLogger {
  readonly #log: LevelledLogger;
  readonly #now: () => Date;
  #last: readonly WarningStatus[] = [];

  constructor(log: LevelledLogger, now: () => Date) {
    this.#log = log;
    this.#now = now;
  }

  /** At most three, the newest last. */
  get last(): readonly WarningStatus[] {
    return this.#last;
  }

  log(level: LogLevel, event: string, fields: LogFields = {}): void {
    this.#log.log(level, event, fields);
    if (level === 'info') return;
    const { purpose, code } = fields;
    const line = {
      event,
      ...(typeof purpose === 'string' && { purpose }),
      ...(typeof code === 'string' && { code }),
    };
    const key = JSON.stringify(line);
    const same = this.#last.find(({ at: _at, level: _level, times: _times, ...rest }) => JSON.stringify(rest) === key);
    // What goes on unsaid (`Troubles`) still happens: the status counts it.
    const shown = level === 'debug' ? line.code && same?.level : level;
    if (shown !== 'warn' && shown !== 'error') return;
    const others = this.#last.filter((each) => each !== same);
    const newest = { at: timestamp(this.#now()), level: shown, ...line, times: (same?.times ?? 0) + 1 };
    this.#last = [...others, newest].slice(-KEPT);
  }

  level(): LogLevel {
    return this.#log.level();
  }

  setLevel(level: LogLevel): void {
    this.#log.setLevel(level);
  }
}
