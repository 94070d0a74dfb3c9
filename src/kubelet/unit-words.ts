/** Values of `Environment=` and `EnvironmentFile=` together, by name. */
export type UnitEnvironment = ReadonlyMap<string, string>;

const BLANKS = ' \t\n\r';
const QUOTES = `"'`;
/** Escapes whole, everything else a character at a time. */
const PARTS = /\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|[0-3][0-7]{2}|[\s\S]?)|[\s\S]/giu;
const ESCAPES: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  s: ' ',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/**
 * Splits a value of a unit file into words as systemd does (extract-word.c with unquoting): blanks between words, quotes of
 * either kind anywhere, C escapes inside and outside of quotes. An unknown escape and a quote that is never closed are kept
 * as they stand, so that a damaged line can still be shown.
 */
export function splitWords(text: string): readonly string[] {
  return split(text, unescape);
}

function split(text: string, resolve: (escape: string) => string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (const [part] of text.matchAll(PARTS)) {
    const first = part.charAt(0);
    if (quote === undefined && BLANKS.includes(first)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (first === quote) {
      quote = undefined;
    } else if (quote === undefined && QUOTES.includes(first)) {
      quote = first;
      word ??= '';
    } else {
      word = (word ?? '') + (first === '\\' ? resolve(part) : part);
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/**
 * Puts variables into the words of a command line as systemd does (systemd.service(5), "Command lines"): a word that is
 * exactly `$NAME` becomes no word, one or several (quotes in its value count, escapes stand for their character); `${NAME}` is replaced inside a word without splitting; `$$` is a dollar
 * sign; a `$NAME` in the middle of a word stays. Unset variables are empty. `%` specifiers are left as they are.
 */
export function expandWords(words: readonly string[], environment: UnitEnvironment): readonly string[] {
  return words.flatMap((word) => {
    if (/^\$[^{$]/u.test(word)) return split(environment.get(word.slice(1)) ?? '', (escape) => escape.slice(1));
    return [
      word.replaceAll(/\$\$|\$\{([A-Za-z_]\w*)\}/gu, (whole, name: string | undefined) =>
        whole === '$$' ? '$' : (environment.get(name ?? '') ?? ''),
      ),
    ];
  });
}

function unescape(part: string): string {
  const digits = part.slice(2);
  if (part.length === 4 && part.charAt(1) !== 'x') return String.fromCharCode(Number.parseInt(part.slice(1), 8));
  if (digits !== '') return String.fromCharCode(Number.parseInt(digits, 16));
  return ESCAPES[part.charAt(1)] ?? part;
}
