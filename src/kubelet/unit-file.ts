import { splitWords } from './unit-words.ts';

/** One unit file or drop-in, in the order in which systemd reads them. */
export interface UnitText {
  readonly path: string;
  readonly text: string;
}

/** What matters of a service after its drop-ins. */
export interface ServiceUnit {
  /** The command as written, with variables and specifiers, on one line; undefined when there is none. */
  readonly execStart: string | undefined;
  /** The file that gave `execStart`. */
  readonly execStartPath: string | undefined;
  readonly environment: ReadonlyMap<string, string>;
  /** In order; later ones win, and all win over `environment`. */
  readonly environmentFiles: readonly EnvironmentFileReference[];
}

export interface EnvironmentFileReference {
  readonly path: string;
  /** Written with `-` before it: it may be missing. */
  readonly optional: boolean;
}

interface Assignment {
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** Reads a unit and its drop-ins as one: an empty `ExecStart=`, `Environment=` or `EnvironmentFile=` forgets what came before. */
export function mergeService(files: readonly UnitText[]): ServiceUnit {
  let execStart: string | undefined;
  let execStartPath: string | undefined;
  const environment = new Map<string, string>();
  let environmentFiles: EnvironmentFileReference[] = [];
  for (const file of files) {
    for (const { key, value } of assignments(file.text).filter(({ section }) => section === 'Service')) {
      if (key === 'ExecStart') {
        execStart = value === '' ? undefined : value;
        execStartPath = value === '' ? undefined : file.path;
      } else if (key === 'Environment') {
        if (value === '') environment.clear();
        for (const [name, text] of environmentWords(value)) environment.set(name, text);
      } else if (key === 'EnvironmentFile') {
        environmentFiles = value === '' ? [] : [...environmentFiles, fileReference(value)];
      }
    }
  }
  return { execStart, execStartPath, environment, environmentFiles };
}

/** When a timer elapses, as written. */
export interface TimerUnit {
  /** Values of `OnCalendar=`. */
  readonly calendar: readonly string[];
  /** Values of `OnUnitActiveSec=` and `OnUnitInactiveSec=`. */
  readonly spans: readonly string[];
  /** `RandomizedDelaySec=`. */
  readonly delay: string;
  /** `FixedRandomDelay=`: the delay is the same each time. */
  readonly fixedDelay: boolean;
}

/** A timer after its drop-ins: an empty value forgets all that came before. */
export function mergeTimer(files: readonly UnitText[]): TimerUnit {
  let calendar: string[] = [];
  let spans: string[] = [];
  let delay = '0';
  let fixedDelay = false;
  for (const { section, key, value } of files.flatMap(({ text }) => assignments(text))) {
    if (section !== 'Timer') continue;
    // An empty one resets every timer of the unit, of whatever kind (systemd.timer(5)).
    if (value === '' && TIMER_KEYS.has(key)) [calendar, spans] = [[], []];
    else if (key === 'OnCalendar') calendar.push(value);
    else if (key === 'OnUnitActiveSec' || key === 'OnUnitInactiveSec') spans.push(value);
    else if (key === 'RandomizedDelaySec') delay = value === '' ? '0' : value;
    else if (key === 'FixedRandomDelay') fixedDelay = /^(?:1|yes|y|true|t|on)$/iu.test(value);
  }
  return { calendar, spans, delay, fixedDelay };
}

const TIMER_KEYS = new Set([
  'OnCalendar',
  'OnUnitActiveSec',
  'OnUnitInactiveSec',
  'OnBootSec',
  'OnActiveSec',
  'OnStartupSec',
]);

/** `ExecStart=` without the prefixes that change how it is run (systemd.service(5), "Special executable prefixes"). */
export function commandOf(execStart: string): { readonly command: string; readonly expands: boolean } {
  const prefix = /^[-@:+!|]*/u.exec(execStart)?.[0] ?? '';
  return { command: execStart.slice(prefix.length).trim(), expands: !prefix.includes(':') };
}

function environmentWords(value: string): readonly (readonly [string, string])[] {
  return splitWords(value).flatMap((word) => {
    const equals = word.indexOf('=');
    return equals > 0 ? [[word.slice(0, equals), word.slice(equals + 1)] as const] : [];
  });
}

function fileReference(value: string): EnvironmentFileReference {
  const optional = value.startsWith('-');
  const [path = ''] = splitWords(optional ? value.slice(1) : value);
  return { path, optional };
}

function assignments(text: string): readonly Assignment[] {
  const found: Assignment[] = [];
  let section = '';
  for (const line of logicalLines(text)) {
    const header = /^\[(.+)\]$/u.exec(line)?.[1];
    const equals = line.indexOf('=');
    if (header !== undefined) section = header;
    else if (equals > 0)
      found.push({ section, key: line.slice(0, equals).trim(), value: line.slice(equals + 1).trim() });
  }
  return found;
}

/** Trimmed lines without comments; a backslash at the end joins the next line with a blank, over comments between (systemd.syntax(7)). */
function logicalLines(text: string): readonly string[] {
  const lines: string[] = [];
  let open: string[] | undefined;
  for (const raw of text.split(/\r?\n/u)) {
    const line = raw.trim();
    if (/^[#;]/u.test(line) || (line === '' && open === undefined)) continue;
    if (line.endsWith('\\')) {
      (open ??= []).push(line.slice(0, -1).trimEnd());
    } else {
      lines.push([...(open ?? []), line].join(' ').trim());
      open = undefined;
    }
  }
  const last = open?.join(' ').trim() ?? '';
  if (last !== '') lines.push(last);
  return lines;
}
