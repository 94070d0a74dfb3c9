import { parseDurationMs } from '../config/duration.ts';
import type { Purpose } from '../csr/template.ts';
import { type Command, OUTPUT_FORMS, type OutputForm, type ParsedLine } from './command.ts';
import type { CommandSpec } from './command-spec.ts';
import { settingFlags } from './flags.ts';
import { checkedValues, usageError } from './line-values.ts';
import type { CheckedValues, RawValues } from './line-values.ts';

/** The command that a parsed line asks for. `positional` is what stood where the command takes one. Throws `ERR_USAGE`. */
export function buildCommand(spec: CommandSpec, raw: RawValues, positional: string | undefined): ParsedLine {
  const values = checkedValues(raw, spec);
  const names = new Set(spec.settings ? settingFlags().map((flag) => flag.name) : []);
  return {
    kind: 'command',
    command: commandOf(spec, new Given(spec, values, positional)),
    settings: {
      settingsPath: spec.settings ? textOf(values['config']) : undefined,
      settingFlags: Object.fromEntries(Object.entries(values).filter(([name]) => names.has(name))),
    },
  };
}

function commandOf(spec: CommandSpec, given: Given): Command {
  switch (spec.name) {
    case 'run':
      return { name: 'run' };
    case 'once':
      return { name: 'once', output: given.output(), timeoutMs: given.durationMs('timeout') };
    case 'status':
      return { name: 'status', output: given.output(), watch: given.boolean('watch') };
    case 'renew':
      return {
        name: 'renew',
        output: given.output(),
        purposes: PURPOSES_OF[given.positionalChoice(['client', 'serving', 'all'])],
        dryRun: given.boolean('dry-run'),
        wait: given.boolean('wait'),
        timeoutMs: given.durationMs('timeout'),
      };
    case 'check':
      return { name: 'check', output: given.output() };
    case 'adopt':
      return { name: 'adopt', output: given.output(), write: given.boolean('write') };
    case 'join':
      return joinCommand(given);
    case 'reset':
      return {
        name: 'reset',
        output: given.output(),
        yes: given.boolean('yes'),
        withBootstrapKubeconfig: given.boolean('with-bootstrap-kubeconfig'),
      };
    case 'completion':
      return { name: 'completion', shell: given.positionalChoice(['bash', 'zsh', 'fish']) };
  }
}

const PURPOSES_OF: Readonly<Record<'client' | 'serving' | 'all', readonly Purpose[]>> = {
  client: ['client'],
  serving: ['serving'],
  all: ['client', 'serving'],
};

function joinCommand(given: Given): Command {
  return {
    name: 'join',
    output: given.output(),
    join: {
      endpoint: given.positional,
      token: given.text('token'),
      tokenFile: given.text('token-file'),
      caCertHashes: given.list('discovery-token-ca-cert-hash'),
      unsafeSkipCaVerification: given.boolean('discovery-token-unsafe-skip-ca-verification'),
      discoveryFile: given.text('discovery-file'),
      timeoutMs: given.durationMs('timeout'),
      force: given.boolean('force'),
    },
  };
}

/** What was given, read by flag name, with the table's defaults. */
class Given {
  readonly #spec: CommandSpec;
  readonly #values: CheckedValues;
  readonly positional: string | undefined;

  constructor(spec: CommandSpec, values: CheckedValues, positional: string | undefined) {
    this.#spec = spec;
    this.#values = values;
    this.positional = positional ?? spec.positional?.fallback;
  }

  text(name: string): string | undefined {
    return textOf(this.#values[name]) ?? this.#spec.flags.find((flag) => flag.name === name)?.fallback;
  }

  boolean(name: string): boolean {
    return this.#values[name] === true;
  }

  list(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  durationMs(name: string): number {
    const text = this.text(name) ?? '';
    const ms = parseDurationMs(text);
    if (ms !== undefined && ms > 0) return ms;
    throw usageError(
      `--${name}: expected a time with its unit, such as 30s or 5m, got ${JSON.stringify(text)}`,
      this.#spec,
    );
  }

  output(): OutputForm {
    return this.#oneOf('--output', this.text('output'), OUTPUT_FORMS);
  }

  positionalChoice<const T extends string>(words: readonly T[]): T {
    return this.#oneOf((this.#spec.positional?.name ?? '').toUpperCase(), this.positional, words);
  }

  #oneOf<T extends string>(label: string, text: string | undefined, words: readonly T[]): T {
    const word = words.find((known) => known === text);
    if (word !== undefined) return word;
    const got = text === undefined ? 'nothing' : JSON.stringify(text);
    throw usageError(`${label}: expected one of ${words.join(', ')}, got ${got}`, this.#spec);
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
