import { wrapped } from '../status/wrapped.ts';
import { COMMON_EXITS, COMMANDS } from './commands.ts';
import { type CommandSpec, flagsOf, formOf, type PositionalSpec } from './command-spec.ts';
import { type FlagSpec, GLOBAL_FLAGS } from './flags.ts';

/** Between a name and what is said of it. */
const GAP = 2;
/** Where descriptions begin at most: what has a longer name has its description below it, so that no name is broken and no description squeezed. */
const WIDEST_NAME = 24;
/** Stands for a blank at which no line is broken. */
const GLUE = '\u0000';
const NARROWEST = 40;
/** Longer lines are hard to read. */
const WIDEST = 110;

/** A name and what is said of it. */
type Row = readonly [name: string, text: string];

/** What `certlet --help` says. Ends in a newline. */
export function programHelp(columns: number): string {
  const width = readable(columns);
  return inBlocks([
    ['certlet: the certificates of a Kubernetes node'],
    ['Usage: certlet COMMAND [FLAGS]'],
    block(
      'Commands:',
      COMMANDS.map((command) => [formOf(command), command.summary]),
      width,
    ),
    block('Options:', flagRows(GLOBAL_FLAGS), width),
    wrapped('certlet COMMAND --help tells more. Manual: certlet(8), certlet-config(5).', width),
  ]);
}

/** What `certlet COMMAND --help` says. Ends in a newline. */
export function commandHelp(command: CommandSpec, columns: number): string {
  const width = readable(columns);
  const flags = flagsOf(command).filter((flag) => !GLOBAL_FLAGS.includes(flag));
  const showsSettings = command.name === 'run' || command.name === 'once';
  const note = 'The flags for settings are taken too: certlet run --help lists them.';
  return inBlocks([
    wrapped(`Usage: certlet ${formOf(command)} [FLAGS]`, width),
    ...[command.summary, ...command.description].map((paragraph) => wrapped(paragraph, width)),
    block('Positionals:', positionalRows(command), width),
    block('Flags:', flagRows(flags.filter(({ setting }) => setting === undefined)), width),
    // They are many; where they are seldom used the help only says so.
    showsSettings ? block('Settings:', flagRows(flags.filter(({ setting }) => setting !== undefined)), width) : [],
    block('Options:', flagRows(GLOBAL_FLAGS), width),
    // They are typed, so they are not broken.
    command.examples.length === 0 ? [] : ['Examples:', ...command.examples.map((example) => `  ${example}`)],
    command.settings && !showsSettings ? wrapped(note, width) : [],
    block('Exit codes:', exitRows(command), width),
  ]);
}

const readable = (columns: number): number => Math.max(NARROWEST, Math.min(columns, WIDEST));

const inBlocks = (blocks: readonly (readonly string[])[]): string =>
  `${blocks
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;

/** A heading and its rows; nothing where there are none. */
function block(heading: string, rows: readonly Row[], width: number): readonly string[] {
  if (rows.length === 0) return [];
  const widest = Math.min(WIDEST_NAME, width / 3);
  const longest = Math.max(...rows.map(([name]) => name.length).filter((length) => length <= widest), 0);
  const begin = GAP + Math.max(longest, GAP) + GAP;
  const indent = ' '.repeat(begin);
  return [
    heading,
    ...rows.flatMap(([name, text]) => {
      const [first, ...rest] = unglued(wrapped(text, width - begin));
      const head = `${' '.repeat(GAP)}${name}`;
      const lines = rest.map((line) => indent + line);
      return name.length <= longest ? [head.padEnd(begin) + first, ...lines] : [head, indent + first, ...lines];
    }),
  ];
}

function flagRows(flags: readonly FlagSpec[]): readonly Row[] {
  const short = (flag: FlagSpec): string | undefined => (flag.name === 'help' ? 'h' : flag.short);
  const anyShort = flags.some((flag) => short(flag) !== undefined);
  return flags.map((flag) => {
    const letter = short(flag);
    const begin = letter === undefined ? (anyShort ? '    ' : '') : `-${letter}, `;
    const value = flag.kind === 'boolean' ? undefined : (flag.choices?.join('|') ?? flag.value);
    return [
      `${begin}--${flag.name}${value === undefined ? '' : ` ${value}`}`,
      flag.summary + fallbackWords(flag.fallback),
    ];
  });
}

function positionalRows({ positional, words }: CommandSpec): readonly Row[] {
  const rowOf = ({ name, summary, choices, fallback }: Partial<PositionalSpec>): Row => [
    name ?? '',
    `${summary ?? ''}${choices === undefined ? '' : ` (${choices.join('|')})`}${fallbackWords(fallback)}`,
  ];
  return [positional, words].flatMap((spec) => (spec === undefined ? [] : [rowOf(spec)]));
}

const fallbackWords = (fallback: string | undefined): string =>
  fallback === undefined ? '' : ` [default:${GLUE}${fallback === '' ? "''" : fallback}]`;

const unglued = ([first, ...rest]: readonly [string, ...string[]]): readonly [string, ...string[]] => [
  first.replaceAll(GLUE, ' '),
  ...rest.map((line) => line.replaceAll(GLUE, ' ')),
];

function exitRows({ exits }: CommandSpec): readonly Row[] {
  const common = COMMON_EXITS.filter(([code]) => exits.every(([own]) => own !== code));
  return [...common, ...exits]
    .toSorted(([a], [b]) => a - b)
    .map(([code, meaning]) => [String(code).padStart(3), meaning]);
}
