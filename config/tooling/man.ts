/** Writes the manual pages: `node config/tooling/man.ts DIR`. They are made from the tables of commands and settings. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS, COMMON_EXITS } from '../../src/cli/commands.ts';
import type { CommandSpec } from '../../src/cli/command-spec.ts';
import { CONFIG_FLAG, GLOBAL_FLAGS, settingFlags } from '../../src/cli/flags.ts';
import type { FlagSpec } from '../../src/cli/flags.ts';
import { VERSION } from '../../src/cli/version.ts';
import type { Codec, Field } from '../../src/config/codec.ts';
import { describe } from '../../src/config/descriptions.ts';
import { SETTINGS_CODEC } from '../../src/config/fields.ts';
import { flagName, settingLeaves } from '../../src/config/flags.ts';

/** `certlet(8)`: commands and flags. */
export function programPage(): string {
  return page('CERTLET', '8', [
    '.SH NAME',
    text('certlet - keep the certificates of a Kubernetes node fresh'),
    '.SH SYNOPSIS',
    `.B certlet`,
    `.I COMMAND`,
    '[flags]',
    '.SH DESCRIPTION',
    text(
      'Takes a node from a bootstrap kubeconfig to a client and a serving certificate, writes the kubeconfig that the kubelet starts on, and renews both certificates before they expire.',
    ),
    '.SH COMMANDS',
    ...COMMANDS.flatMap(commandLines),
    '.SH FLAGS OF EVERY COMMAND',
    ...[...GLOBAL_FLAGS, CONFIG_FLAG].flatMap(flagLines),
    '.SH FLAGS FOR SETTINGS',
    text(
      'Every command that reads settings takes these. They win over the settings file. Flags without a value can be switched off with --no-NAME or --NAME=false.',
    ),
    ...settingFlags().flatMap(flagLines),
    '.SH EXIT STATUS',
    ...COMMON_EXITS.flatMap(([code, meaning]) => ['.TP', `.B ${String(code)}`, text(meaning)]),
    '.SH FILES',
    ...FILES.flatMap(([path, meaning]) => ['.TP', `.I ${escaped(path)}`, text(meaning)]),
    '.SH SIGNALS',
    '.TP',
    '.B SIGHUP',
    text('Read the settings again (certlet run).'),
    '.TP',
    '.B SIGTERM, SIGINT',
    text('End.'),
    '.SH SEE ALSO',
    '.BR certlet\\-config (5),',
    '.BR systemd.service (5)',
  ]);
}

/** `certlet-config(5)`: the settings file. */
export function settingsPage(): string {
  return page('CERTLET-CONFIG', '5', [
    '.SH NAME',
    text('certlet-config - settings of certlet'),
    '.SH SYNOPSIS',
    `.I ${escaped('/etc/certlet/config.yaml')}`,
    '.SH DESCRIPTION',
    text(
      'A YAML file. Settings that are absent have their defaults, unknown ones are errors, and all mistakes are reported at once. Durations are texts like 8s, 5m or 1h30m. Paths are absolute. Flags win over the file. The file must belong to root or to the user of the service, and nobody else may write it.',
    ),
    '.SH SETTINGS',
    ...Object.entries(SETTINGS_CODEC.fields ?? {}).flatMap(([name, field]) => settingLines(name, field)),
    '.SH SEE ALSO',
    '.BR certlet (8)',
  ]);
}

const FILES: readonly (readonly [string, string])[] = [
  ['/etc/certlet/config.yaml', 'Settings.'],
  ['/etc/kubernetes/bootstrap-kubelet.conf', 'Bootstrap kubeconfig.'],
  ['/etc/kubernetes/kubelet.conf', 'Kubeconfig of the kubelet; written by certlet.'],
  ['/var/lib/kubelet/pki/kubelet-client-current.pem', 'Link to the client certificate and its key.'],
  ['/var/lib/kubelet/pki/kubelet-server-current.pem', 'Link to the serving certificate and its key.'],
  ['/run/certlet', 'Control socket and status.'],
];

