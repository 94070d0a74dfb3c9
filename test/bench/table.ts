import type { Figures } from './run.ts';

interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Undefined where no run has the figure. */
function spreadOf(runs: readonly Figures[], key: string): Spread | undefined {
  const sorted = runs.flatMap((run) => run[key] ?? []).sort((left, right) => left - right);
  const median = sorted[Math.floor(sorted.length / 2)];
  return median === undefined ? undefined : { median, least: sorted[0] ?? median, most: sorted.at(-1) ?? median };
}

const cell = (spread: Spread | undefined): string =>
  spread === undefined ? '–' : `${spread.median.toFixed(1)} (${spread.least.toFixed(1)} to ${spread.most.toFixed(1)})`;

/** A Markdown table: for each figure the median of each subject with its range, and the first one's share of the second one's. */
export function tableOf(subjects: Readonly<Record<string, readonly Figures[]>>): string {
  const names = Object.keys(subjects);
  const keys = [...new Set(Object.values(subjects).flatMap((runs) => runs.flatMap((run) => Object.keys(run))))];
  const rows = keys.map((key) => {
    const spreads = names.map((name) => spreadOf(subjects[name] ?? [], key));
    const [first, second] = spreads;
    const ratio =
      first === undefined || second === undefined || second.median === 0
        ? []
        : [`${(first.median / second.median).toFixed(2)}x`];
    return [key, ...spreads.map(cell), ...(names.length > 1 ? (ratio.length > 0 ? ratio : ['–']) : [])];
  });
  const head = ['figure', ...names, ...(names.length > 1 ? ['ratio'] : [])];
  return [head, head.map(() => '---'), ...rows].map((line) => `| ${line.join(' | ')} |`).join('\n');
}
