import type { CertificateStatus, Timestamp } from './document.ts';
import { plannedRows } from './planned-rows.ts';
import { adviceRows, optional, type Row } from './rows.ts';
import { spanText } from '../timestamp.ts';
import { lastingText, relativeText } from './times.ts';
import { certificateVerdict } from './verdict.ts';

/** One certificate in a few words. */
export function certificateHeadline(status: CertificateStatus, now: Date): string {
  const { certificate, placeholder, phase } = status;
  if (placeholder) return `${phase}; a self-signed pair stands in until the first one is issued`;
  if (certificate === undefined) return phase;
  const leftMs = Date.parse(certificate.notAfter) - now.getTime();
  // Its dates decide: what the daemon went by a moment ago may be over.
  const doing = phase === 'valid' ? 'its renewal has not begun' : phase;
  if (leftMs < 0) return `EXPIRED ${spanText(leftMs)} ago; ${doing}`;
  if (certificateVerdict(status, now).state === 'expiring')
    return `valid, RENEWAL OVERDUE (${spanText(leftMs)} left); ${doing}`;
  return `${phase === 'valid' ? 'valid' : `valid, ${phase}`} (${spanText(leftMs)} left)`;
}

/** Everything that there is to tell of one certificate. */
export function certificateDetails(status: CertificateStatus, now: Date): readonly Row[] {
  const { certificate, placeholder, rotationDeadline, nextAttempt, lastSuccess } = status;
  const facts: readonly Row[] =
    certificate === undefined || placeholder
      ? []
      : [
          ['subject', certificate.subject],
          ...optional('names', [...certificate.dnsNames, ...certificate.ipAddresses].join(', ') || undefined),
          ['issuer', certificate.issuer],
          ['serial', certificate.serial],
          ['issued', at(certificate.notBefore, now)],
          ['expires', `${at(certificate.notAfter, now)}${endingText(certificate.endsWith)}`],
        ];
  return [
    ...facts,
    ...servedRows(status, now),
    ...plannedRows(status, now),
    ...optional('next rotation', rotationDeadline && at(rotationDeadline, now)),
    ...reserveRows(status),
    ...reasonRows(status, now),
    ...optional('next attempt', nextAttempt && at(nextAttempt, now)),
    ['file', status.path],
    ...optional('last success', lastSuccess && at(lastSuccess, now)),
    ...errorRows(status, now),
    ...fixRows(status),
  ];
}

/** What is not as it should be, and what ends that; empty where nothing is. */
export function certificateTrouble(status: CertificateStatus, now: Date): readonly Row[] {
  const { nextAttempt, phase } = status;
  // That nothing runs is told once, for all of them.
  if (phase === 'not managed') return [];
  return [
    ...reasonRows(status, now),
    ...plannedRows(status, now),
    ...optional('next attempt', nextAttempt && at(nextAttempt, now)),
    ...errorRows(status, now),
    ...fixRows(status),
    ...(status.reserve?.ask === undefined ? [] : reserveRows(status)),
  ];
}

/** What is always left while the node is online. */
function reserveRows({ reserve }: CertificateStatus): readonly Row[] {
  if (reserve === undefined) return [];
  const { wantedSeconds, possibleSeconds, ask } = reserve;
  const wanted = spanText(wantedSeconds * 1000);
  if (ask === undefined) return [['reserve', `${wanted}, kept while the node is online`]];
  return [['reserve', `${wanted} wanted; its lifetime allows ${spanText(possibleSeconds * 1000)}`], ...adviceRows(ask)];
}

function servedRows({ served }: CertificateStatus, now: Date): readonly Row[] {
  if (served === undefined) return [];
  const { state, port, since, serial = '', to = '', error = '' } = served;
  const words = {
    current: 'this pair',
    stale: `another one, serial ${serial}, to ${to}`,
    absent: 'nobody listens',
    unclear: `not known: ${error}`,
  };
  return [[`on port ${String(port)}`, `${words[state]}, ${lastingText(new Date(since), now)}`]];
}

const endingText = (endsWith: string | undefined): string =>
  endsWith === undefined ? '' : `, with ${endsWith} of its chain`;

function reasonRows(status: CertificateStatus, now: Date): readonly Row[] {
  const { phase, reason, since, failing } = status;
  if (phase === 'valid' && reason === phase) return [];
  // Of a host where nothing runs nobody knows since when.
  if (phase === 'not managed') return [['reason', reason]];
  return [
    ['reason', reason],
    failing === undefined ? ['since', at(since, now)] : ['failing', failingText(failing, now)],
    ...requestRows(status, now),
  ];
}

/** When the trouble began, however often it was tried since. */
function failingText({ since, tries }: NonNullable<CertificateStatus['failing']>, now: Date): string {
  return `${lastingText(new Date(since), now)}, ${String(tries)} ${tries === 1 ? 'try' : 'tries'}`;
}

function requestRows({ pending, phase }: CertificateStatus, now: Date): readonly Row[] {
  if (pending === undefined) return [];
  // A daemon of 0.1.0 does not tell how far it has come.
  const guess = pending.approved ? 'approved' : phase === 'waiting for approval' ? 'posted' : 'requesting';
  return [['request', `${pending.name}, ${pending.state ?? guess}, made ${at(pending.since, now)}`]];
}

function errorRows({ lastError, reason }: CertificateStatus, now: Date): readonly Row[] {
  if (lastError === undefined) return [];
  const { code, message, at: moment } = lastError;
  return [['last error', `${code}, ${at(moment, now)}${message === reason ? '' : `: ${message}`}`]];
}

const fixRows = ({ command, lastError }: CertificateStatus): readonly Row[] => adviceRows(command ?? lastError?.remedy);

const at = (date: Timestamp, now: Date): string => relativeText(new Date(date), now);
