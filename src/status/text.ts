import type { Phase } from '../rotation/snapshot.ts';
import type { CertificateStatus, HookStatus, StatusDocument, Timestamp } from './document.ts';
import { relativeText, spanText } from './times.ts';
import { certificateVerdict, type State, type Verdict } from './verdict.ts';

/** Where the document came from, as the reader must know it. */
export type Source =
  | { readonly kind: 'socket' }
  /** `running` where the process could be seen to live although its socket could not be opened. */
  | { readonly kind: 'file'; readonly path: string; readonly running: boolean }
  | { readonly kind: 'disk'; readonly certDir: string };

/** Why a daemon that runs renews nothing. */
export interface Trouble {
  readonly message: string;
  readonly remedy?: string;
}

export interface TextOptions {
  readonly source: Source;
  readonly verdict: Verdict;
  readonly trouble?: Trouble | undefined;
  readonly now: Date;
  readonly colour: boolean;
}

const COLOURS: Readonly<Record<State, number>> = { healthy: 32, waiting: 33, expiring: 33, expired: 31, unknown: 35 };
const BOLD = 1;
const DIM = 2;

type Row = readonly [label: string, value: string];

/** The document for a person: what it is, each certificate, what waits and the command that ends the wait. Ends in a newline. */
export function statusReport(document: StatusDocument, options: TextOptions): string {
  const paint = options.colour ? painted : plain;
  const { state } = options.verdict;
  const lines = [
    `${paint(BOLD, document.node.name)}: ${paint(COLOURS[state], state)}`,
    ...rows(headRows(document, options), paint),
    ...kubeconfigLines(document, paint),
    ...document.certificates.flatMap((certificate) => ['', ...certificateLines(certificate, options.now, paint)]),
    ...document.hooks.flatMap((hook) => ['', ...hookLines(hook, options.now, paint)]),
  ];
  return `${lines.join('\n')}\n`;
}

function kubeconfigLines({ kubeconfig }: StatusDocument, paint: Paint): readonly string[] {
  if (kubeconfig === undefined) return [];
  const { path, reason, command } = kubeconfig;
  return [
    '',
    `${paint(BOLD, path)}  ${paint(COLOURS.waiting, 'has to be written anew, which is left to root')}`,
    ...rows(
      [
        ['reason', reason],
        ['to mend it', command],
      ],
      paint,
    ),
  ];
}

type Paint = (code: number, text: string) => string;
const plain: Paint = (_code, text) => text;
const painted: Paint = (code, text) => `\u001b[${String(code)}m${text}\u001b[0m`;

function headRows(document: StatusDocument, { source, now, trouble }: TextOptions): readonly Row[] {
  const { server, kubeletVersion, clockSkewSeconds: skew } = document.node;
  return [
    ['certlet', trouble ? `runs and can renew nothing: ${trouble.message}` : processText(document, source, now)],
    ...optional('to mend it', trouble?.remedy),
    ...fileRows(document, source, now),
    ...optional('API server', server),
    ...optional('kubelet', kubeletVersion),
    ...(skew === undefined || Math.abs(skew) < NAMED_SKEW_SECONDS ? [] : [['clock', skewText(skew)] as const]),
  ];
}

/** As in the log: less than this is noise of the `Date` header and slow links. */
const NAMED_SKEW_SECONDS = 120;

const skewText = (skew: number): string =>
  `${spanText(skew * 1000)} ${skew > 0 ? 'ahead of' : 'behind'} the API server; set it: timedatectl status`;

function processText(document: StatusDocument, source: Source, now: Date): string {
  const { command, pid, version, startedAt, stoppedAt } = document.process;
  if (source.kind === 'disk') return 'not running; this was read from the disk';
  const started = relativeText(new Date(startedAt), now);
  const alive = source.kind === 'socket' || source.running;
  if (alive) return `${version} (${command}), process ${String(pid)}, started ${started}`;
  if (command !== 'run') return `${version}, last run by certlet ${command}, started ${started}`;
  const end = stoppedAt === undefined ? '' : `, stopped ${relativeText(new Date(stoppedAt), now)}`;
  return `NOT RUNNING (${version}, process ${String(pid)} is gone${end}); start it: systemctl start certlet`;
}

function fileRows(document: StatusDocument, source: Source, now: Date): readonly Row[] {
  if (source.kind === 'disk') return [['read from', source.certDir]];
  if (source.kind === 'socket') return [];
  return [['read from', `${source.path}, last changed ${relativeText(new Date(document.writtenAt), now)}`]];
}

