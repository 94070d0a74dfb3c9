import { CertletError } from '../errors.ts';
import { findCommand, flagsOf } from './commands.ts';
import type { CommandSpec } from './command-spec.ts';
import type { FlagSpec } from './flags.ts';

/** Flag values as a parser hands them over: a flag given twice is a list. */
export type RawValues = Readonly<Record<string, unknown>>;

/** Checked values by flag name; what was not given is absent. */
export type CheckedValues = Readonly<Record<string, string | boolean | readonly string[]>>;

/** strconv.ParseBool, with which the kubelet reads its flags. */
const TRUE_WORDS = ['1', 't', 'T', 'true', 'TRUE', 'True'];
const FALSE_WORDS = ['0', 'f', 'F', 'false', 'FALSE', 'False'];

/**
 * `--flag=true` and `--flag=0` as `--flag` and `--no-flag`. Parsers of other languages read `=1` or `=TRUE` as false, and a
 * flag copied from a kubelet must not turn into its opposite. Throws `ERR_USAGE` for other words.
 */
export function plainBooleans(argv: readonly string[], flags: readonly FlagSpec[]): readonly string[] {
  const names = new Set(flags.filter((flag) => flag.kind === 'boolean').map((flag) => flag.name));
  return argv.map((word) => {
    const [, name, value] = /^--([^=]+)=(.*)$/s.exec(word) ?? [];
    if (name === undefined || value === undefined || !names.has(name)) return word;
    if (TRUE_WORDS.includes(value)) return `--${name}`;
    if (FALSE_WORDS.includes(value)) return `--no-${name}`;
    throw usageError(`--${name}: expected true or false, got ${JSON.stringify(value)}`, findCommand(argv[0]));
  });
}

/** Values checked against the command's flags: the last one wins, lists grow. Throws `ERR_USAGE`. */
export function checkedValues(raw: RawValues, command: CommandSpec): CheckedValues {
  const values: Record<string, string | boolean | readonly string[]> = {};
  for (const flag of flagsOf(command)) {
    const given = [raw[flag.name]].flat().filter((value) => value !== undefined);
    if (given.length === 0) continue;
    values[flag.name] = flag.kind === 'list' ? entriesOf(given) : lastOf(given, flag, command);
  }
  return values;
}

/** A word of the command line may be a file that was pasted by mistake. */
const LONGEST_MESSAGE = 1000;

/** An error that points to the help of the command. */
export function usageError(words: string, command: CommandSpec | undefined): CertletError {
  const message = words.length <= LONGEST_MESSAGE ? words : `${words.slice(0, LONGEST_MESSAGE)}…`;
  const help = command === undefined ? 'certlet --help' : `certlet ${command.name} --help`;
  return new CertletError('ERR_USAGE', message, { remedy: `See: ${help}` });
}

function lastOf(given: readonly unknown[], flag: FlagSpec, command: CommandSpec): string | boolean {
  const last = given.at(-1);
  if (flag.kind === 'boolean') return last === true;
  if (typeof last === 'boolean') throw usageError(`--no-${flag.name} is not a flag: it takes a value`, command);
  const text = String(last);
  if (flag.choices !== undefined && !flag.choices.includes(text)) {
    throw usageError(
      `--${flag.name}: expected one of ${flag.choices.join(', ')}, got ${JSON.stringify(text)}`,
      command,
    );
  }
  return text;
}

function entriesOf(given: readonly unknown[]): readonly string[] {
  return given
    .flatMap((text) => String(text).split(','))
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
