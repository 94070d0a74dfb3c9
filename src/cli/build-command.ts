import { isAbsolute, resolve } from 'node:path';
import { parseDurationMs } from '../config/duration.ts';
import {
  type AccessChoice,
  type AllowArguments,
  type ApproveArguments,
  type Command,
  type JoinCommandArguments,
  type OnceArguments,
  OUTPUT_FORMS,
  type OutputForm,
  type ParsedLine,
  type TokenArguments,
} from './command.ts';
import type { CommandName, CommandSpec } from './command-spec.ts';
import { nameProblem, parseReloadChoice, type ReloadChoice } from '../kubelet/reload-file.ts';
import { isHostName } from '../pki/dns-name.ts';
import { isTokenGroup } from '../token/groups.ts';
import { settingFlags } from './flags.ts';
import { checkedValues } from './line-values.ts';
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

/** The command that a parsed line asks for, or everything that is wrong with it. What settings flags hold is left to the settings. */
export function buildCommand(spec: CommandSpec, parts: LineParts): ParsedLine {
  const problems = [...parts.problems];
  const values = checkedValues(parts.raw, spec, problems);
  const names = new Set(spec.settings ? settingFlags().map((flag) => flag.name) : []);
  const command = BUILDERS[spec.name](
    new Given(spec, { values, positional: parts.positional, words: parts.words, problems }),
  );
  const settings = {
    settingsPath: spec.settings ? textOf(values['config']) : undefined,
    settingFlags: Object.fromEntries(Object.entries(values).filter(([name]) => names.has(name))),
  };
  if (problems.length > 0) return { kind: 'wrong', command: spec.name, problems, settings };
  return { kind: 'command', command, settings };
}

/** Each command from what was given. */
const BUILDERS: { readonly [Name in CommandName]: (given: Given) => Extract<Command, { readonly name: Name }> } = {
  run: () => ({ name: 'run' }),
  once: onceCommand,
  status: (given) => ({
    name: 'status',
    output: given.output(),
    certificate: given.certificateName(),
    watch: given.boolean('watch'),
    verbose: given.boolean('verbose'),
  }),
  renew: (given) => ({
    name: 'renew',
    output: given.output(),
    certificate: given.certificateName(),
    dryRun: given.boolean('dry-run'),
    wait: given.boolean('wait'),
    timeoutMs: given.durationMs('timeout'),
  }),
  check: (given) => ({ name: 'check', output: given.output() }),
  adopt: (given) => ({
    name: 'adopt',
    output: given.output(),
    write: given.boolean('write'),
    writeKubeconfig: given.boolean('write-kubeconfig'),
    kubeProxy: given.unlessOff('kube-proxy'),
  }),
  allow: allowCommand,
  join: joinCommand,
  reset: (given) => ({
    name: 'reset',
    output: given.output(),
    yes: given.boolean('yes'),
    withBootstrapKubeconfig: given.boolean('with-bootstrap-kubeconfig'),
  }),
  approve: approveCommand,
  token: tokenCommand,
  version: (given) => ({ name: 'version', output: given.output() }),
  completion: (given) => ({
    name: 'completion',
    wanted: given.positionalChoice(['bash', 'zsh', 'fish', 'certificates']),
    settingsPath: given.text('config'),
  }),
};

function onceCommand(given: Given): OnceArguments {
  const [every, expiring] = [given.text('every'), given.text('if-expiring')];
  if (every !== undefined && expiring !== undefined)
    given.problem(
      '--if-expiring',
      'goes by the end of a certificate, --every by its rotation deadline: give one of them',
    );
  return {
    name: 'once',
    output: given.output(),
    timeoutMs: given.durationMs('timeout'),
    ...(every === undefined ? {} : { everyMs: given.durationMs('every') }),
    ...(expiring === undefined ? {} : { ifExpiringMs: given.durationMs('if-expiring') }),
  };
}

