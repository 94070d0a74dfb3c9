import { basename } from 'node:path';
import { kubeletArguments } from './distribution.ts';

/** What can be read of a script that starts a kubelet, without running it. */
export interface ScriptReading {
  /** Words that run the kubelet, up to its flags. */
  readonly program: readonly string[];
  /** Its flags, those left out whose value is not known. */
  readonly arguments: readonly string[];
  /** Words as written that only a shell could work out. */
  readonly unknown: readonly string[];
  /** The script hands its own arguments on at the kubelet's end, where they win. */
  readonly passesArguments: boolean;
}

export interface ScriptQuestion {
  readonly text: string;
  /** Values that the unit gives. */
  readonly environment: ReadonlyMap<string, string>;
  /** The script's own arguments. */
  readonly given: readonly string[];
  /** Texts of files that the script reads with `.` or `source`, by their names as written. */
  readonly sourced: ReadonlyMap<string, string>;
}

/** Whether a file is a script of a shell, by its first line. */
export const isShellScript = (text: string): boolean => /^#!\s*\S*(?:\/|\benv\s+)(?:ba|da|k|z)?sh\b/u.test(text);

/** Names of files that a script reads with `.` or `source`, as written. */
export function sourcedFiles(text: string): readonly string[] {
  return [...text.matchAll(/^[ \t]*(?:\.|source)[ \t]+["']?([^\s"';&|$]+)/gmu)].flatMap(([, path]) => path ?? []);
}

/**
 * Reads the last command of a script that starts a kubelet: assignments of whole lines and variables are followed, conditions are not. Undefined
 * where there is no such command.
 */
export function readShellScript(question: ScriptQuestion): ScriptReading | undefined {
  const shell: Shell = { variables: new Map(question.environment), given: question.given };
  let found: ScriptReading | undefined;
  for (const line of linesOf(question)) {
    const assignment = /^(?:(?:export|readonly|local|declare(?:\s+-\w+)?)\s+)?([A-Za-z_]\w*)=(.*)$/u.exec(line);
    const [, name, value = ''] = assignment ?? [];
    const words = wordsOf(assignment === null ? line : value, shell);
    if (name === undefined || words.length > 1) found = commandIn(words) ?? found;
    else if (words[0]?.known === false) shell.variables.delete(name);
    else shell.variables.set(name, words[0]?.text ?? '');
  }
  return found;
}

interface Shell {
  readonly variables: Map<string, string>;
  readonly given: readonly string[];
}

/** A word after expansion; `isRest` for `"$@"`. */
interface Word {
  readonly text: string;
  readonly written: string;
  readonly known: boolean;
  readonly isRest: boolean;
}

/** Lines without comments, joined where a backslash ends them, those of sourced files in their place. */
function linesOf({ text, sourced }: ScriptQuestion): readonly string[] {
  const own = text.replaceAll(/\\\r?\n/gu, ' ').split(/\r?\n/u);
  return own.flatMap((raw) => {
    const line = raw.trim();
    if (line.startsWith('#')) return [];
    const [path] = sourcedFiles(line);
    return path === undefined ? [line] : (sourced.get(path) ?? '').split(/\r?\n/u).map((each) => each.trim());
  });
}

function commandIn(words: readonly Word[]): ScriptReading | undefined {
  const at = words.findIndex((_word, index) => isKubelet(words, index));
  if (at < 0) return undefined;
  const command = words.slice(at);
  const args = kubeletArguments(command.map(({ text }) => text)) ?? [];
  const rest = command.slice(command.length - args.length);
  return {
    program: command.slice(0, command.length - args.length).map(({ text }) => text),
    arguments: rest.filter(({ known }) => known).map(({ text }) => text),
    unknown: rest.filter(({ known }) => !known).map(({ written }) => written),
    passesArguments: rest.at(-1)?.isRest === true || words.at(-1)?.isRest === true,
  };
}

/** What may stand before a command on its line. */
const BEFORE: readonly string[] = ['exec', 'nohup', 'env', 'nice', 'sudo', 'then', 'do', 'command'];

function isKubelet(words: readonly Word[], at: number): boolean {
  const here = words.slice(at).map(({ text }) => text);
  if (kubeletArguments(here) === undefined) return false;
  const before = words[at - 1];
  return before === undefined || BEFORE.includes(basename(before.text)) || /^\w+=/u.test(before.text);
}

/** Quoted parts, escapes, what only a shell can tell, variables, what ends a command, blanks, anything else: a part at a time. */
const PARTS =
  /'(?<single>[^']*)'|(?<all>"\$(?:@|\{@\})"|\$[@*]|\$\{[@*]\})|"(?<double>(?:[^"\\]|\\[\s\S])*)"|\\(?<escaped>[\s\S])|(?<run>\$\([^)]*\)|`[^`]*`)|\$\{(?<braced>[A-Za-z_]\w*)(?<other>:?-(?<fallback>[^}]*))?\}|\$(?<plain>[A-Za-z_]\w*)|(?<dollar>\$)|(?<operator>[;&|<>#()]+)|(?<blank>\s+)|(?<text>[^'"\\$`;&|<>#()\s]+|`)/gu;

type Part = Readonly<Record<string, string | undefined>>;
type Take = (words: WordList, part: Part, written: string, shell: Shell) => void;

/** What is done with a part, by its kind. */
const TAKES: Readonly<Record<string, Take>> = {
  single: (words, { single = '' }, written) => words.add(single, written),
  all: (words, _part, _written, { given }) => words.rest(given),
  double: (words, { double = '' }, written, shell) => words.quoted(double, written, shell),
  escaped: (words, { escaped = '' }, written) => words.add(escaped, written),
  run: (words, _part, written) => words.unknown(written),
  braced: (words, { braced = '', other, fallback = '' }, written, { variables }) =>
    words.variable(variables.get(braced) ?? (other === undefined ? undefined : fallback), written),
  plain: (words, { plain = '' }, written, { variables }) => words.variable(variables.get(plain), written),
  dollar: (words, _part, written) => words.unknown(written),
  // `a#b` is a word.
  operator: (words, _part, written) => words.add(written, written),
  blank: (words) => words.end(),
  text: (words, { text = '' }, written) => words.add(text, written),
};

/** The words of one command: they end at the first `;`, `&`, `|`, redirection or comment. */
function wordsOf(line: string, shell: Shell): readonly Word[] {
  const words = new WordList();
  for (const match of line.matchAll(PARTS)) {
    const part: Part = match.groups ?? {};
    const { operator } = part;
    if (operator !== undefined && !(operator.startsWith('#') && words.isOpen)) break;
    const [, take] = Object.entries(TAKES).find(([kind]) => part[kind] !== undefined) ?? [];
    take?.(words, part, match[0], shell);
  }
  words.end();
  return words.done;
}

class WordList {
  readonly done: Word[] = [];
  #open: { text: string; written: string; known: boolean } | undefined;

  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  add(text: string, written: string, known = true): void {
    const before = this.#open ?? { text: '', written: '', known: true };
    this.#open = { text: before.text + text, written: before.written + written, known: before.known && known };
  }

  unknown(written: string): void {
    this.add('', written, false);
  }

  /** Outside of quotes a value is split at its blanks. */
  variable(value: string | undefined, written: string): void {
    if (value === undefined) return this.unknown(written);
    const parts = value.split(/\s+/u);
    for (const [index, part] of parts.entries()) {
      if (index > 0) this.end();
      if (part !== '' || parts.length === 1) this.add(part, written);
    }
    return undefined;
  }

  /** Inside of double quotes variables are put in as they are. */
  quoted(text: string, written: string, { variables }: Shell): void {
    let known = !/\$\(|`/u.test(text);
    const value = text.replaceAll(/\\(["\\$`])|\$\{?([A-Za-z_]\w*)\}?/gu, (whole, plain?: string, name?: string) => {
      if (plain !== undefined) return plain;
      const found = variables.get(name ?? '');
      known &&= found !== undefined;
      return found ?? whole;
    });
    this.add(value, written, known);
  }

  rest(given: readonly string[]): void {
    this.end();
    for (const text of given) this.done.push({ text, written: text, known: true, isRest: true });
    if (given.length === 0) this.done.push({ text: '', written: '"$@"', known: true, isRest: true });
  }

  end(): void {
    if (this.#open !== undefined) this.done.push({ ...this.#open, isRest: false });
    this.#open = undefined;
  }
}
