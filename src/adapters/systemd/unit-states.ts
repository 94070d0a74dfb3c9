import { DO, FIX, WHY } from '../../remedy.ts';
import { type CommandEnd, runCommand } from '../hooks/command-process.ts';

/** What systemd says of one unit (systemctl(1), org.freedesktop.systemd1(5)). */
export interface UnitState {
  /** `loaded`, `not-found`, `masked`, `bad-setting`, `error`. */
  readonly load: string;
  /** `active`, `inactive`, `failed`, `activating`, `deactivating`, `reloading`. */
  readonly active: string;
  /** `auto-restart` among others. */
  readonly sub: string;
  /** How it is started, as `systemctl is-enabled` tells it; empty where there is no unit. */
  readonly enabled: string;
  /** `success`, or why it failed: `exit-code`, `signal`, `timeout`, `watchdog`. */
  readonly result: string;
  /** Of its last main process; undefined where there was none. */
  readonly exitStatus: number | undefined;
  /** Names its last start in the journal; undefined where it was not started since the boot. */
  readonly invocation: string | undefined;
  /** Its files are newer than what systemd has loaded. */
  readonly needsReload: boolean;
  /** When it became active the last time; undefined where it was not since the boot. */
  readonly activeSince: Date | undefined;
  /** How often systemd has started it again by itself since somebody did; undefined where systemd is older than 235. */
  readonly restarts: number | undefined;
  /** Of a timer, the next moment by the calendar; undefined where there is none. */
  readonly nextRun: Date | undefined;
}

/** The states by unit name, or why nobody could tell them. */
export type UnitStates =
  | { readonly kind: 'told'; readonly units: ReadonlyMap<string, UnitState> }
  | { readonly kind: 'untold'; readonly reason: string };

const PROPERTIES =
  'Id,LoadState,ActiveState,SubState,UnitFileState,Result,ExecMainStatus,ExecMainCode,InvocationID,NeedDaemonReload,ActiveEnterTimestamp,NRestarts,NextElapseUSecRealtime';
/** Moments are written in the zone of who asks, words in its language. */
const ENVIRONMENT = { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC', SYSTEMD_COLORS: '0' };
const TIMEOUT_MS = 5_000;

/** Asks systemd for these units, with a time limit of five seconds. Rejects never. */
export async function askUnitStates(units: readonly string[], signal: AbortSignal): Promise<UnitStates> {
  const { end, lines } = await output(['systemctl', 'show', '-p', PROPERTIES, '--', ...units], signal);
  const reason = reasonOf('systemctl', end, lines);
  return reason === undefined ? { kind: 'told', units: parseUnitStates(lines.join('\n')) } : { kind: 'untold', reason };
}

/** A failed start of certlet says what is wrong in some lines, and in some more below them what a person does. */
const ERRORS_READ = '20';
const ERRORS_TOLD = 2;
const ADVICE = new RegExp(`^certlet: +(?:${[FIX, DO, WHY].join('|')}) `);

/** Of the lines at error or worse, oldest first, the last two that say what is wrong. */
export const errorsIn = (lines: readonly string[]): readonly string[] =>
  lines.filter((line) => !ADVICE.test(line)).slice(-ERRORS_TOLD);

/** The last two lines at error or worse by which certlet said in this start of a unit (`UnitState`) what is wrong; none where the journal may not be read. */
export async function lastErrors(invocation: string, signal: AbortSignal): Promise<readonly string[]> {
  const ofStart = `_SYSTEMD_INVOCATION_ID=${invocation}`;
  const { end, lines } = await output(
    ['journalctl', '-q', '--no-pager', '-o', 'cat', '-n', ERRORS_READ, '-t', 'certlet', '-p', 'err', ofStart],
    signal,
  );
  return reasonOf('journalctl', end, lines) === undefined ? errorsIn(lines) : [];
}

async function output(
  command: readonly string[],
  signal: AbortSignal,
): Promise<{ readonly end: CommandEnd; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const request = {
    command,
    env: ENVIRONMENT,
    timeoutMs: TIMEOUT_MS,
    onLine: (_: string, line: string) => void lines.push(line),
  };
  return { end: await runCommand(request, signal), lines };
}

function reasonOf(program: string, end: CommandEnd, lines: readonly string[]): string | undefined {
  switch (end.kind) {
    case 'exited':
      return end.code === 0 ? undefined : `${program}: ${lines[0] ?? `status ${String(end.code)}`}`;
    case 'timedOut':
      return `${program} did not answer within ${String(TIMEOUT_MS / 1000)} seconds`;
    case 'notStarted':
      return `${program} cannot be run: ${end.reason}`;
    case 'killed':
    case 'aborted':
      return `${program} was ended`;
  }
}

/** The answer of `systemctl show` for several units: `NAME=VALUE` lines, an empty line between two units. */
export function parseUnitStates(text: string): ReadonlyMap<string, UnitState> {
  const states = new Map<string, UnitState>();
  for (const block of text.split(/\n{2,}/)) {
    const values = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    const value = (name: string): string => values.get(name) ?? '';
    if (value('Id') === '') continue;
    states.set(value('Id'), {
      load: value('LoadState'),
      active: value('ActiveState'),
      sub: value('SubState'),
      enabled: value('UnitFileState'),
      result: value('Result'),
      exitStatus: ['', '0'].includes(value('ExecMainCode')) ? undefined : Number(value('ExecMainStatus')),
      invocation: value('InvocationID') === '' ? undefined : value('InvocationID'),
      needsReload: value('NeedDaemonReload') === 'yes',
      activeSince: momentOf(value('ActiveEnterTimestamp')),
      restarts: value('NRestarts') === '' ? undefined : Number(value('NRestarts')),
      nextRun: momentOf(value('NextElapseUSecRealtime')),
    });
  }
  return states;
}

/** `Mon 2026-11-30 01:30:21 UTC`, with fractions of a second or none. */
function momentOf(text: string): Date | undefined {
  const [, day = '', time = ''] = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d+)? UTC$/.exec(text) ?? [];
  return day === '' ? undefined : new Date(`${day}T${time}Z`);
}
