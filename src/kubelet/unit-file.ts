import { expandWords, splitWords } from './unit-words.ts';

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
    for (const { key, value } of serviceAssignments(file.text)) {
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

/** What a service may write, as its unit and drop-ins say. */
export interface ServiceSandbox {
  /** `ReadWritePaths=` without `-` and `+`, and the folders that systemd makes for the service, each with the file that names it. */
  readonly writable: readonly SandboxPath[];
  /** `ReadOnlyPaths=` and `InaccessiblePaths=`. */
  readonly closed: readonly SandboxPath[];
  /** `ProtectSystem=strict`: nothing else can be written. */
  readonly strict: boolean;
  /** `User=`, undefined for root. */
  readonly user: string | undefined;
}

export interface SandboxPath {
  readonly path: string;
  readonly file: string;
}

/** Folders that systemd makes and opens (systemd.exec(5), RuntimeDirectory=), by the key that names one below them. */
const MADE_BELOW: Readonly<Record<string, string>> = {
  RuntimeDirectory: '/run',
  StateDirectory: '/var/lib',
  CacheDirectory: '/var/cache',
  LogsDirectory: '/var/log',
};

/** The sandbox of a service after its drop-ins: an empty value forgets what came before. */
export function mergeSandbox(files: readonly UnitText[]): ServiceSandbox {
  const lists = new Map<string, readonly SandboxPath[]>();
  const last = new Map<string, string>();
  const service = files.flatMap(({ path: file, text }) => serviceAssignments(text).map((each) => ({ ...each, file })));
  for (const { key, value, file } of service) {
    last.set(key, value);
    if (!(key in MADE_BELOW) && !PATH_KEYS.includes(key)) continue;
    const paths = splitWords(value).map((word) => ({ path: sandboxPath(key, word), file }));
    lists.set(key, value === '' ? [] : [...(lists.get(key) ?? []), ...paths]);
  }
  const user = last.get('User') ?? '';
  const of = (...keys: readonly string[]): readonly SandboxPath[] => keys.flatMap((key) => lists.get(key) ?? []);
  return {
    writable: of('ReadWritePaths', ...Object.keys(MADE_BELOW)),
    closed: of('ReadOnlyPaths', 'InaccessiblePaths'),
    strict: last.get('ProtectSystem') === 'strict',
    user: ['', 'root', '0'].includes(user) ? undefined : user,
  };
}

const PATH_KEYS: readonly string[] = ['ReadWritePaths', 'ReadOnlyPaths', 'InaccessiblePaths'];

/** A word of one of these lists as a path: `-` and `+` before it are no part of it, `%%` is a percent sign. */
function sandboxPath(key: string, word: string): string {
  const below = MADE_BELOW[key];
  const path = (below === undefined ? word.replace(/^[-+]{1,2}/u, '') : `${below}/${word}`).replaceAll('%%', '%');
  return path.length > 1 ? path.replace(/\/+$/u, '') : path;
}

/** Whether `systemctl reload` can do anything for the service: `ExecReload=`, or `Type=notify-reload` (systemd 253 and later). */
export function isReloadable(files: readonly UnitText[]): boolean {
  let reloads = false;
  let type = '';
  for (const { key, value } of files.flatMap(({ text }) => serviceAssignments(text))) {
    if (key === 'ExecReload') reloads = value !== '';
    else if (key === 'Type') type = value;
  }
  return reloads || type === 'notify-reload';
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

/**
 * What a flag with a value is given on the command line of a service, the last time that it stands there; undefined where it does not. Variables of
 * environment files are not known and count as empty.
 */
export function flagOf(
  { execStart = '', environment }: Pick<ServiceUnit, 'execStart' | 'environment'>,
  flag: string,
): string | undefined {
  const { command, expands } = commandOf(execStart);
  const words = expands ? expandWords(splitWords(command), environment) : splitWords(command);
  const values = words.flatMap((word, at) => {
    if (word === flag) return words[at + 1] ?? [];
    return word.startsWith(`${flag}=`) ? word.slice(flag.length + 1) : [];
  });
  return values.at(-1);
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

const serviceAssignments = (text: string): readonly Assignment[] =>
  assignments(text).filter(({ section }) => section === 'Service');

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