function allowCommand(given: Given): AllowArguments {
  const remove = given.boolean('remove');
  const words = given.list('reload');
  const folder = given.folder();
  if (remove && folder === undefined && words.length === 0)
    given.problem('--remove', 'say what: a folder, or --reload NAME');
  return {
    name: 'allow',
    output: given.output(),
    folder,
    reloads: remove ? [] : words.flatMap((word) => given.reload(word)),
    removedReloads: remove ? words.flatMap((word) => given.reloadName(word)) : [],
    remove,
  };
}

function joinCommand(given: Given): JoinCommandArguments {
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
      writeKubeconfig: given.boolean('write-kubeconfig'),
      seal: given.boolean('seal'),
    },
  };
}

/** Where the token goes: one of them must be chosen, since nobody can read it later. */
const TOKEN_GOES_TO = ['write', 'show-token', 'print-secret', 'print-csv'];

function tokenCommand(given: Given): TokenArguments {
  const action = given.positionalChoice(['create', 'list', 'delete']);
  const common = { name: 'token' as const, output: given.output(), access: accessOf(given) };
  if (action !== 'create' && TOKEN_FLAGS.some((name) => given.has(name)))
    given.problem('ACTION', `${action} takes no flags of create`);
  if (action !== 'delete' && given.words.length > 0) given.problem('ID', `${action} takes none`);
  if (action === 'list') return { ...common, action };
  if (action === 'delete') {
    if (given.words.length === 0) given.problem('ID', 'say which: ids as certlet token list shows them');
    return { ...common, action, ids: given.words };
  }
  if (!TOKEN_GOES_TO.some((name) => given.has(name)))
    given.problem('--write', 'say where the token goes: --write DIR, --show-token, --print-secret or --print-csv');
  return {
    ...common,
    action,
    nodes: given.nodeNames('node'),
    ttlMs: given.text('ttl') === '0' ? 0 : given.durationMs('ttl'),
    once: given.boolean('once'),
    groups: given.tokenGroups('groups'),
    description: given.text('description'),
    writeFolder: given.text('write'),
    showToken: given.boolean('show-token'),
    printSecret: given.boolean('print-secret'),
    printCsv: given.boolean('print-csv'),
  };
}

const TOKEN_FLAGS = ['node', 'ttl', 'once', 'groups', 'description', ...TOKEN_GOES_TO];

function accessOf(given: Given): AccessChoice {
  return { kubeconfig: given.text('kubeconfig'), context: given.text('context') };
}

/** What goes with one request makes no sense for a service. */
const BY_HAND = ['yes', 'dry-run', 'force', 'output'];

function approveCommand(given: Given): ApproveArguments {
  const watch = given.boolean('watch');
  const printRbac = given.boolean('print-rbac');
  if (watch && (given.words.length > 0 || BY_HAND.some((name) => given.has(name))))
    given.problem('--watch', 'takes neither names of requests nor --yes, --dry-run, --force or --output');
  if (watch && printRbac) given.problem('--print-rbac', 'prints and ends; leave --watch out');
  if (given.has('service-account') && !printRbac) given.problem('--service-account', 'goes with --print-rbac');
  return {
    watch,
    printRbac,
    serviceAccount: given.serviceAccount(),
    name: 'approve',
    output: given.output(),
    names: given.words,
    force: given.list('force'),
    yes: given.boolean('yes'),
    dryRun: given.boolean('dry-run'),
    access: accessOf(given),
    settingsPath: given.text('config'),
  };
}

/** What was given, read by flag name, with the table's defaults. What cannot be read is noted, and something stands in for it. */
class Given {
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

  /** Whether the flag stands on the line. */
  has(name: string): boolean {
    return this.#values[name] !== undefined;
  }

  /** Names of Nodes, in lower case as kubelets register them. */
  nodeNames(name: string): readonly string[] {
    const names = [...new Set(this.list(name).map((text) => text.toLowerCase()))];
    for (const text of names)
      if (!isHostName(text)) this.problem(`--${name}`, `${JSON.stringify(text)} is not the name of a Node`);
    return names;
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

  /** What a person types may count days, too, which Go's durations and so the settings do not. */
  durationMs(name: string): number {
    const text = this.text(name) ?? '';
    const ms = parseDurationMs(text.replace(/^([0-9]{1,5})d$/u, (_all, days) => `${String(Number(days) * 24)}h`));
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

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
