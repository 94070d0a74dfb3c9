import { CertletError } from '../errors.ts';
import { Secret } from '../secret.ts';
import { JsonFields } from './json-fields.ts';
import { type Approval, decodeApproval, decodePastRequest, type PastRequest } from './past-request.ts';
import { KEY_USAGES } from './spec.ts';
import type { CertificateTemplate } from './template.ts';

/**
 * One request from before its POST until its pair is current, as it lies in the state folder. Key and CSR are on disk
 * before the POST, the UID after it, the issued chain on receipt before any check: a crash at any point resumes the same request.
 */
export interface PendingRequest {
  /** The name of its spec. */
  readonly purpose: string;
  readonly name: string;
  readonly keyPem: Secret;
  readonly requestPem: string;
  readonly template: CertificateTemplate;
  readonly templateDigest: string;
  readonly nodeName: string;
  readonly certDir: string;
  readonly createdAt: Date;
  /** After the POST (or the compare on 409). */
  readonly uid?: string;
  /** With the UID: digest of the credential that asked, where there is one. */
  readonly askerDigest?: string;
  /** After receipt: exactly what the server sent. */
  readonly issuedPem?: string;
  readonly receivedAt?: Date;
  /** The same by the server's clock; only where this host's was ahead. */
  readonly receivedByServer?: Date;
  /** With the issued chain: what the approver wrote into the request. */
  readonly approval?: Approval;
  /** When the API server first refused the issued pair, which is not in use yet. */
  readonly refusedAt?: Date;
  /** Names of the node that the certificate in use lacked when this was asked for. */
  readonly gained?: readonly string[];
}

/** A name that the node has gained, when it was last asked for, and whether it has gone since. */
export interface Gain {
  readonly name: string;
  readonly at: Date;
  readonly gone?: true;
}

/** What API servers have said of the pair in use. */
export interface Answers {
  readonly refused?: RequestHistory['refused'] | undefined;
  readonly proved?: RequestHistory['proved'] | undefined;
}

/** Whether both say the same: a record that says it already is not written again. */
export const sameAnswers = (one: Answers, other: Answers): boolean =>
  isSame(one.refused, other.refused) && isSame(one.proved, other.proved);

type Fact = Readonly<Record<string, string | number | Date>>;

function isSame(one: Fact | undefined, other: Fact | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return Object.entries(one).every(([key, value]) => value.valueOf() === other[key]?.valueOf());
}

/** What earlier requests came to. All fields optional: an empty object is a node without a past. */
export interface RequestHistory {
  /** When the last pair was received, and what was left of its life then: floor and spacing of the next rotation. */
  readonly lastIssuedAt?: Date;
  /** The same by the server's clock; only where this host's was ahead then. */
  readonly lastIssuedByServer?: Date;
  readonly lastSerial?: string;
  readonly lastRequestAt?: Date;
  /** A denial or failure that still holds back: code, text, when, for which template and credential. */
  readonly refusal?: {
    readonly code: string;
    readonly message: string;
    readonly at: Date;
    readonly count: number;
    readonly templateDigest: string;
    /** Of the credential that the refused request was made with; absent where that is not known, as in older files. */
    readonly askerDigest?: string;
    /** Other templates that were refused within a day before, newest last: a node whose addresses come and go asks for none of them again. */
    readonly earlier?: readonly { readonly templateDigest: string; readonly at: Date }[];
  };
  /** Names that the node has gained, those of the last day. */
  readonly gains?: readonly Gain[];
  /** Since when a first request has been waiting for the cloud provider. */
  readonly cloudAwaitedSince?: Date;
  /** The client pair that the API server refuses (401), by its fingerprint: since when, and how often so far. */
  readonly refused?: { readonly fingerprint: string; readonly since: Date; readonly count: number };
  /** The client pair that a server accepted last, and when; kept by runs that end by themselves. */
  readonly proved?: { readonly fingerprint: string; readonly server: string; readonly at: Date };
  /** When an administrator asked for a new certificate that has not come yet. */
  readonly renewWantedAt?: Date;
  /** Digest of the id of the machine that works with the pair of this node. */
  readonly machine?: string;
  /** Which usages the signer took last; switched once after "usages did not match". */
  readonly keyEncipherment?: boolean;
  /** The last requests that have come to their end, the newest last. Absent in older files. */
  readonly past?: readonly PastRequest[];
}

