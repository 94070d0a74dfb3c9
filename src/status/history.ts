import type { PastRequest } from '../csr/past-request.ts';
import type { PendingRequest, RequestHistory } from '../csr/pending.ts';
import { escaped } from '../adapters/log/printable.ts';
import { timestamp } from '../timestamp.ts';
import { paintFor, STATE_COLOURS } from './paint.ts';
import { type Cell, type Column, tableLines } from './table.ts';

/** What the records of one certificate tell. */
export interface CertificateHistory {
  readonly purpose: string;
  readonly history: RequestHistory;
  /** The request that is under way. */
  readonly pending: PendingRequest | undefined;
}

type MomentsAsText<T> = {
  readonly [Key in keyof T]: T[Key] extends Date | undefined
    ? string
    : T[Key] extends object | undefined
      ? MomentsAsText<T[Key]>
      : T[Key];
};

/** As a document tells it: moments are ISO 8601 in UTC, to the second. */
export interface HistoryStatus {
  readonly purpose: string;
  /** The oldest first. */
  readonly requests: readonly MomentsAsText<PastRequest>[];
  readonly pending?: { readonly request: string; readonly requestedAt: string; readonly state: string };
  /** When an administrator asked for a certificate that has not come yet. */
  readonly renewWantedAt?: string;
  /** The API server refuses the certificate in use. */
  readonly refused?: { readonly since: string; readonly count: number };
}

/** The records of one certificate as a document. What older records do not tell is left out. */
export function historyStatus({ purpose, history, pending }: CertificateHistory): HistoryStatus {
  const { renewWantedAt, refused } = history;
  return {
    purpose,
    requests: pastOf(history).map(toldRequest),
    ...(pending && { pending: pendingOf(pending) }),
    ...(renewWantedAt && { renewWantedAt: timestamp(renewWantedAt) }),
    ...(refused && { refused: { since: timestamp(refused.since), count: refused.count } }),
  };
}

/** With what a record of an older certlet knows of the last certificate and of the last refusal. */
function pastOf({
  past = [],
  lastIssuedAt,
  lastSerial,
  lastRequestAt,
  refusal,
}: RequestHistory): readonly PastRequest[] {
  const issued = past.some(({ serial }) => serial === lastSerial);
  const refused = past.some(({ endedAt }) => endedAt.getTime() === refusal?.at.getTime());
  const older: readonly PastRequest[] = [
    ...(lastIssuedAt === undefined || lastSerial === undefined || issued
      ? []
      : [{ request: '', requestedAt: lastIssuedAt, endedAt: lastIssuedAt, result: 'issued', serial: lastSerial }]),
    ...(refusal === undefined || refused
      ? []
      : [
          {
            request: '',
            requestedAt: lastRequestAt ?? refusal.at,
            endedAt: refusal.at,
            result: refusal.code,
            message: refusal.message,
          },
        ]),
  ];
  return [...older, ...past].toSorted((one, other) => one.endedAt.getTime() - other.endedAt.getTime());
}

function toldRequest(entry: PastRequest): MomentsAsText<PastRequest> {
  const { expires, failed } = entry;
  return {
    ...entry,
    requestedAt: timestamp(entry.requestedAt),
    endedAt: timestamp(entry.endedAt),
    ...(expires && { expires: timestamp(expires) }),
    ...(failed && { failed: { ...failed, since: timestamp(failed.since) } }),
  } as MomentsAsText<PastRequest>;
}

function pendingOf({ name, createdAt, uid, issuedPem }: PendingRequest): NonNullable<HistoryStatus['pending']> {
  const state = issuedPem !== undefined ? 'issued' : uid !== undefined ? 'posted' : 'requesting';
  return { request: name, requestedAt: timestamp(createdAt), state };
}

/** A line for each request, the newest last, and one for each that is under way. Ends in a newline. */
export function historyText(
  certificates: readonly HistoryStatus[],
  { colour, columns }: { readonly colour: boolean; readonly columns: number | undefined },
): string {
  const rows = certificates.flatMap(rowsOf).toSorted((one, other) => (one.when < other.when ? -1 : 1));
  if (rows.length === 0) return 'no request has been made yet\n';
  const column = (title: string, cell: (row: HistoryRow) => Cell): Column => ({ title, cells: rows.map(cell) });
  const table = [
    column('WHEN', ({ when }) => ({ text: when })),
    column('CERTIFICATE', ({ purpose }) => ({ text: purpose })),
    column('RESULT', ({ result, open }) => ({ text: result, colour: resultColour(result, open) })),
    // An approver or a server wrote it.
    column('ABOUT', ({ about }) => ({ text: escaped(about) })),
  ];
  return `${tableLines(table, { paint: paintFor(colour), columns }).join('\n')}\n`;
}

interface HistoryRow {
  /** In the form that sorts. */
  readonly when: string;
  readonly purpose: string;
  readonly result: string;
  readonly open: boolean;
  readonly about: string;
}

const resultColour = (result: string, open: boolean): number =>
  open ? STATE_COLOURS.waiting : result === 'issued' ? STATE_COLOURS.healthy : STATE_COLOURS.expired;

function rowsOf({ purpose, requests, pending, renewWantedAt, refused }: HistoryStatus): readonly HistoryRow[] {
  const open = (when: string, result: string, about: string): HistoryRow => ({
    when,
    purpose,
    result,
    open: true,
    about,
  });
  return [
    ...requests.map((entry) => ({
      when: entry.endedAt,
      purpose,
      result: entry.result,
      open: false,
      about: aboutText(entry),
    })),
    ...(pending ? [open(pending.requestedAt, pending.state, `${pending.request}; under way`)] : []),
    ...(renewWantedAt === undefined ? [] : [open(renewWantedAt, 'wanted', 'certlet renew; not answered yet')]),
    ...(refused
      ? [
          open(
            refused.since,
            'refused',
            `the API server refuses the pair in use, ${String(refused.count)} times so far`,
          ),
        ]
      : []),
  ];
}

function aboutText(entry: MomentsAsText<PastRequest>): string {
  const { request, requestedAt, endedAt, serial, expires, approval, message, failed } = entry;
  const parts = [
    ...(request === '' ? [] : [request]),
    ...(serial === undefined ? [] : [`serial ${serial}${expires === undefined ? '' : ` until ${expires}`}`]),
    ...(approval === undefined ? [] : [`approved: ${approvalText(approval)}`]),
    ...(message === undefined ? [] : [message]),
    ...(requestedAt === endedAt ? [] : [`asked for at ${requestedAt}`]),
    ...(failed === undefined ? [] : [failedText(failed)]),
  ];
  return parts.join('; ');
}

function approvalText({ reason, message }: NonNullable<PastRequest['approval']>): string {
  const text = [reason, message].filter((part) => part !== '').join(', ');
  return text === '' ? 'no reason was written' : text;
}

const failedText = ({ since, tries, code }: MomentsAsText<NonNullable<PastRequest['failed']>>): string =>
  `${String(tries)} ${tries === 1 ? 'try' : 'tries'} failed before, since ${since} (${code})`;
