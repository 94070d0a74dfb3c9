/**
 * The last net under the rule that secrets have a type of their own: text of foreign origin (a server's answer, a
 * plugin's output) may hold what looks like one.
 */
const SECRETS: readonly { readonly looksLike: RegExp; readonly becomes: string }[] = [
  // A private key of any kind, also with its line ends escaped or cut off before its end.
  {
    looksLike: /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
    becomes: '[secret]',
  },
  // A bootstrap token is `<id>.<secret>`; its id is public and tells the admin which one it is.
  { looksLike: /(?<![\w.-])([a-z0-9]{6})\.[a-z0-9]{16}(?![\w.-])/g, becomes: '$1.[secret]' },
  // A JSON web token, as service accounts and exec plugins use them. It begins where a word begins: tried at each `-eyJ` of a long text, the
  // pattern would take a square of its length.
  { looksLike: /(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, becomes: '[secret]' },
  { looksLike: /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, becomes: '$1 [secret]' },
];

/** `text` with everything that looks like a private key, token or password in a URL replaced by `[secret]`. */
export function redact(text: string): string {
  return withoutPasswords(SECRETS.reduce((rest, { looksLike, becomes }) => rest.replace(looksLike, becomes), text));
}

/** Looks at the words with an `@` alone, each once: all words of a text of megabytes do not fit into the heap of the service. */
function withoutPasswords(text: string): string {
  let result = '';
  let done = 0;
  let next = 0;
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', next)) {
    let start = at;
    while (start > next && !isBreak(text[start - 1])) start -= 1;
    let end = at;
    while (end < text.length && !isBreak(text[end])) end += 1;
    const word = text.slice(start, end);
    const shown = withoutPassword(word);
    if (shown !== word) {
      result += text.slice(done, start) + shown;
      done = end;
    }
    next = end;
  }
  return result + text.slice(done);
}

function isBreak(character: string | undefined): boolean {
  return character === undefined || /[\s"]/.test(character);
}

/**
 * A password in a URL goes up to the last `@` of the word: in it there may be a slash, or another `@`, and in the user before it a slash
 * (`DOMAIN/user`). More may go with it; a word with two URLs, say.
 */
function withoutPassword(word: string): string {
  const at = word.lastIndexOf('@');
  const slashes = word.indexOf('//');
  const colon = slashes < 0 ? -1 : word.indexOf(':', slashes);
  return colon < 0 || colon > at ? word : `${word.slice(0, colon + 1)}[secret]${word.slice(at)}`;
}
