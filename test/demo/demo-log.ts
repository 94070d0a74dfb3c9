import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';

/** One line of the daemon's log, which is JSON. */
export type LogRecord = Readonly<Record<string, unknown>> & { readonly event: string };

interface Waiter {
  readonly look: () => boolean;
  readonly fail: (error: Error) => void;
}

/** Follows the daemon's log: each line answers one wait, in their order. */
export class DemoLog {
  readonly #records: LogRecord[] = [];
  readonly #next = new Map<string, number>();
  readonly #waiters = new Set<Waiter>();
  readonly #limitMs: number;
  readonly #onRecord: (record: LogRecord) => void;
  #ended: Error | undefined;

  constructor(
    stream: Readable,
    { limitMs, onRecord }: { readonly limitMs: number; readonly onRecord: (record: LogRecord) => void },
  ) {
    this.#limitMs = limitMs;
    this.#onRecord = onRecord;
    createInterface({ input: stream }).on('line', (line) => this.#add(line));
  }

  /** The next line of this event (of this certificate) that no wait before has had. Rejects after the time limit, and when the daemon ends. */
  until(event: string, purpose?: string): Promise<LogRecord> {
    const key = `${event} ${purpose ?? ''}`;
    return new Promise((done, failed) => {
      const waiter: Waiter = {
        look: () => {
          const from = this.#next.get(key) ?? 0;
          const found = this.#records.findIndex(
            (record, at) =>
              at >= from && record.event === event && (purpose === undefined || record['purpose'] === purpose),
          );
          if (found < 0) return false;
          this.#next.set(key, found + 1);
          finish();
          done(this.#records[found] ?? { event });
          return true;
        },
        fail: (error) => {
          finish();
          failed(error);
        },
      };
      const limit = setTimeout(
        () => waiter.fail(new Error(`this did not happen within ${String(this.#limitMs / 1000)} s: ${key}`)),
        this.#limitMs,
      );
      const finish = (): void => {
        clearTimeout(limit);
        this.#waiters.delete(waiter);
      };
      this.#waiters.add(waiter);
      if (waiter.look()) return;
      if (this.#ended !== undefined) waiter.fail(this.#ended);
    });
  }

  /** What has been logged so far answers no wait any more. */
  skip(): void {
    for (const { event, purpose } of this.#records) {
      for (const key of [`${event} `, `${event} ${String(purpose)}`]) this.#next.set(key, this.#records.length);
    }
  }

  /** Whoever waits, and whoever will, is told. */
  end(error: Error): void {
    this.#ended = error;
    for (const waiter of this.#waiters) waiter.fail(error);
  }

  /** For a look when something went wrong. */
  get tail(): readonly string[] {
    return this.#records.slice(-10).map((record) => JSON.stringify(record));
  }

  #add(line: string): void {
    const record = JSON.parse(line) as LogRecord;
    this.#records.push(record);
    this.#onRecord(record);
    for (const waiter of this.#waiters) waiter.look();
  }
}
