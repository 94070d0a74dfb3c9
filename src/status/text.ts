import { spanText, timestamp } from '../timestamp.ts';
import { type HowItRuns, type Remedy, remedyFor } from '../remedy.ts';
import { KUBELET_SERVING } from '../csr/spec.ts';
import { certificateDetails, certificateHeadline, certificateTrouble } from './certificate-rows.ts';
import { certificateTable } from './certificate-table.ts';
import { clusterCaRows } from './cluster-ca.ts';
import type {
  CertificateStatus,
  HookStatus,
  LeftStatus,
  ProcessStatus,
  StatusDocument,
  Timestamp,
  WarningStatus,
} from './document.ts';
import { BOLD, type Paint, paintFor, STATE_COLOURS } from './paint.ts';
import { plannedRows } from './planned-rows.ts';
import { adviceRows, optional, type Row, rowLines } from './rows.ts';
import { lastingText, relativeText } from './times.ts';
import { serverRows } from './server-rows.ts';
import { timeOffText } from './time-off.ts';
import { certificateVerdict, stateWords, type Verdict } from './verdict.ts';
import { wrapped } from './wrapped.ts';

/** Where the document came from, as the reader must know it. */
export type Source =
  | { readonly kind: 'socket' }
  /** `running` where the process could be seen to live although its socket could not be opened. */
  | { readonly kind: 'file'; readonly path: string; readonly running: boolean }
  /** `starting` where a daemon has answered that it knows nothing yet. */
  | { readonly kind: 'disk'; readonly certDir: string; readonly starting?: boolean };

/** Why a daemon that runs renews nothing. */
export interface Trouble {
  readonly message: string;
  readonly remedy?: Remedy;
}

export interface TextOptions {
  readonly source: Source;
  readonly verdict: Verdict;
  readonly trouble?: Trouble | undefined;
  /** How certlet runs on this host: the document's own remedies are told so already. */
  readonly host?: HowItRuns;
  readonly now: Date;
  /** When a timer starts the next run. */
  readonly nextRun?: Date | undefined;
  readonly colour: boolean;
  /** Lines get no longer; undefined where there is no terminal. */
  readonly columns?: number | undefined;
  /** Every fact of each certificate, in place of what is wrong with it. */
  readonly details?: boolean;
}

interface Look {
  readonly now: Date;
  readonly paint: Paint;
  readonly columns: number | undefined;
}

/** The document for a person: what it is, a table of the certificates, what waits and the command that ends the wait. Ends in a newline. */
export function statusReport(document: StatusDocument, options: TextOptions): string {
  const { now, colour, columns, verdict, details = false } = options;
  const look: Look = { now, columns, paint: paintFor(colour) };
  const { state } = verdict;
  const { certificates, hooks } = document;
  const blocks = [
    [
      `${look.paint(BOLD, document.node.name)}: ${look.paint(STATE_COLOURS[state], stateWords(document, verdict))}`,
      ...rowLines(headRows(document, options), look),
    ],
    certificates.length === 0 ? [] : certificateTable(certificates, look),
    kubeconfigLines(document, look),
    clusterCaLines(document, now, look),
    ...certificates
      // What keeps all of them is told once, above.
      .filter(({ reason }) => details || reason !== options.trouble?.message)
      .map((certificate) => certificateLines(certificate, look, details)),
    ...(document.left ?? []).map((left) => leftLines(left, look)),
    ...hooks.map((hook) => hookLines(hook, look)),
    warningLines(document.warnings ?? [], look),
  ];
  const shown = blocks.filter((block) => block.length > 0);
  return `${shown.map((block) => block.join('\n')).join('\n\n')}\n`;
}

function kubeconfigLines({ kubeconfig }: StatusDocument, look: Look): readonly string[] {
  if (kubeconfig === undefined) return [];
  const { path, reason, command } = kubeconfig;
  const rows: readonly Row[] = [['reason', reason], ...adviceRows(command)];
  return [...heading(path, 'has to be written anew, which is left to root', look), ...rowLines(rows, look)];
}

function clusterCaLines({ clusterCA }: StatusDocument, now: Date, look: Look): readonly string[] {
  const rows = clusterCA === undefined ? [] : [...clusterCaRows(clusterCA), ...plannedRows(clusterCA, now)];
  if (clusterCA === undefined || rows.length === 0) return [];
  const all = [...rows, ...adviceRows(clusterCA.error?.remedy)];
  return [...heading('cluster CA', `followed by ${clusterCA.source}`, look), ...rowLines(all, look)];
}

/** Nothing to worry about: whoever dropped a certificate may still have a program that reads it. */
function leftLines({ purpose, files }: LeftStatus, look: Look): readonly string[] {
  const rows = files.map((file) => ['file', file] as const);
  return [...heading(purpose, 'not in the settings any more; its files are left', look), ...rowLines(rows, look)];
}

function headRows(
  document: StatusDocument,
  { source, now, trouble, verdict, host, nextRun }: TextOptions,
): readonly Row[] {
  const { kubeletVersion, clockSkewSeconds: skew } = document.node;
  return [
    ...(trouble
      ? ([['certlet', `runs and can renew nothing: ${trouble.message}`], ...adviceRows(trouble.remedy)] as const)
      : processRows(document, { source, now, verdict, ...(host && { host }) })),
    ...(nextRun === undefined ? [] : ([['next run', at(timestamp(nextRun), now)]] as const)),
    ...fileRows(document, source, now),
    ['time off', timeOffText(document, now)],
    ...serverRows(document, now),
    ...optional('kubelet', kubeletVersion),
    ...(skew === undefined || Math.abs(skew) < NAMED_SKEW_SECONDS ? [] : skewRows(skew)),
  ];
}

