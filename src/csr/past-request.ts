import type { JsonFields } from './json-fields.ts';

/** What whoever approved a request wrote into it; either may be empty. */
export interface Approval {
  readonly reason: string;
  readonly message: string;
}

/** Tries that failed before a request came to its end. */
export interface PastFailures {
  readonly since: Date;
  readonly tries: number;
  /** The error code of the last of them. */
  readonly code: string;
}

/** One request that has come to its end, for people: nothing is decided by it. */
export interface PastRequest {
  /** The name of the object. */
  readonly request: string;
  readonly requestedAt: Date;
  /** When its pair was taken into use, or when it was known that there would be none. */
  readonly endedAt: Date;
  /** `issued`, or the error code that it ended with. */
  readonly result: string;
  /** Of the certificate that came of it. */
  readonly serial?: string;
  readonly expires?: Date;
  readonly approval?: Approval;
  /** What the error said. */
  readonly message?: string;
  readonly failed?: PastFailures;
}

/** What a pending record tells of its request. */
interface EndedRecord {
  readonly name: string;
  readonly createdAt: Date;
  readonly approval?: Approval;
}

/** So many are kept of each certificate: years of a healthy node, and a night of denials. */
export const KEPT_REQUESTS = 20;
/** What others write is cut here: a record is read at each start. */
const LONGEST_TEXT = 400;

/** The list with one more at its end; without the oldest where it gets too long. One that is there already, since its last step was done twice, is replaced. */
export function withPast(past: readonly PastRequest[] | undefined, entry: PastRequest): readonly PastRequest[] {
  const others = (past ?? []).filter(
    ({ request, requestedAt }) => request !== entry.request || requestedAt.getTime() !== entry.requestedAt.getTime(),
  );
  return [...others, entry].slice(-KEPT_REQUESTS);
}

/** A request whose pair is in use now. */
export function issuedRequest(
  record: EndedRecord,
  { serial, notAfter: expires }: { readonly serial: string; readonly notAfter: Date },
  end: { readonly at: Date; readonly failed: PastFailures | undefined },
): PastRequest {
  return { ...ended(record, end), result: 'issued', serial, expires };
}

/** A request of which no pair has come. */
export function failedRequest(
  record: EndedRecord,
  { code, message }: { readonly code: string; readonly message: string },
  end: { readonly at: Date; readonly failed: PastFailures | undefined },
): PastRequest {
  return { ...ended(record, end), result: code, message: cut(message) };
}

function ended(
  { name: request, createdAt: requestedAt, approval }: EndedRecord,
  { at: endedAt, failed }: { readonly at: Date; readonly failed: PastFailures | undefined },
): Omit<PastRequest, 'result'> {
  return {
    request,
    requestedAt,
    endedAt,
    ...(approval && { approval }),
    ...(failed && { failed }),
  };
}

/** An approval as it is kept: cut where it is very long. */
export const keptApproval = ({ reason, message }: Approval): Approval => ({
  reason: cut(reason),
  message: cut(message),
});

const cut = (text: string): string => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT - 1)}…` : text);

/** Throws the error of `fields` for anything but an approval. */
export function decodeApproval(fields: JsonFields): Approval {
  fields.only('reason', 'message');
  return { reason: fields.text('reason'), message: fields.text('message') };
}

/** Throws the error of `fields` for anything but an entry that `withPast` took. */
export function decodePastRequest(fields: JsonFields): PastRequest {
  fields.only('request', 'requestedAt', 'endedAt', 'result', 'serial', 'expires', 'approval', 'message', 'failed');
  return {
    request: fields.filledText('request'),
    requestedAt: fields.date('requestedAt'),
    endedAt: fields.date('endedAt'),
    result: fields.filledText('result'),
    ...(fields.has('serial') ? { serial: fields.text('serial') } : {}),
    ...(fields.has('expires') ? { expires: fields.date('expires') } : {}),
    ...(fields.has('approval') ? { approval: decodeApproval(fields.object('approval')) } : {}),
    ...(fields.has('message') ? { message: fields.text('message') } : {}),
    ...(fields.has('failed') ? { failed: decodeFailures(fields.object('failed')) } : {}),
  };
}

function decodeFailures(fields: JsonFields): PastFailures {
  fields.only('since', 'tries', 'code');
  return { since: fields.date('since'), tries: fields.integer('tries'), code: fields.filledText('code') };
}
