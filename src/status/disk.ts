import type { RequestHistory } from '../csr/pending.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import { dueAt } from '../rotation/rules/schedule.ts';
import type { ManagerSnapshot } from '../rotation/snapshot.ts';
import { type StatusDocument, statusDocument } from './document.ts';

/** What the disk says of one certificate. */
export interface DiskCertificate {
  readonly spec: CertificateSpec;
  readonly currentPath: string;
  readonly facts: CertificateFacts | undefined;
  /** What is noted of earlier requests; empty where nothing is or may be read. */
  readonly history: RequestHistory;
}

/** The document of a host where nothing runs and nothing has left one: what the links lead to, and nothing of what is going on. */
export function diskStatus(
  certificates: readonly DiskCertificate[],
  about: { readonly nodeName: string; readonly version: string; readonly now: Date },
): StatusDocument {
  const { nodeName, version, now } = about;
  const snapshot = {
    nodeName,
    startedAt: now,
    at: now,
    managers: certificates.map((certificate) => diskManager(certificate, nodeName, now)),
    server: undefined,
    clockSkewMs: undefined,
    kubeletVersion: undefined,
    lastTick: now,
    upToDate: false,
  };
  return statusDocument(snapshot, { command: 'none', pid: 0, version, now, hooks: [] });
}

function diskManager(
  { spec, currentPath, facts, history }: DiskCertificate,
  nodeName: string,
  now: Date,
): ManagerSnapshot {
  const issued = facts !== undefined && !facts.selfSigned;
  return {
    purpose: spec.name,
    isIdentity: spec.isIdentity,
    phase: issued ? 'valid' : 'not managed',
    reason: issued ? 'read from the disk' : 'certlet does not run',
    command: issued ? undefined : 'systemctl start certlet',
    since: now,
    certificate: facts,
    currentPath,
    placeholder: facts?.selfSigned === true,
    rotationDeadline: dueAt(facts, { nodeName, window: spec.window }, history, now),
    nextAttempt: undefined,
    pending: undefined,
    lastSuccess: history.lastIssuedAt,
    lastError: undefined,
    attempts: {},
  };
}
