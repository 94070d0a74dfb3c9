import { isAbsolute, resolve } from 'node:path';
import { parseLongDurationMs } from '../config/duration.ts';
import { nameProblem, parseReloadChoice, type ReloadChoice } from '../kubelet/reload-file.ts';
import { isNodeName } from '../pki/dns-name.ts';
import { isTokenGroup } from '../token/groups.ts';
import { OUTPUT_FORMS, type OutputForm } from './command.ts';
import type { CommandSpec } from './command-spec.ts';
import type { CheckedValues, RawValues } from './line-values.ts';

/** A parsed line. */
export interface LineParts {
  readonly raw: RawValues;
  /** What stood where the command takes a word. */
  readonly positional: string | undefined;
  /** What stood where it takes any number of words. */
  readonly words: readonly string[];
  /** What was wrong before. */
  readonly problems: readonly string[];
}

/** What was given, read by flag name, with the table's defaults. What cannot be read is noted, and something stands in for it. */
export class Given {
  readonly #spec: CommandSpec;
  readonly #values: CheckedValues;
  readonly #problems: string[];
  readonly positional: string | undefined;
  readonly words: readonly string[];

  constructor(
    spec: CommandSpec,
    line: Omit<LineParts, 'raw'> & { readonly values: CheckedValues; readonly problems: string[] },
  ) {
    this.#spec = spec;
    this.#values = line.values;
    this.#problems = line.problems;
    this.words = line.words;
    this.positional = line.positional ?? spec.positional?.fallback;
  }

  text(name: string): string | undefined {
    return textOf(this.#values[name]) ?? this.#spec.flags.find((flag) => flag.name === name)?.fallback;
  }

  /** What stands on the line alone: who acts otherwise by default than when told the same wants it. */
  saidText(name: string): string | undefined {
    return textOf(this.#values[name]);
  }

  /** Whether the flag stands on the line. */
  has(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  /** Names of Nodes, in lower case as kubelets register them. */
  nodeNames(name: string): readonly string[] {
    const names = [...new Set(this.list(name).map((text) => text.toLowerCase()))];
    for (const text of names)
      if (!isNodeName(text)) this.problem(`--${name}`, `${JSON.stringify(text)} is not the name of a Node`);
    return names;
  }

  /** Groups as RBAC knows them: any text, but none of blanks or control characters. */
  groups(name: string): readonly string[] {
    const groups = [...new Set(this.list(name))];
    const wrong = groups.filter((group) => !/^[^\s\p{C}]+$/u.test(group));
    for (const group of wrong) this.problem(`--${name}`, `${JSON.stringify(group)} is not the name of a group`);
    if (groups.length === 0) this.problem(`--${name}`, 'say at least one group');
    return groups;
  }

  tokenGroups(name: string): readonly string[] {
    const groups = this.list(name);
    for (const group of groups)
      if (!isTokenGroup(group))
        this.problem(
          `--${name}`,
          `${JSON.stringify(group)}: groups of tokens are system:bootstrappers: with a-z, 0-9, : and - behind it`,
        );
    return groups;
  }

  /** `NAMESPACE:NAME`, as kubectl has it. */
  serviceAccount(): { readonly namespace: string; readonly name: string } | undefined {
    const text = this.text('service-account');
    if (text === undefined) return undefined;
    const [, namespace, name] = /^([a-z0-9-]+):([a-z0-9.-]+)$/.exec(text) ?? [];
    if (namespace !== undefined && name !== undefined) return { namespace, name };
    this.problem('--service-account', `expected NAMESPACE:NAME, got ${JSON.stringify(text)}`);
    return undefined;
  }

  boolean(name: string): boolean {
    return this.#values[name] === true;
  }

  /** A boolean that holds unless somebody says no. */
  unlessOff(name: string): boolean {
    return this.#values[name] !== false;
  }

  list(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** What a person types may count days, too. */
  durationMs(name: string): number {
    const text = this.text(name) ?? '';
    const ms = parseLongDurationMs(text);
    if (ms !== undefined && ms > 0) return ms;
    this.#problems.push(`--${name}: expected a time with its unit, such as 30s or 5m, got ${JSON.stringify(text)}`);
    return 0;
  }

  output(): OutputForm {
    return this.#oneOf('--output', this.text('output'), OUTPUT_FORMS);
  }

  /** The name of a certificate, which only the settings can tell from a wrong one; undefined for all of them. */
  certificateName(): string | undefined {
    const { positional } = this;
    if (positional === undefined || positional === 'all') return undefined;
    if (!/^[a-z0-9-]+$/.test(positional))
      this.#problems.push(
        `CERTIFICATE: expected client, serving, all or another name of a certificate, got ${JSON.stringify(positional)}`,
      );
    return positional;
  }

  /** An absolute path without anything to resolve; undefined where none was given. */
  folder(): string | undefined {
    const { positional } = this;
    if (positional === undefined) return undefined;
    // systemd reads a path up to the end of its line, and a unit file is UTF-8.
    if (isAbsolute(positional) && !/[\p{Cc}\u{fffd}]/u.test(positional)) return resolve(positional);
    this.problem('DIR', `expected an absolute path, got ${JSON.stringify(positional)}`);
    return undefined;
  }

  /** `NAME=UNIT[:ACTION]`. */
  reload(word: string): readonly ReloadChoice[] {
    const choice = parseReloadChoice(word);
    if (typeof choice !== 'string') return [choice];
    this.problem('--reload', choice);
    return [];
  }

  /** `NAME`, also with what followed it when it was allowed. */
  reloadName(word: string): readonly string[] {
    const [name = ''] = word.split('=');
    const problem = nameProblem(name);
    if (problem === undefined) return [name];
    this.problem('--reload', problem);
    return [];
  }

  /** Notes what cannot be used. */
  problem(label: string, text: string): void {
    this.#problems.push(`${label}: ${text}`);
  }

  /** One of these words. */
  choice<const T extends string>(name: string, words: readonly [T, ...T[]]): T {
    return this.#oneOf(`--${name}`, this.text(name), words);
  }

  positionalChoice<const T extends string>(words: readonly [T, ...T[]]): T {
    return this.#oneOf((this.#spec.positional?.name ?? '').toUpperCase(), this.positional, words);
  }

  #oneOf<T extends string>(label: string, text: string | undefined, words: readonly [T, ...T[]]): T {
    const word = words.find((known) => known === text);
    if (word !== undefined) return word;
    const got = text === undefined ? 'nothing' : JSON.stringify(text);
    this.#problems.push(`${label}: expected one of ${words.join(', ')}, got ${got}`);
    return words[0];
  }
}

/** The value of a flag that takes one text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
