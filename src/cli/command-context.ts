import { hostname } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { fileIdentity, isJournalStream } from '../adapters/log/journal.ts';
import type { LevelledLogger, LogFormat } from '../adapters/log/logger.ts';
import { join } from 'node:path';
import { MACHINE_ID_PATH, machineDigest } from '../adapters/machine-id.ts';
import { readSettingsFile } from '../adapters/settings-file.ts';
import type { Carried, HowItRuns } from '../remedy.ts';
import type { LogSettings, Settings } from '../config/settings.ts';
import type { SettingsChoice } from './command.ts';

/** An output stream that may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly fd?: number };

/** The process as commands see it; tests put their own in its place. */
export interface ProcessEdge {
  /** Without node and program. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly userId: number;
  readonly hostname: () => string;
  /** Below which files of the host are read that are not named by the settings: `/` in earnest. */
  readonly hostRoot: string;
  readonly now: () => Date;
  /** Calls `listener` at each such signal until the function returned is called. */
  readonly onSignal: (signal: 'SIGINT' | 'SIGTERM' | 'SIGHUP', listener: () => void) => () => void;
  /** Calls `listener` with what nobody caught. */
  readonly onUncaught: (listener: (error: unknown) => void) => () => void;
  /** What Node and libraries warn of, which is printed by nobody else. Returns how to stop. */
  readonly onWarning: (listener: (warning: Error) => void) => () => void;
  /** Ends the process at once. */
  readonly exit: (code: number) => void;
}

/** What every command gets. */
export interface CommandContext {
  readonly edge: ProcessEdge;
  /** Aborts at SIGINT, SIGTERM and when standard output takes no more: its reader has gone, its disk is full. */
  readonly signal: AbortSignal;
  /** What commands that it prints need of its own command line. */
  readonly carried: readonly Carried[];
  /** The settings file that `loadSettings` reads. */
  readonly settingsPath: string;
  /** Reads settings anew. Throws `ERR_CONFIG_INVALID`, `ERR_USAGE`, `ERR_NODE_NAME`, `ERR_STORE_IO`. */
  readonly loadSettings: () => Promise<Settings>;
  /** Opens the log on standard error; errors that end the program then go through it. Remedies are told as they work where a timer starts the program, or without `how`. */
  readonly openLog: (settings: LogSettings, how?: StartedHow) => Promise<LevelledLogger>;
  /** Calls `listener` at each SIGHUP; without one SIGHUP ends the program. Returns how to stop that. */
  readonly onReload: (listener: () => void) => () => void;
  /** Writes to standard output; what could steer a terminal is escaped. */
  readonly print: (text: string) => void;
  /** The same for a text with colours of ours: whoever painted it has escaped what others wrote in it. */
  readonly printPainted: (text: string) => void;
}

/** Settings of this command line. A default settings file need not exist, a named one must. */
export async function loadChosenSettings(choice: SettingsChoice, edge: ProcessEdge): Promise<Settings> {
  // Late: completion and help need neither YAML nor the table of settings.
  const { DEFAULT_SETTINGS_PATH, loadSettings } = await import('../config.ts');
  const filePath = choice.settingsPath ?? DEFAULT_SETTINGS_PATH;
  const fileText = await readSettingsFile({
    path: filePath,
    mustExist: choice.settingsPath !== undefined,
    userId: edge.userId,
  });
  const settings = loadSettings({ flags: choice.settingFlags, fileText, filePath, osHostname: edge.hostname() });
  const machine = settings.namedByHost === true ? await machineDigest(join(edge.hostRoot, MACHINE_ID_PATH)) : undefined;
  return machine === undefined ? settings : { ...settings, machine };
}

/** Whether standard error is the journal's own stream. */
export function writesToJournal(edge: ProcessEdge): boolean {
  const { fd } = edge.stderr;
  return fd !== undefined && isJournalStream(edge.environment['JOURNAL_STREAM'], fileIdentity(fd));
}

/** Who starts the program. */
export type StartedHow = Pick<HowItRuns, 'byTimer'>;

/** The log that these settings ask for, on standard error. */
export async function openChosenLog(
  settings: LogSettings,
  edge: ProcessEdge,
  { byTimer = false, carried = [] }: Partial<StartedHow & Pick<HowItRuns, 'carried'>> = {},
): Promise<LevelledLogger> {
  const { createLogger } = await import('../adapters/log/logger.ts');
  return createLogger({
    format: chosenFormat(settings.format, edge),
    level: settings.level,
    stream: edge.stderr,
    colour: showsColour(edge.stderr, edge.environment),
    now: edge.now,
    host: { byTimer, uid: edge.userId, carried },
  });
}

/** Whether a stream is a terminal that shows colours and a person who wants them (https://no-color.org: any value that is not empty). */
export function showsColour(stream: Output, environment: ProcessEdge['environment']): boolean {
  return stream.isTTY === true && (environment['NO_COLOR'] ?? '') === '' && environment['TERM'] !== 'dumb';
}

/** As wide as a terminal is taken to be that does not tell. */
const USUAL_COLUMNS = 80;

/** How long lines may get; undefined where there is no terminal. */
export const columnsOf = ({ isTTY, columns = 0 }: Output): number | undefined =>
  isTTY === true ? columns || USUAL_COLUMNS : undefined;

function chosenFormat(format: LogSettings['format'], edge: ProcessEdge): LogFormat {
  if (format !== 'auto') return format;
  return writesToJournal(edge) ? 'journal' : 'text';
}

/** The real process. */
export function realProcess(): ProcessEdge {
  return {
    argv: process.argv.slice(2),
    environment: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    userId: process.geteuid?.() ?? 0,
    hostname,
    hostRoot: '/',
    now: () => new Date(),
    onSignal: (signal, listener) => {
      process.on(signal, listener);
      return () => process.off(signal, listener);
    },
    onUncaught: (listener) => {
      process.on('uncaughtException', listener);
      return () => process.off('uncaughtException', listener);
    },
    onWarning: (listener) => {
      process.on('warning', listener);
      return () => process.off('warning', listener);
    },
    exit: (code) => process.exit(code),
  };
}
