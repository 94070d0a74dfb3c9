import { COMMANDS } from './commands.ts';
import { type CommandSpec, flagsOf } from './command-spec.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import type { FlagSpec } from './flags.ts';

/** To be put as `_certlet` into a folder of `fpath`, or sourced after `compinit`. */
export function zshCompletion(): string {
  return `#compdef certlet
_certlet() {
  local -a commands
  commands=(
${COMMANDS.map((command) => `    ${quoted(`${command.name}:${command.summary}`)}`).join('\n')}
  )
  local curcontext=$curcontext state line
  _arguments -C \\
${GLOBAL_FLAGS.map((flag) => `    ${argument(flag)} \\`).join('\n')}
    '1: :->command' \\
    '*:: :->rest'
  case $state in
    command) _describe -t commands 'certlet command' commands ;;
    rest)
      case $line[1] in
${COMMANDS.map(commandCase).join('\n')}
      esac ;;
  esac
}
if [[ $funcstack[1] == _certlet ]]; then _certlet "$@"; else compdef _certlet certlet; fi
`;
}

function commandCase(command: CommandSpec): string {
  const flags = flagsOf(command).flatMap((flag) => [argument(flag), ...shortArgument(flag)]);
  const words = [
    ...(command.positional === undefined ? [] : [positional(command.positional)]),
    ...(command.words === undefined ? [] : [quoted(`*:${command.words.name}: `)]),
  ];
  return [
    `        ${command.name}) _arguments \\`,
    ...[...flags, ...words].map((text) => `          ${text} \\`),
    '          ;;',
  ].join('\n');
}

/** Those of the settings at this moment, a line each. */
const NAMES = '${(f)"$(certlet completion certificates 2>/dev/null)"}';

/** Of zsh's own completion. */
const PATHS = { file: '_files', folder: '_files -/' } as const;

function shortArgument(flag: FlagSpec): readonly string[] {
  if (flag.short === undefined) return [];
  const about = `[${bracketSafe(flag.summary)}]`;
  if (flag.kind === 'boolean') return [quoted(`-${flag.short}${about}`)];
  return [quoted(`-${flag.short}+${about}:${colonSafe(flag.value ?? flag.name)}:${action(flag)}`)];
}

function argument(flag: FlagSpec): string {
  const about = `[${bracketSafe(flag.summary)}]`;
  if (flag.kind === 'boolean') return quoted(`--${flag.name}${about}`);
  const repeated = flag.kind === 'list' ? '*' : '';
  return quoted(`${repeated}--${flag.name}=${about}:${colonSafe(flag.value ?? flag.name)}:${action(flag)}`);
}

function positional({
  name,
  choices,
  suggestions,
  completes,
  namesCertificates,
}: NonNullable<CommandSpec['positional']>): string {
  const words = choices ?? suggestions;
  if (namesCertificates === true) return quoted(`1:${name}:{compadd -- ${words?.join(' ') ?? ''} ${NAMES}}`);
  if (completes !== undefined) return quoted(`1:${name}:${PATHS[completes]}`);
  return quoted(`1:${name}:${words === undefined ? ' ' : `(${words.join(' ')})`}`);
}

function action(flag: FlagSpec): string {
  if (flag.choices !== undefined) return `(${flag.choices.join(' ')})`;
  if (flag.completes === undefined) return ' ';
  return PATHS[flag.completes];
}

function bracketSafe(text: string): string {
  return text.replace(/[[\]\\]/g, String.raw`\$&`);
}

function colonSafe(text: string): string {
  return text.replace(/[:\\]/g, String.raw`\$&`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
