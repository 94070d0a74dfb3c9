import type { Secret } from '../secret.ts';
import type { CertificateTemplate, Purpose } from './template.ts';

/**
 * One request from before its POST until its pair is current, as it lies in the state folder. Key and CSR are on disk
 * before the POST, the UID after it, the issued chain on receipt before any check: a crash at any point resumes the same request.
 */
export interface PendingRequest {
  readonly purpose: Purpose;
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
  /** After receipt: exactly what the server sent. */
  readonly issuedPem?: string;
  readonly receivedAt?: Date;
}

/** What earlier requests came to. All fields optional: an empty object is a node without a past. */
export interface RequestHistory {
  /** When the last pair was received, and what was left of its life then: floor and spacing of the next rotation. */
  readonly lastIssuedAt?: Date;
  readonly lastSerial?: string;
  readonly lastRequestAt?: Date;
  /** A denial or failure that still holds back: code, text, when, for which template and credential. */
  readonly refusal?: {
    readonly code: string;
    readonly message: string;
    readonly at: Date;
    readonly count: number;
    readonly templateDigest: string;
  };
  /** Which usages the signer took last; switched once after "usages did not match". */
  readonly keyEncipherment?: boolean;
}

/** JSON text of a record, with a format version. */
export declare function encodePending(record: PendingRequest): Secret;
/** Throws `ERR_STORE_IO` naming the field for anything but a record that `encodePending` wrote. */
export declare function decodePending(text: string): PendingRequest;
export declare function encodeHistory(history: RequestHistory): string;
/** Throws `ERR_STORE_IO`. */
export declare function decodeHistory(text: string): RequestHistory;
