import { resolve } from 'node:path';
import type { FlagValues } from '../config/flags.ts';
import { type Carried, type CommandText, shellWord } from '../remedy.ts';
import type { AccessChoice, Command, SettingsChoice } from './command.ts';
import { CONFIG_FLAG } from './flags.ts';

/** Those that read the settings; `run` is started by its unit. */
const BY_SETTINGS = ['once', 'status', 'history', 'renew', 'check', 'adopt', 'allow', 'join', 'reset'];

/** What the commands that this run may print need of its command line, to act on the same files and the same cluster. */
export function carriedBy(command: Command, { settingsPath, settingFlags }: SettingsChoice): readonly Carried[] {
  switch (command.name) {
    case 'approve': {
      // Nobody but the service asks by the service's own kubeconfig.
      const access = command.watch ? '' : accessWords(command.access);
      return [
        carried(['certlet approve'], [configWords(command.settingsPath), access]),
        carried(['kubectl'], [access]),
      ].flat();
    }
    case 'token':
      return carried(['certlet token list', 'certlet token delete', 'kubectl'], [accessWords(command.access)]);
    default:
      return carried(
        BY_SETTINGS.map((name) => `certlet ${name}`),
        [configWords(settingsPath), flagWords(settingFlags)],
      );
  }
}

function carried(commands: readonly string[], parts: readonly string[]): readonly Carried[] {
  const options = parts.filter((part) => part !== '').join(' ');
  return options === '' ? [] : [{ commands, options }];
}

/** Pasted in whatever folder. */
const configWords = (path: string | undefined): string =>
  path === undefined || path === CONFIG_FLAG.fallback ? '' : `--${CONFIG_FLAG.name} ${shellWord(resolve(path))}`;

const accessWords = ({ kubeconfig, context }: AccessChoice): string =>
  [
    ...(kubeconfig === undefined ? [] : [`--kubeconfig ${shellWord(resolve(kubeconfig))}`]),
    ...(context === undefined ? [] : [`--context ${shellWord(context)}`]),
  ].join(' ');

/** What a command logs is no part of what it does. */
const flagWords = (flags: FlagValues): string =>
  Object.entries(flags)
    .filter(([name]) => !name.startsWith('log-'))
    .map(([name, value]) => {
      if (typeof value === 'boolean') return value ? `--${name}` : `--${name}=false`;
      return `--${name} ${shellWord(typeof value === 'string' ? value : value.join(','))}`;
    })
    .join(' ');

/** The command line as it was typed, with `more` behind it: a fix repeats what was asked for. */
export const typedLine = (argv: readonly string[], ...more: readonly string[]): CommandText =>
  `certlet ${[...argv.map(shellWord), ...more].join(' ')}`;
