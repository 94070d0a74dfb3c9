import { plainLines } from '../adapters/log/printable.ts';
import { reworded } from '../remedy.ts';
import { timestamp } from '../timestamp.ts';
import { BOLD, type Paint, paintFor } from '../status/paint.ts';
import { adviceLines } from '../status/rows.ts';
import { wrapped } from '../status/wrapped.ts';
import type { Cause, Finding, StepReport, Verdict } from './finding.ts';

/** Changes when a field changes its meaning or goes; new fields come without a change. */
export const CHECK_VERSION = 1;

export interface CheckFacts {
  readonly nodeName: string | undefined;
  readonly program: string;
  readonly now: Date;
}

/** How many findings there are of each kind. */
export function tally(reports: readonly StepReport[]): Readonly<Record<Verdict, number>> {
  const counts = { ok: 0, note: 0, warning: 0, problem: 0, skipped: 0 };
  for (const { findings } of reports) for (const { verdict } of findings) counts[verdict] += 1;
  return counts;
}

/** The report for programs: `version` 1, plain data without a secret. */
export function checkDocument(reports: readonly StepReport[], facts: CheckFacts): object {
  return {
    version: CHECK_VERSION,
    checkedAt: timestamp(facts.now),
    certlet: facts.program,
    node: facts.nodeName,
    summary: tally(reports),
    findings: reports.flatMap(({ step, findings }) => findings.map((found) => ({ step, ...found }))),
  };
}

const WORDS: Readonly<Record<Verdict, string>> = {
  ok: 'ok',
  note: 'note',
  warning: 'warning',
  problem: 'PROBLEM',
  skipped: 'skipped',
};
const COLOURS: Readonly<Record<Verdict, number>> = { ok: 32, note: 36, warning: 33, problem: 31, skipped: 2 };
const WIDTH = 'PROBLEM'.length;
const INDENT = ' '.repeat(2 + WIDTH + 2);

/** The report for a person: one heading for each step, problems again at the end. Ends in a newline. */
export function checkText(
  reports: readonly StepReport[],
  facts: CheckFacts & { readonly colour: boolean; readonly columns: number },
): string {
  const paint = paintFor(facts.colour);
  const columns = Math.max(60, facts.columns);
  const lines = blocksOf(reports).flatMap(({ title, findings }) => [
    paint(BOLD, title),
    ...findings.flatMap((found) => findingLines(harmless(found), paint, columns)),
    '',
  ]);
  return `${[...lines, ...summaryLines(reports, paint)].join('\n')}\n`;
}

/** Steps in a row that were not taken become one block: what matters is where the way ended. */
function blocksOf(reports: readonly StepReport[]): readonly StepReport[] {
  const blocks: StepReport[] = [];
  for (const report of reports) {
    const [first] = report.findings;
    if (first === undefined || first.id !== `${report.step}.skipped`) {
      blocks.push(report);
      continue;
    }
    const last = blocks.at(-1);
    const told = last?.step === NOT_TAKEN ? [...last.findings] : [];
    const before = told.at(-1);
    // Steps with one reason in a row are one line.
    if (before !== undefined && before.what.endsWith(`: ${first.what}`)) {
      const titles = before.what.slice(0, -`: ${first.what}`.length);
      told[told.length - 1] = { ...before, what: `${titles}; ${report.title}: ${first.what}` };
    } else told.push({ ...first, what: `${report.title}: ${first.what}` });
    const block = { step: NOT_TAKEN, title: 'Not looked at', findings: told };
    if (last?.step === NOT_TAKEN) blocks[blocks.length - 1] = block;
    else blocks.push(block);
  }
  return blocks;
}

const NOT_TAKEN = 'not taken';

/** The words may be those of a server or a program: the only colours are ours. */
function harmless(found: Finding): Finding {
  const { what, remedy, causes } = found;
  return { ...found, ...plain({ what, ...(remedy && { remedy }) }), ...(causes && { causes: causes.map(plain) }) };
}

const plain = <Told extends Pick<Finding, 'what' | 'remedy'>>(told: Told): Told => ({
  ...told,
  what: plainLines(told.what),
  ...(told.remedy && { remedy: reworded(told.remedy, plainLines) }),
});

function findingLines(found: Finding, paint: Paint, columns: number): readonly string[] {
  const { verdict, what, sure, remedy, causes = [] } = found;
  const label = paint(COLOURS[verdict], WORDS[verdict].padEnd(WIDTH));
  const doubt = sure === 'certain' ? '' : ` (${sure})`;
  const [first, ...rest] = linesOf(what + doubt, columns - INDENT.length);
  return [
    `  ${label}  ${first}`,
    ...rest.map((line) => INDENT + line),
    ...causes.flatMap((cause, index) => causeLines(cause, index, columns)),
    ...(causes.length > 0 ? [] : adviceLines(remedy, columns - INDENT.length).map((line) => INDENT + line)),
  ];
}

/** A list in a message stays one: a line of it that is too long goes on indented. */
function linesOf(text: string, width: number): readonly [string, ...string[]] {
  const [head = '', ...items] = text.split('\n');
  const rows = items.flatMap((item) =>
    wrapped(item.trim(), width - 4).map((line, index) => (index === 0 ? '  ' : '    ') + line),
  );
  const [first, ...rest] = wrapped(head, width);
  return [first, ...rest, ...rows];
}

function causeLines(cause: Cause, index: number, columns: number): readonly string[] {
  const mark = `${String(index + 1)}. `;
  const deeper = INDENT + ' '.repeat(mark.length);
  const [first, ...rest] = linesOf(`${cause.what} (${cause.sure})`, columns - deeper.length);
  return [
    `${INDENT}${mark}${first}`,
    ...rest.map((line) => deeper + line),
    ...adviceLines(cause.remedy, columns - deeper.length).map((line) => deeper + line),
  ];
}

function summaryLines(reports: readonly StepReport[], paint: Paint): readonly string[] {
  const counts = tally(reports);
  const problems = reports.flatMap(({ findings }) => findings.filter(({ verdict }) => verdict === 'problem'));
  const amount = (count: number, word: string): string => `${String(count)} ${word}${count === 1 ? '' : 's'}`;
  const found = [amount(counts.problem, 'problem'), amount(counts.warning, 'warning')].join(', ');
  const skipped = counts.skipped === 0 ? '' : `; ${String(counts.skipped)} not looked at`;
  const verdict: Verdict = problems.length > 0 ? 'problem' : counts.warning > 0 ? 'warning' : 'ok';
  const head = problems.length === 0 && counts.warning === 0 ? 'Nothing wrong was found' : found;
  return [paint(COLOURS[verdict], `${head}${skipped}`)];
}
