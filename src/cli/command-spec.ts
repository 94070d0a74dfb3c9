import { CONFIG_FLAG, type FlagSpec, GLOBAL_FLAGS, settingFlags } from './flags.ts';

/** In the order of the help. */
export const COMMAND_NAMES = [
  'run',
  'once',
  'status',
  'history',
  'renew',
  'check',
  'adopt',
  'allow',
  'join',
  'reset',
  'approve',
  'token',
  'rbac',
  'version',
  'completion',
] as const;
export type CommandName = (typeof COMMAND_NAMES)[number];

export interface PositionalSpec {
  readonly name: string;
  readonly summary: string;
  readonly required: boolean;
  /** The words that it may be. */
  readonly choices?: readonly string[];
  /** Words that completion offers where others may stand, too. */
  readonly suggestions?: readonly string[];
  readonly fallback?: string;
  readonly completes?: 'file' | 'folder';
  /** Completion offers the names of the entries of `certificates`, as the settings have them then. */
  readonly namesCertificates?: true;
}

/** One command, as data. */
export interface CommandSpec {
  readonly name: CommandName;
  /** One line. */
  readonly summary: string;
  /** What a person must know before using it; paragraphs. */
  readonly description: readonly string[];
  readonly positional?: PositionalSpec;
  /** Any number of words behind that. */
  readonly words?: Pick<PositionalSpec, 'name' | 'summary'>;
  readonly flags: readonly FlagSpec[];
  /** Whether it reads settings, and so takes their flags. */
  readonly settings: boolean;
  /** Exit codes beyond 0 (done) and those of every command. */
  readonly exits: readonly (readonly [code: number, meaning: string])[];
  readonly examples: readonly string[];
}

/** Every flag that a command takes, its own first. */
export function flagsOf(command: CommandSpec): readonly FlagSpec[] {
  return [...command.flags, ...(command.settings ? [CONFIG_FLAG, ...settingFlags()] : []), ...GLOBAL_FLAGS];
}

/** The command with the words behind it, as help and parser write it. */
export function formOf({ name, positional, words }: CommandSpec): string {
  return [
    name,
    ...(positional === undefined ? [] : [`[${positional.name}]`]),
    ...(words === undefined ? [] : [`[${words.name}..]`]),
  ].join(' ');
}
