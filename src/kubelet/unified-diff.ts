/**
 * A unified diff of two small texts, whole files as context, with the headers that `patch` takes. Undefined `before` is a
 * file that does not exist yet. Empty when nothing differs.
 */
export function unifiedDiff(path: string, before: string | undefined, after: string): string {
  if (before === after) return '';
  const old = linesOf(before ?? '');
  const next = linesOf(after);
  const range = (lines: readonly string[]): string => (lines.length === 0 ? '0,0' : `1,${String(lines.length)}`);
  return [
    `--- ${before === undefined ? '/dev/null' : path}`,
    `+++ ${path}`,
    `@@ -${range(old)} +${range(next)} @@`,
    ...editScript(old, next),
    '',
  ].join('\n');
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
