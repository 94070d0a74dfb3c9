import type { Codec } from '../config/codec.ts';
import { describe } from '../config/descriptions.ts';
import { settingLeaves } from '../config/flags.ts';
import { OUTPUT_FORMS } from './command.ts';

/** One flag of the command line, as data: parser, help, man pages and completion are made from it. */
export interface FlagSpec {
  /** Without dashes. */
  readonly name: string;
  /** One letter, for what kubectl has one for. */
  readonly short?: string;
  /** `list` may be given several times or with commas. A `boolean` takes no value or `=true`, `=false`. */
  readonly kind: 'text' | 'list' | 'boolean' | 'number' | 'duration';
  readonly summary: string;
  /** What the value is called in help; absent for booleans. */
  readonly value?: string;
  readonly choices?: readonly string[];
  /** As typed; absent where there is none. */
  readonly fallback?: string;
  readonly completes?: 'file' | 'folder';
  /** Dotted path of the setting that this flag overrides. */
  readonly setting?: string;
}

/** Flags of every command. */
export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  { name: 'help', kind: 'boolean', summary: 'Show what the command does and takes.' },
  { name: 'version', kind: 'boolean', summary: 'Show the version.' },
];

/** Form of a command's answer. */
export const OUTPUT: FlagSpec = {
  name: 'output',
  short: 'o',
  kind: 'text',
  value: 'FORM',
  choices: OUTPUT_FORMS,
  summary: 'Form of the answer.',
  fallback: 'text',
};

/** Flag that names the settings file. */
export const CONFIG_FLAG = {
  name: 'config',
  kind: 'text',
  value: 'FILE',
  summary: 'Settings file. Flags win over it.',
  fallback: '/etc/certlet/config.yaml',
  completes: 'file',
} as const satisfies FlagSpec;

/** One flag for each setting that a flag can express. */
export function settingFlags(): readonly FlagSpec[] {
  return SETTING_FLAGS;
}

function flagsOfSettings(): readonly FlagSpec[] {
  return settingLeaves().flatMap((leaf): readonly FlagSpec[] => {
    if (leaf.flag === undefined || leaf.kind === 'none') return [];
    const setting = leaf.path.join('.');
    const { text, value } = describe(setting);
    const choices = choicesOf(leaf.codec);
    const completes = completionOf(value);
    const fallback = fallbackText(leaf.fallback);
    return [
      {
        name: leaf.flag,
        kind: leaf.kind,
        summary: text,
        setting,
        ...(value === undefined ? {} : { value }),
        ...(choices === undefined ? {} : { choices }),
        ...(fallback === undefined ? {} : { fallback }),
        ...(completes === undefined ? {} : { completes }),
      },
    ];
  });
}

function choicesOf(codec: Codec<unknown>): readonly string[] | undefined {
  const words = codec.schema['enum'];
  return Array.isArray(words) ? words.map(String) : undefined;
}

function completionOf(value: string | undefined): FlagSpec['completes'] {
  if (value === 'FILE') return 'file';
  return value === 'DIR' ? 'folder' : undefined;
}

function fallbackText(fallback: unknown): string | undefined {
  if (typeof fallback === 'string') return fallback;
  return typeof fallback === 'number' || typeof fallback === 'boolean' ? String(fallback) : undefined;
}

/** How long a command tries. */
export const TIMEOUT: FlagSpec = {
  name: 'timeout',
  kind: 'duration',
  value: 'TIME',
  summary: 'Give up after this time.',
  fallback: '5m',
};

const SETTING_FLAGS = flagsOfSettings();
