/** C0, DEL, C1, line and paragraph separators, and the marks that turn the reading direction: what could forge a line or a terminal. */
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu;

/** The only sequences that certlet itself sends to a terminal: its colours, and home and clear of `status --watch`. */
// oxlint-disable-next-line no-control-regex -- as above
const OURS = /(\u001b\[(?:[012]|3[1-6]|90)m|\u001b\[H\u001b\[J)/u;

/** On one line and harmless: control characters as `\n`, `\t` or `\u001b`. */
export function escaped(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const known = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
    return known ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** journald splits a line at 48 KiB; a single value never gets near it. */
const LONGEST_TEXT = 4096;

/** The beginning of a long text, and how much of it is left out. */
export function shortened(text: string): string {
  if (text.length <= LONGEST_TEXT) return text;
  return `${text.slice(0, LONGEST_TEXT)}… (${String(text.length - LONGEST_TEXT)} more characters)`;
}

/** Text of several lines as one, for where a line break would be shown as `\n`: `3 problems: a; b; c`. Text of one line stays as it is. */
export function inOneLine(text: string): string {
  if (!text.includes('\n')) return text;
  // No pattern with blanks on both sides of the break: that takes the square of what somebody else sends.
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  // What heads a list ends with a colon.
  return lines.map((line, index) => (index === lines.length - 1 || /[:;,]$/.test(line) ? line : `${line};`)).join(' ');
}

/** Lines for a person without a colour: everything that could steer a terminal is escaped. */
export const plainLines = (text: string): string => text.replaceAll(/[^\n\t]+/g, escaped);

/** Lines for a person, whoever wrote the words in them: everything that could steer a terminal is escaped, but for our own colours. */
export function forTerminal(text: string): string {
  return text
    .split(OURS)
    .map((part, index) => (index % 2 === 1 ? part : plainLines(part)))
    .join('');
}