/** As in the log: less than this is noise of the `Date` header and slow links. */
const NAMED_SKEW_SECONDS = 120;

const skewRows = (skew: number): readonly Row[] => [
  ['clock', `${spanText(skew * 1000)} ${skew > 0 ? 'ahead of' : 'behind'} the API server`],
  ...adviceRows('timedatectl set-ntp true'),
];

const START = 'systemctl start certlet';
const DAEMON: HowItRuns = { byTimer: false, uid: 0, carried: [] };

function processRows(
  document: StatusDocument,
  { source, now, verdict, host = DAEMON }: Pick<TextOptions, 'source' | 'now' | 'verdict' | 'host'>,
): readonly Row[] {
  const { command, pid, version, startedAt, processStartedAt = startedAt, stoppedAt } = document.process;
  if (source.kind === 'disk') {
    if (source.starting === true) return [['certlet', 'has just started; this was read from the disk']];
    const start = verdict.state === 'healthy' ? undefined : remedyFor(START, host);
    return [['certlet', 'not running; this was read from the disk'], ...adviceRows(start)];
  }
  const started = at(processStartedAt, now) + anewText(document.process, now);
  const alive = source.kind === 'socket' || source.running;
  if (alive) return [['certlet', `${version} (${command}), process ${String(pid)}, started ${started}`]];
  if (command !== 'run') return [['certlet', `${version}, last run by certlet ${command}, started ${started}`]];
  const end = stoppedAt === undefined ? '' : `, stopped ${at(stoppedAt, now)}`;
  return [['certlet', `NOT RUNNING (${version}, process ${String(pid)} is gone${end})`], ...adviceRows(START)];
}

/** A process takes its time from its first moment to its first agent. */
const SAME_START_MS = 10_000;

/** A reload, or a cert-dir that could be used at last: attempts count from then on. */
function anewText({ startedAt, processStartedAt = startedAt }: ProcessStatus, now: Date): string {
  const laterMs = Date.parse(startedAt) - Date.parse(processStartedAt);
  return laterMs < SAME_START_MS ? '' : `, began anew ${at(startedAt, now)}`;
}

function fileRows(document: StatusDocument, source: Source, now: Date): readonly Row[] {
  if (source.kind === 'disk') return [['read from', source.certDir]];
  if (source.kind === 'socket') return [];
  return [['read from', `${source.path}, last changed ${at(document.writtenAt, now)}`]];
}

function certificateLines(status: CertificateStatus, look: Look, details: boolean): readonly string[] {
  const { now } = look;
  const rows = details ? certificateDetails(status, now) : certificateTrouble(status, now);
  if (rows.length === 0) return [];
  const colour = STATE_COLOURS[certificateVerdict(status, now).state];
  return [...heading(status.purpose, certificateHeadline(status, now), look, colour), ...rowLines(rows, look)];
}

/** As wide as the kubelet's two need, so that the same node always looks the same. */
const NAME_WIDTH = KUBELET_SERVING.length;

function heading(
  name: string,
  text: string,
  { paint, columns }: Look,
  colour: number = STATE_COLOURS.waiting,
): readonly string[] {
  const indent = Math.max(NAME_WIDTH, name.length) + 2;
  const [first, ...rest] = wrapped(
    text,
    columns === undefined ? undefined : Math.max(NAME_WIDTH * 3, columns - indent),
  );
  return [
    `${paint(BOLD, name.padEnd(NAME_WIDTH))}  ${paint(colour, first)}`,
    ...rest.map((line) => ' '.repeat(indent) + paint(colour, line)),
  ];
}

function hookLines(hook: HookStatus, look: Look): readonly string[] {
  const { now } = look;
  const { message, since, attempts, nextAttempt, remedy } = hook;
  const rows: readonly Row[] = [
    ['error', message],
    ['failing', `${lastingText(new Date(since), now)}, ${String(attempts)} attempt${attempts === 1 ? '' : 's'}`],
    ['next attempt', nextAttempt === undefined ? 'after the next rotation or start' : at(nextAttempt, now)],
    ...adviceRows(remedy),
  ];
  const name = `hook ${hook.hook}`;
  return [...heading(name, `failed after the ${hook.purpose} rotation`, look), ...rowLines(rows, look)];
}

/** What the journal has had to warn of, the newest last, as `systemctl status` shows it. */
function warningLines(warnings: readonly WarningStatus[], { now, paint, columns }: Look): readonly string[] {
  if (warnings.length === 0) return [];
  const ages = warnings.map(({ at: moment }) => `${spanText(now.getTime() - Date.parse(moment))} ago`);
  const width = Math.max(...ages.map((age) => age.length));
  const indent = 2 + width + 2;
  return [
    paint(BOLD, 'Last warnings (journalctl -u certlet)'),
    ...warnings.flatMap((warning, index) => {
      const space = columns === undefined ? undefined : Math.max(NAME_WIDTH * 3, columns - indent);
      const [first, ...rest] = wrapped(warningText(warning), space);
      return [`  ${(ages[index] ?? '').padEnd(width)}  ${first}`, ...rest.map((line) => ' '.repeat(indent) + line)];
    }),
  ];
}

function warningText({ event, purpose, code, times }: WarningStatus): string {
  const about = [purpose, code].filter((part) => part !== undefined).join(', ');
  return `${event}${about === '' ? '' : ` (${about})`}${times === 1 ? '' : `, ${String(times)} times`}`;
}

const at = (date: Timestamp, now: Date): string => relativeText(new Date(date), now);
