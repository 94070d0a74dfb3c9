/** The candidate that `word` was most likely meant to be; undefined when none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const plain = bare(word);
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(plain, bare(candidate));
    if (best === undefined || distance < best.distance) best = { candidate, distance };
  }
  // A third of the letters may be wrong; more than that is another word.
  return best !== undefined && best.distance <= Math.max(1, Math.floor(plain.length / 3)) ? best.candidate : undefined;
}

/** `cert-dir`, `certdir` and `CertDir` are the same wish. Long words are cut: only short ones are compared. */
function bare(word: string): string {
  return word.toLowerCase().replace(/[-_.]/g, '').slice(0, 64);
}

/** Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other. */
function editDistance(from: string, to: string): number {
  const first = Array.from({ length: to.length + 1 }, (_, index) => index);
  let before = first;
  let row = first;
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const same = from[i - 1] === to[j - 1];
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      next.push(
        Math.min(
          at(row, j - 1) + (same ? 0 : 1),
          at(row, j) + 1,
          at(next, j - 1) + 1,
          swapped ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY,
        ),
      );
    }
    before = row;
    row = next;
  }
  return at(row, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0;
}
