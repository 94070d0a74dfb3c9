/** Requests per second as an API server sees them: pure arithmetic over the moments at which requests came. */

export interface RateSummary {
  readonly requests: number;
  /** The busiest second. */
  readonly peakPerSecond: number;
  /** Which second after `fromMs` that was. */
  readonly peakAtSeconds: number;
  /** All requests over the whole window, quiet seconds included. */
  readonly meanPerSecond: number;
  readonly peakToMean: number;
  /** Seconds from `fromMs` to the last request. */
  readonly lastAtSeconds: number;
}

/** How many moments lie in each second after `fromMs`; earlier ones and those past `seconds` are left out. */
export function perSecond(momentsMs: readonly number[], fromMs: number, seconds: number): readonly number[] {
  const counts = Array.from({ length: Math.max(1, Math.ceil(seconds)) }, () => 0);
  for (const moment of momentsMs) {
    const second = Math.floor((moment - fromMs) / 1000);
    const count = counts[second];
    if (count !== undefined) counts[second] = count + 1;
  }
  return counts;
}

/** Peak and mean over a window of so many seconds, such as the spread of a start. */
export function summarise(momentsMs: readonly number[], fromMs: number, seconds: number): RateSummary {
  const counts = perSecond(momentsMs, fromMs, seconds);
  const requests = counts.reduce((sum, count) => sum + count, 0);
  const peakPerSecond = Math.max(...counts);
  const meanPerSecond = requests / counts.length;
  return {
    requests,
    peakPerSecond,
    peakAtSeconds: counts.indexOf(peakPerSecond),
    meanPerSecond,
    peakToMean: requests === 0 ? 0 : peakPerSecond / meanPerSecond,
    lastAtSeconds: counts.findLastIndex((count) => count > 0),
  };
}

const BAR_WIDTH = 50;

/** A picture of the rate over time, at most `rows` lines; each bar is the busiest second of its row. */
export function histogram(counts: readonly number[], rows = 24): string {
  const perRow = Math.max(1, Math.ceil(counts.length / rows));
  const highest = Math.max(1, ...counts);
  const lines: string[] = [];
  for (let first = 0; first < counts.length; first += perRow) {
    const row = counts.slice(first, first + perRow);
    const peak = Math.max(...row);
    const mean = row.reduce((sum, count) => sum + count, 0) / row.length;
    const bar = '#'.repeat(Math.ceil((peak / highest) * BAR_WIDTH));
    lines.push(`${String(first).padStart(6)} s ${mean.toFixed(1).padStart(8)}/s ${String(peak).padStart(6)} ${bar}`);
  }
  return lines.join('\n');
}

/**
 * Pearson's chi-square of counts against equal shares. For k counts it is k - 1 on average for an even spread, with a variance of 2 (k - 1).
 */
export function chiSquare(counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const expected = total / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

/** Counts of values in equal parts of [0, 1]; values outside count in the part next to them. */
export function shares(values: readonly number[], parts: number): readonly number[] {
  const counts = Array.from({ length: parts }, () => 0);
  for (const value of values) {
    const part = Math.min(parts - 1, Math.max(0, Math.floor(value * parts)));
    counts[part] = (counts[part] ?? 0) + 1;
  }
  return counts;
}
