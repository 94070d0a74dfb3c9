/** As many unchanged lines stand around a change: enough for `patch`, and a settings file has a hundred lines of comments. */
const CONTEXT_LINES = 3;

/**
 * A unified diff of two small texts, with the headers that `patch` takes. Undefined `before` is a
 * file that does not exist yet. Empty when nothing differs.
 */
export function unifiedDiff(path: string, before: string | undefined, after: string): string {
  if (before === after) return '';
  const old = linesOf(before ?? '');
  const next = linesOf(after);
  return [`--- ${before === undefined ? '/dev/null' : path}`, `+++ ${path}`, ...hunks(editScript(old, next)), ''].join(
    '\n',
  );
}

/** The changes, each with its surroundings; those that touch are one hunk. */
function hunks(script: readonly string[]): readonly string[] {
  const near = script.map((_line, at) =>
    script.slice(Math.max(0, at - CONTEXT_LINES), at + CONTEXT_LINES + 1).some((line) => !line.startsWith(' ')),
  );
  const lines: string[] = [];
  for (let start = near.indexOf(true); start >= 0; ) {
    const gap = near.indexOf(false, start);
    const end = gap < 0 ? script.length : gap;
    const before = script.slice(0, start);
    const hunk = script.slice(start, end);
    lines.push(`@@ -${range(before, hunk, '+')} +${range(before, hunk, '-')} @@`, ...hunk);
    start = near.indexOf(true, end);
  }
  return lines;
}

/** First line and number of lines in the text that has no lines marked with `other`; of none the line before, as `patch` has it. */
function range(before: readonly string[], hunk: readonly string[], other: string): string {
  const count = (lines: readonly string[]): number => lines.filter((line) => !line.startsWith(other)).length;
  const length = count(hunk);
  return `${String(count(before) + (length === 0 ? 0 : 1))},${String(length)}`;
}

/** A last line that does not end is another line than one that does, and `patch` wants to be told. */
function linesOf(text: string): readonly string[] {
  const lines = text.split('\n');
  const unended = lines.slice(-1).filter((line) => line !== '');
  return [...lines.slice(0, -1), ...unended.map((line) => `${line}\n\\ No newline at end of file`)];
}

/** Longest common subsequence by table: these files have tens of lines. */
function editScript(old: readonly string[], next: readonly string[]): readonly string[] {
  const common = commonLengths(old, next);
  const script: string[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length && j < next.length) {
    if (old[i] === next[j]) {
      script.push(` ${old[i] ?? ''}`);
      i += 1;
      j += 1;
    } else if (common(i + 1, j) >= common(i, j + 1)) {
      script.push(`-${old[i] ?? ''}`);
      i += 1;
    } else {
      script.push(`+${next[j] ?? ''}`);
      j += 1;
    }
  }
  return [...script, ...old.slice(i).map((line) => `-${line}`), ...next.slice(j).map((line) => `+${line}`)];
}

/** How many lines the tails from line `i` and line `j` on have in common, in order. */
function commonLengths(old: readonly string[], next: readonly string[]): (i: number, j: number) => number {
  const lengths = Array.from({ length: old.length + 1 }, () => Array.from({ length: next.length + 1 }, () => 0));
  const at = (i: number, j: number): number => lengths[i]?.[j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1) {
    const row = lengths[i] ?? [];
    for (let j = next.length - 1; j >= 0; j -= 1) {
      row[j] = old[i] === next[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  return at;
}
