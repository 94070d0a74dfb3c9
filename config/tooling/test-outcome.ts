/** What the parent tells a test worker, and what the worker tells of a file. */
export interface WorkerOrder {
  /** Path from the project's folder. */
  readonly name: string;
  /** Absolute path. */
  readonly file: string;
  /** Does not exist yet; the tests of the file may write below it. */
  readonly folder: string;
  readonly timeoutMs: number;
}

export interface Failure {
  /** Names of the tests around it and its own. */
  readonly name: string;
  /** tap's diagnostics. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface FileOutcome {
  /** From the project's folder. */
  readonly file: string;
  /** Assertions, as the next two. */
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Why, each reason once. */
  readonly reasons: readonly string[];
  readonly milliseconds: number;
  /** What such a file started may still be running. */
  readonly timedOut: boolean;
  readonly failures: readonly Failure[];
}

/** A file, or what belongs to no file, that broke in another way than by an assertion. */
export function broken(file: string, reason: string, lastLines: readonly string[] = []): FileOutcome {
  const failures = [{ name: reason, detail: lastLines.length === 0 ? {} : { printed: lastLines.join('\n') } }];
  return { file, passed: 0, failed: 1, skipped: 0, reasons: [], milliseconds: 0, timedOut: false, failures };
}

/** Files of a suite that this machine lacks something for. */
export function skippedFiles(file: string, reason: string): FileOutcome {
  return { file, passed: 0, failed: 0, skipped: 1, reasons: [reason], milliseconds: 0, timedOut: false, failures: [] };
}

const MARK = '# certlet test file: ';

/** The line that closes a file in a worker's output. */
export function endMark(outcome: FileOutcome): string {
  return MARK + JSON.stringify(outcome);
}

/** The outcome in such a line; undefined for every other line. */
export function outcomeIn(line: string): FileOutcome | undefined {
  return line.startsWith(MARK) ? (JSON.parse(line.slice(MARK.length)) as FileOutcome) : undefined;
}