/** JSON text of a record, with a format version. */
export function encodePending(record: PendingRequest): Secret {
  const { keyPem, template, ...rest } = record;
  return new Secret(toText({ version: VERSION, ...rest, template, keyPem: keyPem.reveal() }));
}

/** Throws `ERR_STORE_IO` naming the field for anything but a record that `encodePending` wrote. */
export function decodePending(text: string): PendingRequest {
  const fields = documentFields(text, 'pending record', PENDING_FIELDS);
  return {
    purpose: fields.filledText('purpose'),
    name: fields.filledText('name'),
    keyPem: new Secret(fields.filledText('keyPem')),
    requestPem: fields.filledText('requestPem'),
    template: decodeTemplate(fields.object('template')),
    templateDigest: fields.filledText('templateDigest'),
    nodeName: fields.filledText('nodeName'),
    certDir: fields.filledText('certDir'),
    createdAt: fields.date('createdAt'),
    ...(fields.has('uid') ? { uid: fields.filledText('uid') } : {}),
    ...(fields.has('askerDigest') ? { askerDigest: fields.filledText('askerDigest') } : {}),
    ...(fields.has('issuedPem') ? { issuedPem: fields.text('issuedPem') } : {}),
    ...(fields.has('receivedAt') ? { receivedAt: fields.date('receivedAt') } : {}),
    ...(fields.has('receivedByServer') ? { receivedByServer: fields.date('receivedByServer') } : {}),
    ...(fields.has('approval') ? { approval: decodeApproval(fields.object('approval')) } : {}),
    ...(fields.has('refusedAt') ? { refusedAt: fields.date('refusedAt') } : {}),
    ...(fields.has('gained') ? { gained: fields.texts('gained') } : {}),
  };
}

/** JSON text of the history, with a format version. */
export function encodeHistory(history: RequestHistory): string {
  return toText({ version: VERSION, ...history });
}

/** Throws `ERR_STORE_IO` naming the field for anything but a history that `encodeHistory` wrote. */
export function decodeHistory(text: string): RequestHistory {
  const fields = documentFields(text, 'request history', HISTORY_FIELDS);
  return {
    ...(fields.has('lastIssuedAt') ? { lastIssuedAt: fields.date('lastIssuedAt') } : {}),
    ...(fields.has('lastIssuedByServer') ? { lastIssuedByServer: fields.date('lastIssuedByServer') } : {}),
    ...(fields.has('lastSerial') ? { lastSerial: fields.text('lastSerial') } : {}),
    ...(fields.has('lastRequestAt') ? { lastRequestAt: fields.date('lastRequestAt') } : {}),
    ...(fields.has('refusal') ? { refusal: decodeRefusal(fields.object('refusal')) } : {}),
    ...decodeNames(fields),
    ...(fields.has('refused') ? { refused: decodeRefused(fields.object('refused')) } : {}),
    ...(fields.has('proved') ? { proved: decodeProved(fields.object('proved')) } : {}),
    ...(fields.has('renewWantedAt') ? { renewWantedAt: fields.date('renewWantedAt') } : {}),
    ...(fields.has('machine') ? { machine: fields.filledText('machine') } : {}),
    ...(fields.has('keyEncipherment') ? { keyEncipherment: fields.truth('keyEncipherment') } : {}),
    ...(fields.has('past') ? { past: fields.objects('past').map(decodePastRequest) } : {}),
  };
}

