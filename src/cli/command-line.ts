import yargs from 'yargs';
import type { Argv, Options } from 'yargs';
import { nearest } from '../config/nearest.ts';
import type { CertletError } from '../errors.ts';
import { buildCommand } from './build-command.ts';
import type { ParsedLine } from './command.ts';
import { COMMANDS, COMMON_EXITS, findCommand } from './commands.ts';
import { COMMAND_NAMES, type CommandSpec, flagsOf } from './command-spec.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import type { FlagSpec } from './flags.ts';
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

/** The library renders the help of every command that it finds, wanted or not: half of what a line costs. `bare` gives it no words to render. */
type HelpLook = LineLook | 'bare';

/** Reads a command line (without node and program). Prints and ends nothing. Throws `ERR_USAGE` for a line that has no sense; wrong values come as `wrong`. */
export async function parseCommandLine(argv: readonly string[], look: LineLook = { columns: 80 }): Promise<ParsedLine> {
  const line = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  const everyFlag = [...GLOBAL_FLAGS, ...COMMANDS.flatMap((command) => flagsOf(command))];
  const problems: string[] = [];
  const words = plainBooleans(longFlags(line, everyFlag), everyFlag, problems);
  const bare = await ask(words, 'bare');
  const { values, help, failure } = bare.help === '' ? bare : await ask(words, look);
  if (failure !== undefined) throw explained(failure, words);
  if (help !== '') return { kind: 'help', text: `${help.trimEnd()}\n` };
  if (values['version'] === true) return { kind: 'version' };
  const [name, ...rest] = wordsOf(values['_']);
  const command = findCommand(name);
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
  readonly help: string;
  readonly failure: string | undefined;
}

/** The library's callback form neither prints nor ends the process. */
async function ask(words: readonly string[], look: HelpLook): Promise<Answer> {
  return new Promise((resolve) => {
    void parser(look).parse([...words], {}, (error, values, output) => {
      const failure = error === undefined || error === null ? undefined : error.message;
      resolve({ values: { ...(values as object) }, help: failure === undefined ? output : '', failure });
    });
  });
}

function parser(look: HelpLook): Argv {
  let line: Argv = yargs()
    .scriptName('certlet')
    .parserConfiguration(KUBELET_HABITS)
    // Messages of other languages would be read from files beside the library's source.
    .detectLocale(false)
    .wrap(look === 'bare' ? null : Math.max(40, Math.min(look.columns, 110)))
    .usage('certlet: the certificates of a Kubernetes node\n\nUsage: $0 COMMAND [FLAGS]')
    .help('help', 'Show what the command does and takes.')
    .alias('help', 'h')
    .version(false)
    .option('version', { type: 'boolean', description: 'Show the version.' })
    .strict()
    .exitProcess(false)
    .epilogue('certlet COMMAND --help tells more. Manual: certlet(8), certlet-config(5).');
  for (const command of COMMANDS) line = withCommand(line, command, look);
  return line;
}

function withCommand(line: Argv, command: CommandSpec, look: HelpLook): Argv {
  const { positional, words } = command;
  const form = [
    command.name,
    ...(positional === undefined ? [] : [`[${positional.name}]`]),
    ...(words === undefined ? [] : [`[${words.name}..]`]),
  ].join(' ');
  return line.command({
    command: form,
    describe: command.summary,
    builder: (inner: Argv) => {
      const about = [command.summary, ...command.description].join('\n\n');
      let built = inner.usage(`Usage: certlet ${form} [FLAGS]\n\n${about}`);
      if (positional !== undefined) {
        const choices = positional.choices === undefined ? '' : ` (${positional.choices.join('|')})`;
        built = built.positional(positional.name, {
          type: 'string',
          describe: `${positional.summary}${choices}`,
          ...(positional.fallback === undefined ? {} : { defaultDescription: positional.fallback }),
        });
      }
      if (words !== undefined)
        built = built.positional(words.name, { type: 'string', array: true, describe: words.summary });
      for (const flag of flagsOf(command)) {
        const option = optionOf(flag, command);
        if (!GLOBAL_FLAGS.includes(flag))
          built = built.option(flag.name, look === 'bare' ? { ...option, hidden: true } : option);
      }
      if (look === 'bare') return built;
      for (const example of command.examples) built = built.example(example, '');
      return built.epilogue(endOfHelp(command));
    },
    handler: () => {},
  });
}

/** Allowed words are told, not enforced: the checks that follow have better words for it. */
function optionOf(flag: FlagSpec, command: CommandSpec): Options {
  const value = flag.choices?.join('|') ?? flag.value;
  return {
    type: flag.kind === 'boolean' ? 'boolean' : 'string',
    ...(flag.short === undefined ? {} : { alias: flag.short }),
    description: value === undefined ? flag.summary : `${flag.summary} (${value})`,
    ...(flag.kind === 'boolean' ? {} : { nargs: 1 }),
    ...(flag.fallback === undefined ? {} : { defaultDescription: flag.fallback }),
    group: flag.setting === undefined ? 'Flags:' : 'Settings:',
    hidden: flag.setting !== undefined && !showsSettings(command),
  };
}

/** Their flags are many; where they are seldom used the help only says so. */
function showsSettings(command: CommandSpec): boolean {
  return command.name === 'run' || command.name === 'once';
}

function endOfHelp(command: CommandSpec): string {
  const note = 'The flags for settings are taken too: certlet run --help lists them.';
  return [...(command.settings && !showsSettings(command) ? [note, ''] : []), exitText(command)].join('\n');
}

function exitText(command: CommandSpec): string {
  const exits = [...COMMON_EXITS.filter(([code]) => command.exits.every(([own]) => own !== code)), ...command.exits];
  const lines = exits
    .toSorted(([a], [b]) => a - b)
    .map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`);
  return ['Exit codes:', ...lines].join('\n');
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
