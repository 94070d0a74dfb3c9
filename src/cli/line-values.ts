import type { Remedy } from '../remedy.ts';
import { CertletError } from '../errors.ts';
import { type CommandSpec, flagsOf } from './command-spec.ts';
import type { FlagSpec } from './flags.ts';

/** Flag values as a parser hands them over: a flag given twice is a list. */
export type RawValues = Readonly<Record<string, unknown>>;

/** Checked values by flag name; what was not given is absent. */
export type CheckedValues = Readonly<Record<string, string | boolean | readonly string[]>>;

/** strconv.ParseBool, with which the kubelet reads its flags. */
const TRUE_WORDS = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const FALSE_WORDS = ['0', 'f', 'F', 'false', 'FALSE', 'False'];

/** `-o json`, `-ojson` and `-o=json`, as kubectl takes them, as `--output json` and `--output=json`; `-w` as `--watch`. */
export function longFlags(argv: readonly string[], flags: readonly FlagSpec[]): readonly string[] {
  return argv.map((word) => {
    const [, letter, value = ''] = /^-([a-zA-Z])(?:=?(.+))?$/su.exec(word) ?? [];
    const flag = flags.find(({ short }) => short !== undefined && short === letter);
    if (flag === undefined || (flag.kind === 'boolean' && value !== '')) return word;
    return value === '' ? `--${flag.name}` : `--${flag.name}=${value}`;
  });
}

/**
 * `--flag=true` and `--flag=0` as `--flag` and `--no-flag`. Parsers of other languages read `=1` or `=TRUE` as false, and a
 * flag copied from a kubelet must not turn into its opposite. Other words go to `problems`.
 */
export function plainBooleans(
  argv: readonly string[],
  flags: readonly FlagSpec[],
  problems: string[],
): readonly string[] {
  const names = new Set(flags.filter((flag) => flag.kind === 'boolean').map((flag) => flag.name));
  return argv.map((word) => {
    const [, name, value] = /^--([^=]+)=(.*)$/s.exec(word) ?? [];
    if (name === undefined || value === undefined || !names.has(name)) return word;
    if (TRUE_WORDS.includes(value)) return `--${name}`;
    if (FALSE_WORDS.includes(value)) return `--no-${name}`;
    problems.push(`--${name}: expected true or false, got ${JSON.stringify(value)}`);
    return `--${name}`;
  });
}

/** Values of the command's flags: the last one wins, lists grow. What a flag cannot have goes to `problems`; words are judged by who reads them. */
export function checkedValues(raw: RawValues, command: CommandSpec, problems: string[]): CheckedValues {
  const values: Record<string, string | boolean | readonly string[]> = {};
  for (const flag of flagsOf(command)) {
    const given = [raw[flag.name]].flat().filter((value) => value !== undefined);
    if (given.length === 0) continue;
    const last = given.at(-1);
    if (flag.kind === 'list') values[flag.name] = entriesOf(given);
    else if (flag.kind === 'boolean') values[flag.name] = last === true;
    else if (typeof last === 'boolean') problems.push(`--no-${flag.name} is not a flag: it takes a value`);
    else values[flag.name] = String(last);
  }
  return values;
}

/** A word of the command line may be a file that was pasted by mistake. */
const LONGEST_LINE = 1000;

/** An error of one or more lines that points to the help of the command. */
export function usageError(words: string, command: Pick<CommandSpec, 'name'> | undefined): CertletError {
  const message = words
    .split('\n')
    .map((line) => (line.length <= LONGEST_LINE ? line : `${line.slice(0, LONGEST_LINE)}…`))
    .join('\n');
  const help: Remedy = command === undefined ? 'certlet --help' : `certlet ${command.name} --help`;
  return new CertletError('ERR_USAGE', message, { remedy: help });
}

function entriesOf(given: readonly unknown[]): readonly string[] {
  return given
    .flatMap((text) => String(text).split(','))
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