/** Raise it when a field changes its meaning: an older certlet then sets the record aside in place of misreading it. */
const VERSION = 1;
const CODE = 'ERR_STORE_IO';
const REQUIRED = [
  'purpose',
  'name',
  'keyPem',
  'requestPem',
  'template',
  'templateDigest',
  'nodeName',
  'certDir',
  'createdAt',
];
const OPTIONAL = [
  'uid',
  'askerDigest',
  'issuedPem',
  'receivedAt',
  'receivedByServer',
  'approval',
  'refusedAt',
  'gained',
];
const PENDING_FIELDS = [...REQUIRED, ...OPTIONAL];
const HISTORY_FIELDS = [
  'lastIssuedAt',
  'lastIssuedByServer',
  'lastSerial',
  'lastRequestAt',
  'refusal',
  'gains',
  'cloudAwaitedSince',
  'refused',
  'proved',
  'renewWantedAt',
  'machine',
  'keyEncipherment',
  'past',
];
const REFUSAL_FIELDS = ['code', 'message', 'at', 'count', 'templateDigest', 'askerDigest', 'earlier'];
const TEMPLATE_FIELDS = [
  'purpose',
  'signerName',
  'commonName',
  'organizations',
  'dnsNames',
  'ipAddresses',
  'usages',
  'expirationSeconds',
];

function toText(document: object): string {
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

function documentFields(text: string, what: string, keys: readonly string[]): JsonFields {
  const fields = new JsonFields(parseJson(text, what), what, CODE);
  const version = fields.integer('version');
  if (version !== VERSION) throw fields.failure('version', `expected ${String(VERSION)}, found ${String(version)}`);
  fields.only('version', ...keys);
  return fields;
}

/** Without the parser's own error as cause: it quotes the text, which holds a key. */
function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CertletError(CODE, `${what}: no JSON (${String(text.length)} characters)`);
  }
}

function decodeTemplate(fields: JsonFields): CertificateTemplate {
  fields.only(...TEMPLATE_FIELDS);
  return {
    purpose: fields.filledText('purpose'),
    signerName: fields.filledText('signerName'),
    commonName: fields.filledText('commonName'),
    organizations: fields.texts('organizations'),
    dnsNames: fields.texts('dnsNames'),
    ipAddresses: fields.texts('ipAddresses'),
    usages: fields.eachOneOf('usages', KEY_USAGES),
    ...(fields.has('expirationSeconds') ? { expirationSeconds: fields.integer('expirationSeconds') } : {}),
  };
}

/** What is remembered of the node's names. */
const decodeNames = (fields: JsonFields): Pick<RequestHistory, 'gains' | 'cloudAwaitedSince'> => ({
  ...(fields.has('gains') ? { gains: fields.objects('gains').map(decodeGain) } : {}),
  ...(fields.has('cloudAwaitedSince') ? { cloudAwaitedSince: fields.date('cloudAwaitedSince') } : {}),
});

function decodeGain(fields: JsonFields): Gain {
  fields.only('name', 'at', 'gone');
  const gone = fields.has('gone') && fields.truth('gone');
  return { name: fields.filledText('name'), at: fields.date('at'), ...(gone ? { gone } : {}) };
}

function decodeEarlier(fields: JsonFields): { readonly templateDigest: string; readonly at: Date } {
  fields.only('templateDigest', 'at');
  return { templateDigest: fields.filledText('templateDigest'), at: fields.date('at') };
}

function decodeRefused(fields: JsonFields): NonNullable<RequestHistory['refused']> {
  fields.only('fingerprint', 'since', 'count');
  return {
    fingerprint: fields.filledText('fingerprint'),
    since: fields.date('since'),
    count: fields.integer('count'),
  };
}

function decodeProved(fields: JsonFields): NonNullable<RequestHistory['proved']> {
  fields.only('fingerprint', 'server', 'at');
  return { fingerprint: fields.filledText('fingerprint'), server: fields.filledText('server'), at: fields.date('at') };
}

function decodeRefusal(fields: JsonFields): NonNullable<RequestHistory['refusal']> {
  fields.only(...REFUSAL_FIELDS);
  return {
    code: fields.filledText('code'),
    message: fields.text('message'),
    at: fields.date('at'),
    count: fields.integer('count'),
    templateDigest: fields.filledText('templateDigest'),
    ...(fields.has('askerDigest') ? { askerDigest: fields.filledText('askerDigest') } : {}),
    ...(fields.has('earlier') ? { earlier: fields.objects('earlier').map(decodeEarlier) } : {}),
  };
}
