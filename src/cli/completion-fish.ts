import { COMMANDS } from './commands.ts';
import { type CommandSpec, flagsOf } from './command-spec.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import type { FlagSpec } from './flags.ts';

/** To be put as `certlet.fish` into a folder of `fish_complete_path`. */
export function fishCompletion(): string {
  return [
    '# fish completion for certlet',
    'complete -c certlet -f',
    ...GLOBAL_FLAGS.map((flag) => `complete -c certlet -n __fish_use_subcommand ${option(flag)}`),
    ...COMMANDS.flatMap((command) => [
      `complete -c certlet -n __fish_use_subcommand -a ${command.name} -d ${quoted(command.summary)}`,
      ...afterCommand(command),
    ]),
    '',
  ].join('\n');
}

function afterCommand(command: CommandSpec): readonly string[] {
  const condition = `complete -c certlet -n '__fish_seen_subcommand_from ${command.name}'`;
  const words = command.positional?.choices ?? command.positional?.suggestions;
  return [
    ...(words === undefined ? [] : [`${condition} -a ${quoted(words.join(' '))}`]),
    ...(command.positional?.namesCertificates === true
      ? [`${condition} -a '(certlet completion certificates 2>/dev/null)'`]
      : []),
    ...(command.positional?.completes === 'folder' ? [`${condition} -a '(__fish_complete_directories)'`] : []),
    ...flagsOf(command).map((flag) => `${condition} ${option(flag)}`),
  ];
}

function option(flag: FlagSpec): string {
  const short = flag.short === undefined ? '' : `-s ${flag.short} `;
  return `${short}-l ${flag.name}${value(flag)} -d ${quoted(flag.summary)}`;
}

function value(flag: FlagSpec): string {
  if (flag.kind === 'boolean') return '';
  if (flag.choices !== undefined) return ` -x -a ${quoted(flag.choices.join(' '))}`;
  if (flag.completes === undefined) return ' -x';
  return flag.completes === 'file' ? ' -r -F' : " -x -a '(__fish_complete_directories)'";
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, String.raw`\$&`)}'`;
}
