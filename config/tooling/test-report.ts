/** What a run of tests shows: a line a file, then what failed and the command to see it again, then the figures. */
import type { Failure, FileOutcome } from './test-outcome.ts';

const WORD_WIDTH = 8;
const NAME_WIDTH = 52;
const DETAIL_LINES = 25;
/** Not of use to a reader: they stand in the log. */
const HIDDEN = new Set(['source', 'at', 'tapCaught', 'test', 'testdir']);

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
const skips = (skipped: number): string => (skipped === 0 ? '' : `, ${String(skipped)} skipped`);

/** The line of one file: what it asserted, and why what it skipped is skipped. A file that asserted nothing is not `ok`. */
export function fileLine({ file, passed, failed, skipped, reasons, milliseconds }: FileOutcome): string {
  const begin = (word: string): string =>
    `${word.padEnd(WORD_WIDTH)}${file.padEnd(NAME_WIDTH)} ${seconds(milliseconds).padStart(7)}  `;
  const why = reasons.join('; ');
  if (failed === 0 && passed === 0) return begin('skipped') + (why === '' ? 'no reason is told' : why);
  const told = skips(skipped) + (why === '' ? '' : `: ${why}`);
  if (failed === 0) return `${begin('ok')}${String(passed)} passed${told}`;
  return `${begin('FAILED')}${String(failed)} of ${String(passed + failed)} failed${told}`;
}

/** Processor time: of the process that runs tests, and of the programs that they started and that ended. */
export interface ProcessorTime {
  readonly ownMs: number;
  readonly programsMs: number;
}

/** For the log: how long a file took, and how much of processors, which is what counts on a busy machine. */
export function timeLine({ file, milliseconds }: FileOutcome, { ownMs, programsMs }: ProcessorTime): string {
  const processor = `processor ${seconds(ownMs + programsMs)} (programs ${seconds(programsMs)})`;
  return `# time ${file}: ${seconds(milliseconds)}, ${processor}\n`;
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  return JSON.stringify(value, null, 2);
}

function failureLines({ name, detail }: Failure): readonly string[] {
  const lines = Object.entries(detail)
    .filter(([key, value]) => !HIDDEN.has(key) && value !== undefined)
    .flatMap(([key, value]) => {
      const [first = '', ...rest] = text(value).trimEnd().split('\n');
      return [`${key}: ${first}`, ...rest.map((line) => `  ${line}`)];
    });
  const shown = lines.slice(0, DETAIL_LINES);
  if (lines.length > shown.length) shown.push(`… ${String(lines.length - shown.length)} lines more in the log`);
  return [`  ${name}`, ...shown.map((line) => `      ${line}`)];
}

/** Each file that failed: what, and `rerun` with the file. */
export function failureReport(outcomes: readonly FileOutcome[], rerun: string): readonly string[] {
  return outcomes
    .filter(({ failed }) => failed > 0)
    .flatMap(({ file, failures }) => [
      '',
      `FAILED ${file}`,
      ...failures.flatMap(failureLines),
      `  again: ${rerun} ${file}`,
    ]);
}

/** `N passed, N failed[, N skipped]`, in assertions. */
export function closingLine(outcomes: readonly FileOutcome[]): string {
  const sum = (figure: 'passed' | 'failed' | 'skipped'): number =>
    outcomes.reduce((total, one) => total + one[figure], 0);
  return `${String(sum('passed'))} passed, ${String(sum('failed'))} failed${skips(sum('skipped'))}`;
}
