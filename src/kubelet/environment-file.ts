/**
 * Reads an `EnvironmentFile=` as systemd does (env-file.c), which is not quite a shell: `NAME=value` a line, `#` and `;`
 * comments, quoted and unquoted parts one after the other, a backslash at the end of a line continues it, nothing is
 * expanded. Lines that are no assignment are left out, as systemd leaves them out.
 */
export function parseEnvironmentFile(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const rest = text.replaceAll('\r\n', '\n');
  let at = 0;
  while (at < rest.length) {
    const end = lineEnd(rest, at);
    const line = rest.slice(at, end);
    const match = /^\s*([A-Za-z_]\w*)[ \t]*=[ \t]*/u.exec(line);
    const [whole, name] = match ?? [];
    if (whole === undefined || name === undefined || /^\s*[#;]/u.test(line)) {
      at = end + 1;
      continue;
    }
    const { value, next } = readValue(rest, at + whole.length);
    values.set(name, value);
    at = next;
  }
  return values;
}

interface ReadValue {
  readonly value: string;
  /** Where the next line begins. */
  readonly next: number;
}

/**
 * One value from where it begins to the end of its line. Quotes count at its beginning and right after other quotes; within an
 * unquoted value they are ordinary characters. Quoted parts may hold line breaks.
 */
function readValue(text: string, start: number): ReadValue {
  let value = '';
  let at = start;
  while (`"' \t`.includes(text.charAt(at)) && at < text.length) {
    if (/\s/u.test(text.charAt(at))) {
      at += 1;
      continue;
    }
    const part = readQuoted(text, at);
    value += part.value;
    at = part.next;
  }
  const rest = readUnquoted(text, at);
  return { value: value + rest.value, next: rest.next };
}

/** To the end of the line, over escaped line ends; blanks at the end go unless they were escaped. */
function readUnquoted(text: string, start: number): ReadValue {
  let value = '';
  let kept = 0;
  let at = start;
  while (at < text.length && text.charAt(at) !== '\n') {
    const char = text.charAt(at);
    const escaped = char === '\\' ? text.charAt(at + 1) : undefined;
    if (escaped !== '\n') value += escaped ?? char;
    if (escaped !== undefined || !/\s/u.test(char)) kept = value.length;
    at += escaped === undefined ? 1 : 2;
  }
  return { value: value.slice(0, kept), next: at + 1 };
}

/** In single quotes everything is literal; in double quotes a backslash counts before `"`, `\`, `` ` ``, `$` and a line break. */
function readQuoted(text: string, start: number): ReadValue {
  const quote = text.charAt(start);
  let value = '';
  let at = start + 1;
  while (at < text.length && text.charAt(at) !== quote) {
    const char = text.charAt(at);
    const following = text.charAt(at + 1);
    if (quote === '"' && char === '\\' && '"\\`$\n'.includes(following) && following !== '') {
      if (following !== '\n') value += following;
      at += 2;
    } else {
      value += char;
      at += 1;
    }
  }
  return { value, next: at + 1 };
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

/** A value as `parseEnvironmentFile` and systemd read it back: a backslash, as in escaped unit names, is one only in single quotes. */
export function environmentValue(text: string): string {
  return /^[\w@.:/+-]*$/u.test(text) ? text : `'${text.replaceAll("'", String.raw`'"'"'`)}'`;
}
