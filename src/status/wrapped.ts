/** Lines of at most so many characters, broken at blanks; longer words stay whole. Without a width it stays one line. */
export function wrapped(text: string, width: number | undefined): readonly [string, ...string[]] {
  if (width === undefined) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/u)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  const [first, ...rest] = lines;
  return first === undefined ? [line] : [first, ...rest, line];
}
