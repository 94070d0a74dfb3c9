import yargs from 'yargs';
import type { Argv, Options } from 'yargs';
import { nearest } from '../config/nearest.ts';
import type { CertletError } from '../errors.ts';
import { buildCommand } from './build-command.ts';
import type { ParsedLine } from './command.ts';
import { COMMANDS, findCommand } from './commands.ts';
import { COMMAND_NAMES, type CommandSpec, flagsOf, formOf } from './command-spec.ts';
import { type FlagSpec, GLOBAL_FLAGS } from './flags.ts';
import { commandHelp, programHelp } from './help.ts';
import { longFlags, plainBooleans, usageError } from './line-values.ts';

/** The kubelet's habits: the last one wins, nothing is guessed from the look of a value. */
const KUBELET_HABITS = {
  'camel-case-expansion': false,
  'dot-notation': false,
  'parse-numbers': false,
  'parse-positional-numbers': false,
  'short-option-groups': false,
  'duplicate-arguments-array': true,
  'flatten-duplicate-arrays': true,
  'boolean-negation': true,
  'strip-dashed': false,
};

interface LineLook {
  /** Columns for help texts. */
  readonly columns: number;
}

/** Reads a command line (without node and program). Prints and ends nothing. Throws `ERR_USAGE` for a line that has no sense; wrong values come as `wrong`. */
export async function parseCommandLine(argv: readonly string[], look: LineLook = { columns: 80 }): Promise<ParsedLine> {
  const line = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  const everyFlag = [...GLOBAL_FLAGS, ...COMMANDS.flatMap((command) => flagsOf(command))];
  const problems: string[] = [];
  const words = plainBooleans(longFlags(line, everyFlag), everyFlag, problems);
  const { values, asksForHelp, failure } = await ask(words);
  if (failure !== undefined) throw explained(failure, words);
  const [name, ...rest] = wordsOf(values['_']);
  const command = findCommand(name);
  if (asksForHelp) {
    const { columns } = look;
    return { kind: 'help', text: command === undefined ? programHelp(columns) : commandHelp(command, columns) };
  }
  if (values['version'] === true) return { kind: 'version' };
  if (command === undefined) throw usageError('which command? See the list with --help', undefined);
  if (rest.length > 0) throw usageError(`${JSON.stringify(rest[0])} is one word too many`, command);
  const positional = command.positional === undefined ? undefined : values[command.positional.name];
  return buildCommand(command, {
    raw: values,
    positional: typeof positional === 'string' ? positional : undefined,
    words: command.words === undefined ? [] : wordsOf(values[command.words.name]),
    problems,
  });
}

interface Answer {
  readonly values: Readonly<Record<string, unknown>>;
  readonly asksForHelp: boolean;
  readonly failure: string | undefined;
}

/** The library's callback form neither prints nor ends the process. */
async function ask(words: readonly string[]): Promise<Answer> {
  return new Promise((resolve) => {
    void parser().parse([...words], {}, (error, values, output) => {
      const failure = error === undefined || error === null ? undefined : error.message;
      resolve({ values: { ...(values as object) }, asksForHelp: failure === undefined && output !== '', failure });
    });
  });
}

/** It gets no words for help: rendering them, wanted or not, would be half of what a line costs (`help.ts` has the words). */
function parser(): Argv {
  let line: Argv = yargs()
    .scriptName('certlet')
    .parserConfiguration(KUBELET_HABITS)
    // Messages of other languages would be read from files beside the library's source.
    .detectLocale(false)
    .wrap(null)
    .help('help')
    .alias('help', 'h')
    .version(false)
    .option('version', { type: 'boolean' })
    .strict()
    .exitProcess(false);
  for (const command of COMMANDS) line = withCommand(line, command);
  return line;
}

function withCommand(line: Argv, command: CommandSpec): Argv {
  const { positional, words } = command;
  return line.command({
    command: formOf(command),
    describe: command.summary,
    builder: (inner: Argv) => {
      let built = inner;
      if (positional !== undefined) built = built.positional(positional.name, { type: 'string' });
      if (words !== undefined) built = built.positional(words.name, { type: 'string', array: true });
      for (const flag of flagsOf(command))
        if (!GLOBAL_FLAGS.includes(flag)) built = built.option(flag.name, optionOf(flag));
      return built;
    },
    handler: () => {},
  });
}

/** Allowed words are told, not enforced: the checks that follow have better words for it. */
function optionOf(flag: FlagSpec): Options {
  return {
    type: flag.kind === 'boolean' ? 'boolean' : 'string',
    ...(flag.short === undefined ? {} : { alias: flag.short }),
    ...(flag.kind === 'boolean' ? {} : { nargs: 1 }),
    hidden: true,
  };
}

/** The library's words made ours, with what was probably meant. */
function explained(message: string, words: readonly string[]): CertletError {
  const command = findCommand(words.find((word) => findCommand(word) !== undefined));
  const [, valueless] = /^Not enough arguments following: (.+)/.exec(message) ?? [];
  if (valueless !== undefined) return usageError(`--${valueless}: needs a value`, command);
  const [, unknown] = /^Unknown (?:arguments?|commands?): ([^,]+)/.exec(message) ?? [];
  if (unknown === undefined) return usageError(message.replace(/\s*\n\s*/g, ' '), command);
  const where = command === undefined ? 'certlet' : `certlet ${command.name}`;
  const isFlag = words.some((word) => word.startsWith('-') && word.replace(/^--?/, '').split('=')[0] === unknown);
  if (isFlag) {
    const names = (command === undefined ? GLOBAL_FLAGS : flagsOf(command)).map((flag) => `--${flag.name}`);
    return usageError(`${where} has no flag --${unknown}${suggestion(nearest(unknown, names))}`, command);
  }
  if (command !== undefined) return usageError(`${where} takes no ${JSON.stringify(unknown)}`, command);
  return usageError(
    `${JSON.stringify(unknown)} is not a command${suggestion(nearest(unknown, COMMAND_NAMES))}`,
    undefined,
  );
}

function suggestion(meant: string | undefined): string {
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

function wordsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