/** Without hyphenation: names of flags and files are to be copied. */
function page(title: string, section: string, lines: readonly string[]): string {
  const heading = `.TH ${escaped(title)} ${section} "" "certlet ${VERSION}" "System Administration"`;
  return `.\\" Made by config/tooling/man.ts; do not edit.\n${[heading, '.nh', ...lines].join('\n')}\n`;
}

function commandLines(command: CommandSpec): readonly string[] {
  const { positional } = command;
  const words =
    positional === undefined
      ? ''
      : ` [${(positional.choices ?? positional.suggestions)?.join('|') ?? positional.name.toUpperCase()}]`;
  const more = command.words === undefined ? '' : ` [${command.words.name.toUpperCase()}...]`;
  return [
    `.SS ${escaped(`certlet ${command.name}${words}${more}`)}`,
    [command.summary, ...command.description].map((paragraph) => text(paragraph)).join('\n.PP\n'),
    ...command.flags.flatMap(flagLines),
    ...command.exits.flatMap(([code, meaning]) => ['.TP', `.B Exit ${String(code)}`, text(meaning)]),
    ...(command.examples.length === 0 ? [] : ['.PP', 'For example:']),
    ...command.examples.flatMap((example) => ['.PP', '.RS', '.EX', text(example), '.EE', '.RE']),
  ];
}

function flagLines(flag: FlagSpec): readonly string[] {
  const value = flag.kind === 'boolean' ? '' : `=\\fI${escaped(flag.choices?.join('|') ?? flag.value ?? 'VALUE')}\\fR`;
  const fallback = flag.fallback === undefined ? '' : ` Default: ${flag.fallback}.`;
  const short = flag.short === undefined ? '' : `\\fB${escaped(`-${flag.short}`)}\\fR, `;
  return ['.TP', `${short}\\fB${escaped(`--${flag.name}`)}\\fR${value}`, text(`${flag.summary}${fallback}`)];
}

function settingLines(path: string, field: Field<unknown>): readonly string[] {
  const below = Object.entries(field.codec.fields ?? field.codec.items?.fields ?? {});
  const flag = settingLeaves().some((leaf) => leaf.path.join('.') === path && leaf.flag !== undefined)
    ? ` Flag: --${flagName(path.split('.'))}.`
    : '';
  return [
    '.TP',
    `\\fB${escaped(path)}\\fR ${choices(escaped(`(${kindOf(field.codec)}${presence(field)})`))}`,
    text(`${describe(path).text}${flag}`),
    ...below.flatMap(([name, inner]) => settingLines(`${path}.${name}`, inner)),
  ];
}

/** A long choice may be broken after each word of it. */
const choices = (words: string): string => words.replaceAll('|', String.raw`|\:`);

function presence(field: Field<unknown>): string {
  const { fallback } = field;
  if (field.codec.fields !== undefined) return '';
  if (fallback === undefined) return field.optional ? '' : ', required';
  return `, default ${typeof fallback === 'string' ? fallback : JSON.stringify(fallback)}`;
}

function kindOf(codec: Codec<unknown>): string {
  if (codec.fields !== undefined) return 'map';
  if (codec.items !== undefined) return `list of ${kindOf(codec.items)}`;
  const words = codec.schema['enum'];
  return Array.isArray(words) ? words.join('|') : String(codec.schema['type']).replace('string', 'text');
}

/** A paragraph; a line that begins with a dot or quote would be a request to the formatter. */
function text(paragraph: string): string {
  return escaped(paragraph).replace(/^(?=[.'])/gm, String.raw`\&`);
}

function escaped(words: string): string {
  return words.replaceAll('\\', String.raw`\e`).replaceAll('-', String.raw`\-`);
}

if (import.meta.main) {
  const folder = process.argv[2] ?? '.';
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'certlet.8'), programPage());
  writeFileSync(join(folder, 'certlet-config.5'), settingsPage());
}
