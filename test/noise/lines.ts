/** Lines of a log by the hour, as an operator's journal has them. */
import type { Clock, LogFields, Logger, LogLevel } from '../../src/ports.ts';

export const HOUR_MS = 3_600_000;

interface Line {
  readonly at: Date;
  readonly text: string;
}

/** Keeps the lines that the default level shows, each with its moment. */
export class HourlyLog implements Logger {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #renewals = new Set<string>();
  #lines: Line[] = [];
  #since: Date;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  log(level: LogLevel, event: string, fields: LogFields = {}): void {
    const { purpose = '', code = '' } = fields;
    if (level !== 'debug' && !this.#isOfRenewal(`${event} ${String(purpose)}`))
      this.#lines.push({ at: this.#clock.now(), text: `${event} ${String(purpose)} ${String(code)}` });
  }

  /** What is due is said once for each certificate without a trouble, too. */
  #isOfRenewal(text: string): boolean {
    if (!text.startsWith('Rotating certificates ') || this.#renewals.has(text)) return false;
    this.#renewals.add(text);
    return true;
  }

  /** The trouble begins now. */
  begin(): void {
    this.#lines = [];
    this.#since = this.#clock.now();
  }

  /** What was said in the given hour since the trouble began, from 0. */
  inHour(hour: number): readonly string[] {
    const [from, to] = [hour, hour + 1].map((count) => this.#since.getTime() + count * HOUR_MS);
    return this.#lines.filter(({ at }) => at.getTime() >= from! && at.getTime() < to!).map(({ text }) => text);
  }
}