function certificateLines(status: CertificateStatus, now: Date, paint: Paint): readonly string[] {
  const { state } = certificateVerdict(status, now);
  const { purpose, certificate, placeholder } = status;
  const name = purpose.padEnd(NAME_WIDTH);
  const head = `${paint(BOLD, name)}  ${paint(COLOURS[state], headline(status, now))}`;
  const facts: readonly Row[] =
    certificate === undefined || placeholder
      ? []
      : [
          ['subject', certificate.subject],
          ...optional('names', [...certificate.dnsNames, ...certificate.ipAddresses].join(', ') || undefined),
          ['serial', certificate.serial],
          ['issued', at(certificate.notBefore, now)],
          ['expires', `${at(certificate.notAfter, now)}${endingText(certificate.endsWith)}`],
        ];
  return [head, ...rows([...facts, ...stateRows(status, now)], paint)];
}

const endingText = (endsWith: string | undefined): string =>
  endsWith === undefined ? '' : `, with ${endsWith} of its chain`;

/** As wide as the kubelet's two need, so that the same node always looks the same. */
const NAME_WIDTH = 'serving'.length;

function headline(status: CertificateStatus, now: Date): string {
  const { certificate, placeholder, phase } = status;
  if (placeholder) return `${phase}; a self-signed pair stands in until the first one is issued`;
  if (certificate === undefined) return phase;
  const leftMs = Date.parse(certificate.notAfter) - now.getTime();
  if (leftMs < 0) return `EXPIRED ${spanText(leftMs)} ago; ${phase}`;
  if (certificateVerdict(status, now).state === 'expiring')
    return `valid, RENEWAL OVERDUE (${spanText(leftMs)} left); ${phase}`;
  return `${phase === 'valid' ? 'valid' : `valid, ${phase}`} (${spanText(leftMs)} left)`;
}

function stateRows(status: CertificateStatus, now: Date): readonly Row[] {
  const { phase, reason, since, rotationDeadline, nextAttempt, lastSuccess, lastError } = status;
  return [
    ...optional('next rotation', rotationDeadline && at(rotationDeadline, now)),
    // Of a host where nothing runs nobody knows since when.
    ...(phase === 'not managed' ? [['reason', reason] as const] : []),
    ...(phase === 'valid' || phase === 'not managed'
      ? []
      : [['reason', `${reason}; since ${at(since, now)}`] as const]),
    ...requestRows(status, now),
    ...optional('next attempt', nextAttempt && at(nextAttempt, now)),
    ['file', status.path],
    ...optional('last success', lastSuccess && at(lastSuccess, now)),
    ...(lastError === undefined || lastError.message === reason ? [] : errorRows(lastError, now)),
    ...commandRows(status),
  ];
}

function requestRows({ phase, pending }: CertificateStatus, now: Date): readonly Row[] {
  if (pending === undefined) return [];
  return [['request', `${pending.name}, ${requestState(phase, pending.approved)} ${at(pending.since, now)}`]];
}

/** Key and name are on disk before the API server is asked: only its answer makes a request of them that somebody could approve. */
function requestState(phase: Phase, approved: boolean): string {
  if (approved) return 'approved, made';
  return phase === 'waiting for approval' ? 'not approved, made' : 'prepared';
}

function commandRows({ phase, command, lastError }: CertificateStatus): readonly Row[] {
  return optional(phase === 'waiting for approval' ? 'approve with' : 'to mend it', command ?? lastError?.remedy);
}

function errorRows(error: NonNullable<CertificateStatus['lastError']>, now: Date): readonly Row[] {
  return [['last error', `${error.code}, ${at(error.at, now)}: ${error.message}`]];
}

function hookLines(hook: HookStatus, now: Date, paint: Paint): readonly string[] {
  const { message, since, attempts, nextAttempt, remedy } = hook;
  return [
    `${paint(BOLD, `hook ${hook.hook}`)}  ${paint(COLOURS.waiting, `failed after the ${hook.purpose} rotation`)}`,
    ...rows(
      [
        ['error', message],
        ['since', `${at(since, now)}, ${String(attempts)} attempt${attempts === 1 ? '' : 's'}`],
        ['next attempt', nextAttempt === undefined ? 'after the next rotation or start' : at(nextAttempt, now)],
        ...optional('to mend it', remedy),
      ],
      paint,
    ),
  ];
}

const at = (date: Timestamp, now: Date): string => relativeText(new Date(date), now);

const optional = (label: string, value: string | undefined): readonly Row[] =>
  value === undefined ? [] : [[label, value]];

/** One column for labels, wide enough for the usual ones; a longer label pushes its value. */
const LABEL_WIDTH = 14;

const rows = (pairs: readonly Row[], paint: Paint): readonly string[] =>
  pairs.map(([label, value]) => `  ${paint(DIM, label.padEnd(LABEL_WIDTH))}  ${value}`);
