import { COMMANDS } from './commands.ts';
import { type CommandSpec, flagsOf } from './command-spec.ts';
import { GLOBAL_FLAGS } from './flags.ts';
import type { FlagSpec } from './flags.ts';

/** For bash 4 and later; needs no other completion files. */
export function bashCompletion(): string {
  const names = COMMANDS.map((command) => command.name);
  return `# bash completion for certlet
_certlet() {
  local current previous word command=
  COMPREPLY=()
  current=\${COMP_WORDS[COMP_CWORD]}
  previous=\${COMP_WORDS[COMP_CWORD-1]}
  # --flag=value comes as three words.
  if [[ $current == = ]]; then
    current=
  elif [[ $previous == = ]]; then
    previous=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      ${names.join(' | ')}) command=$word; break ;;
    esac
  done
  case $command:$previous in
${COMMANDS.flatMap(valueCases).join('\n')}
  esac
  case $command:$current in
${COMMANDS.map((command) => `    ${command.name}:-*) _certlet_words '${flagWords(flagsOf(command))}' ;;`).join('\n')}
${COMMANDS.flatMap(positionalCase).join('\n')}
    :-*) _certlet_words '${flagWords(GLOBAL_FLAGS)}' ;;
    :*) _certlet_words '${names.join(' ')}' ;;
  esac
}
_certlet_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current"); }
# Names of certificates are those of the settings at this moment, those of --config where the line has it.
_certlet_certificates() {
  local at config=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    [[ \${COMP_WORDS[at]} == --config ]] || continue
    config=(--config "\${COMP_WORDS[at+1]}")
    [[ \${config[1]} == = ]] && config[1]=\${COMP_WORDS[at+2]}
  done
  _certlet_words "$1 $("\${COMP_WORDS[0]}" completion certificates "\${config[@]}" 2>/dev/null)"
}
_certlet_paths() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen "$1" -- "$current"); }
complete -F _certlet certlet
`;
}

/** For compgen. */
const PATHS = { file: '-f', folder: '-d' } as const;

/** What to offer after a flag that takes a value. */
function valueCases(command: CommandSpec): readonly string[] {
  const valued = flagsOf(command).filter((flag) => flag.kind !== 'boolean');
  return valued.map((flag) => {
    const short = flag.short === undefined ? '' : ` | ${command.name}:-${flag.short}`;
    return `    ${command.name}:--${flag.name}${short}) ${offer(flag)}return ;;`;
  });
}

function offer(flag: FlagSpec): string {
  if (flag.choices !== undefined) return `_certlet_words '${flag.choices.join(' ')}'; `;
  if (flag.completes !== undefined) return `_certlet_paths ${PATHS[flag.completes]}; `;
  return '';
}

function positionalCase({ name, positional }: CommandSpec): readonly string[] {
  const words = positional?.choices ?? positional?.suggestions;
  if (positional?.namesCertificates === true)
    return [`    ${name}:*) _certlet_certificates '${words?.join(' ') ?? ''}' ;;`];
  if (positional?.completes !== undefined) return [`    ${name}:*) _certlet_paths ${PATHS[positional.completes]} ;;`];
  return words === undefined ? [] : [`    ${name}:*) _certlet_words '${words.join(' ')}' ;;`];
}

function flagWords(flags: readonly FlagSpec[]): string {
  return flags.map((flag) => `--${flag.name}`).join(' ');
}
